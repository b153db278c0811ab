"""Logical clouds: groups of clusters that deployments go to (spec dcm)."""
