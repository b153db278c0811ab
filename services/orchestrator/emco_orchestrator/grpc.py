"""Status notification for deployment intent groups over gRPC (spec orchestrator-lifecycle 13)."""

from __future__ import annotations

from collections.abc import Sequence

from grpc import aio

from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import server_credentials
from emco_common.status.notify import Contract, Notifier, serve_status
from emco_common.store.api import Key
from emco_orchestrator.settings import OrchestratorSettings


def _missing(key: Key) -> str:
    group = key["deploymentIntentGroup"]
    return f"DeploymentIntentGroup state not found: {group}: DeploymentIntentGroup StateInfo not found"


CONTRACT = Contract(
    field="digKey",
    wrong_key="Status Notification Registration - Key is not a Deployment Intent Group key",
    missing=_missing,
)


def status_server(
    settings: OrchestratorSettings, notifier: Notifier, *, interceptors: Sequence[aio.ServerInterceptor] = ()
) -> GrpcServer:
    """Raises ``BadSettings``."""
    return GrpcServer(
        settings.host,
        settings.grpc_port,
        serve_status(notifier, CONTRACT, limit=settings.status_clients),
        credentials=server_credentials(settings),
        interceptors=interceptors,
    )
