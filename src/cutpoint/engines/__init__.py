"""Engines: what runs a frozen program (a network that nothing trains), and which of them pays on this machine."""
