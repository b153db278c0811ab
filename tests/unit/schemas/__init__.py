"""Bodies of the core services against the published JSON schemas."""
