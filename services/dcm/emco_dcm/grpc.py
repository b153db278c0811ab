"""Status notification for logical clouds over gRPC (spec dcm 10)."""

from __future__ import annotations

from collections.abc import Sequence

from grpc import aio

from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import server_credentials
from emco_common.status.notify import Contract, Notifier, serve_status
from emco_common.store.api import Key
from emco_dcm.settings import DcmSettings


def _missing(key: Key) -> str:
    return f"Logical cloud state not found: {key['logicalCloud']}: LogicalCloud StateInfo not found"


CONTRACT = Contract(
    field="lcKey",
    # The original's words, though it is not one that is asked for here.
    wrong_key="Status Notification Registration - Key is not a Deployment Intent Group key",
    missing=_missing,
)


def status_server(
    settings: DcmSettings, notifier: Notifier, *, interceptors: Sequence[aio.ServerInterceptor] = ()
) -> GrpcServer:
    """Raises ``BadSettings``."""
    return GrpcServer(
        settings.host,
        settings.grpc_port,
        serve_status(notifier, CONTRACT, limit=settings.status_clients),
        credentials=server_credentials(settings),
        interceptors=interceptors,
    )
