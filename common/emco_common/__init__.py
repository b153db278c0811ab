"""The kernel: what two or more EMCO services share, and nothing else. It imports no service."""

import os

__version__ = "0.1.0"

# Read when gRPC is imported, so it cannot wait: its library would print a line for every connection that fails, again
# with each attempt. What there is to say is said where the call was made. Whoever wants them sets it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
