"""Cluster registration: providers, clusters with their kubeconfigs, labels, key-values, and who hears of them."""
