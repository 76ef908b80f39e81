"""The race: trials cheapest first, under a budget, judged by paired comparison, resumable at any moment."""
