"""A Git repository over HTTPS: read, and written without ever losing what others wrote."""
