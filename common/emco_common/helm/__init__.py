"""The door to Helm: ``api`` says what may be asked of it, ``factory`` picks who answers."""
