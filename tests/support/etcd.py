"""Fixtures: etcd (to be written by its owner)."""
