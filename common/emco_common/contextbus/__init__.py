"""The door to the context bus: ``api`` says what may be asked of it, ``embedded`` and ``etcd`` answer."""
