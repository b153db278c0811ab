"""Fixtures: controlplane (to be written by its owner)."""
