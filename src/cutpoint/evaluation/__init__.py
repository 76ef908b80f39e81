"""How good, how sure, and what went wrong: arrays and records in, records out."""
