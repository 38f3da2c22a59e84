"""Frozen prefixes: the first layers of a network, run once; their maps are what training reads."""
