"""What a context would change on the clusters, found out without changing anything."""
