"""Fixtures: simcluster (to be written by its owner)."""
