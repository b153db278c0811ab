"""What a service tells Prometheus of its work, kept so that measuring costs less than a microsecond a time."""

from emco_common.metrics.counts import Counts
from emco_common.metrics.doors import measured
from emco_common.metrics.peers import PeerCalls
from emco_common.metrics.rpc import MeasuredRpc
from emco_common.metrics.timings import Series, Timings

__all__ = ["Counts", "MeasuredRpc", "PeerCalls", "Series", "Timings", "measured"]
