"""Fixtures: mongodb (to be written by its owner)."""
