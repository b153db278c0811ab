"""The context bus on etcd v3, by a client of our own over ``grpc.aio``. See ``bus``."""

from emco_common.contextbus.etcd.bus import EtcdBus
from emco_common.contextbus.etcd.connection import Tls

__all__ = ["EtcdBus", "Tls"]
