"""The door to the document store: ``api`` says what may be asked of it, ``sqlite`` and ``mongo`` answer."""
