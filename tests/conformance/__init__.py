"""What conforms to the specifications, and by which test it is shown. The page is ``docs/conformance.md``."""
