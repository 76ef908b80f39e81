"""Cutting a network in two, caching what the frozen part says, and probing every block."""
