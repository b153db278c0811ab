"""The durable queue of each context, and who works on it."""
