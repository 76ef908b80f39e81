"""From data and backbones to a plan: on which rows trials are judged, what each will cost, which can run."""
