"""Ways to clusters other than calling their API servers."""
