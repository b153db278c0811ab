"""What is to be on the clusters, and what that changes: pure."""
