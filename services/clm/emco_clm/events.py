"""Telling the registered controllers of clusters that come and go (spec clm 9).

Controllers are read from the store at each event: what another replica registered is heard of, and a restart needs no
registration anew. Channels are opened when first needed.
"""

from __future__ import annotations

import grpc
import structlog

from emco_clm.resources import CONTROLLER
from emco_common.errors import EmcoError
from emco_common.rpc.channels import Channels, cause_of
from emco_common.rpc.clmevents_pb2 import (
    CLUSTER_CREATED,
    CLUSTER_DELETED,
    CLUSTER_UPDATED,
    ClmControllerEventRequest,
    ClmControllerEventType,
)
from emco_common.rpc.clmevents_pb2_grpc import ClmControllerEventChannelStub
from emco_common.store.api import Document, DocumentStore, Key

_log = structlog.get_logger()


class PublishFailed(EmcoError):
    """A controller refused a new cluster or could not be reached; the log says which and why."""

    def __init__(self) -> None:
        super().__init__("CLM failed publishing event to clm-controller")


class ClusterEvents:
    """``timeout`` is what one controller may take over one event, in seconds."""

    def __init__(self, store: DocumentStore, channels: Channels, *, timeout: float) -> None:
        self._store = store
        self._channels = channels
        self._timeout = timeout

    async def created(self, cluster: Key) -> None:
        """Tell one controller after another; raises ``PublishFailed`` at the first that does not accept."""
        request = _request(cluster, CLUSTER_CREATED)
        for controller in await self._controllers():
            if not await self._published(controller, request):
                raise PublishFailed

    async def updated(self, cluster: Key) -> None:
        """Tell all; what fails is logged only, since the new access is in force."""
        await self._tell_all(_request(cluster, CLUSTER_UPDATED))

    async def deleted(self, cluster: Key) -> None:
        """Tell all; what fails is logged only, since the cluster is gone."""
        await self._tell_all(_request(cluster, CLUSTER_DELETED))

    async def _tell_all(self, request: ClmControllerEventRequest) -> None:
        for controller in await self._controllers():
            await self._published(controller, request)

    async def _controllers(self) -> list[Document]:
        return list(await self._store.list(CONTROLLER.key_names, CONTROLLER.fixed))

    async def _published(self, controller: Document, request: ClmControllerEventRequest) -> bool:
        spec = controller.body["spec"]
        try:
            channel = await self._channels.ready(spec["host"], spec["port"])
            answer = await ClmControllerEventChannelStub(channel).Publish(request, timeout=self._timeout)
        except (grpc.RpcError, EmcoError) as error:
            reason = cause_of(error) if isinstance(error, grpc.RpcError) else str(error)
        else:
            if answer.status:
                return True
            reason = f"refused: {answer.message}"
        _log.warning(
            "cluster_event_failed",
            controller=controller.key["controller"],
            provider=request.providerName,
            cluster=request.clusterName,
            reason=reason,
        )
        return False


def _request(cluster: Key, event: ClmControllerEventType) -> ClmControllerEventRequest:
    return ClmControllerEventRequest(
        providerName=cluster["clusterProvider"], clusterName=cluster["cluster"], event=event
    )
