"""All services in one process: ``emco up``, ``emco demo``, and ``emco serve`` for one of them alone."""
