"""What is on the clusters, and what that means for the apps."""
