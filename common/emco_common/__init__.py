"""The kernel: what two or more EMCO services share, and nothing else. It imports no service."""

__version__ = "0.1.0"
