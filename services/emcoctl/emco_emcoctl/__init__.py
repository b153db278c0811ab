"""emcoctl: the command line that turns resource files into requests to the EMCO services.

The client holds no state and knows no schema: it expands templates, reads YAML, finds the service of each anchor and
sends one request per document (spec emcoctl.md).
"""
