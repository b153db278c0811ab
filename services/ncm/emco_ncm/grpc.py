"""Status notification for the networks of clusters over gRPC (spec ncm 8)."""

from __future__ import annotations

from collections.abc import Sequence

from grpc import aio

from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import server_credentials
from emco_common.status.notify import Contract, Notifier, serve_status
from emco_common.store.api import Key
from emco_ncm.clusters import name_of
from emco_ncm.settings import NcmSettings


def _missing(key: Key) -> str:
    return f"Cluster state not found: {name_of(key)}: Cluster StateInfo not found"


CONTRACT = Contract(
    field="clusterKey",
    wrong_key="Status Notification Registration - Key is not a Cluster key",
    missing=_missing,
)


def status_server(
    settings: NcmSettings, notifier: Notifier, *, interceptors: Sequence[aio.ServerInterceptor] = ()
) -> GrpcServer:
    """Raises ``BadSettings``."""
    return GrpcServer(
        settings.host,
        settings.grpc_port,
        serve_status(notifier, CONTRACT, limit=settings.status_clients),
        credentials=server_credentials(settings),
        interceptors=interceptors,
    )
