"""Fixtures: controlplane (to be written by its owner)."""

pytest_plugins = ["tests.support.realserver"]
