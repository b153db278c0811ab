"""Status streams: the same mechanism over gRPC (StatusNotify) and as server-sent events, for every kind of object.

A ``Notifier`` watches each object that somebody wants to see once, on the context bus and through the ``Bell``, however
many clients there are; ``serve_status`` and ``StatusStreams`` are the two ways to its clients.
"""

from emco_common.status.notify.bell import Bell
from emco_common.status.notify.notifier import Notifier, TooManyStreams
from emco_common.status.notify.service import Contract, serve_status
from emco_common.status.notify.streams import StatusStreams, describe

__all__ = ["Bell", "Contract", "Notifier", "StatusStreams", "TooManyStreams", "describe", "serve_status"]
