"""Bringing objects to clusters and taking them away."""
