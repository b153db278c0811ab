"""Telling the registered controllers of clusters that come, change and go (spec clm 9).

Controllers are read from the store at each event: what another replica registered is heard of, and a restart needs no
registration anew. Channels are opened when first needed and connect again by themselves. What a controller could not
be told while it was away is kept with its registration and told first when it is back, in order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import grpc
import structlog

from emco_clm.resources import CONTROLLER
from emco_common.errors import EmcoError
from emco_common.metrics.peers import PeerCalls
from emco_common.rpc.channels import Channels, PeerUnreachable, cause_of
from emco_common.rpc.clmevents_pb2 import (
    CLUSTER_CREATED,
    CLUSTER_DELETED,
    CLUSTER_UPDATED,
    ClmControllerEventRequest,
    ClmControllerEventType,
)
from emco_common.rpc.clmevents_pb2_grpc import ClmControllerEventChannelStub
from emco_common.store.api import Document, DocumentMissing, DocumentStore, Key, StaleRevision

_log = structlog.get_logger()
MISSED_TAG = "missed"
"""The tag of a controller's document that holds what it has not been told yet, oldest first."""
MOST_MISSED = 1_000
"""Older events of a controller that stays away are forgotten; so many clusters do not come and go unnoticed."""
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
Missed = Mapping[str, str]
_Change = Callable[[list[Missed]], list[Missed]]


class PublishFailed(EmcoError):
    """A controller refused a new cluster or could not be reached; the log says which and why."""

    def __init__(self) -> None:
        super().__init__("CLM failed publishing event to clm-controller")


class ControllerAway(EmcoError):
    """Nothing was heard of the controller: it is told again later."""


class ControllerRefused(EmcoError):
    """The controller heard the event and does not agree."""


class ClusterEvents:
    """``timeout`` is what one controller may take over one event, ``every`` the pause between attempts; seconds.

    ``calls`` are told how each goes.
    """

    def __init__(
        self,
        store: DocumentStore,
        channels: Channels,
        *,
        timeout: float,
        every: float,
        calls: PeerCalls | None = None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._timeout = timeout
        self._every = every
        self._calls = calls or PeerCalls()
        self._telling: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def created(self, cluster: Key) -> None:
        """Tell one controller after another; raises ``PublishFailed`` at the first that does not accept."""
        request = _request(cluster, CLUSTER_CREATED)
        for controller in await self._controllers():
            try:
                await self._tell_missed(controller)
                await self._publish(controller, request)
            except (ControllerAway, ControllerRefused) as error:
                _log_failure(controller, request, error)
                raise PublishFailed from error

    async def updated(self, cluster: Key) -> None:
        """Tell all; what fails does not hold up anybody, since the new access is in force."""
        await self._tell_all(_request(cluster, CLUSTER_UPDATED))

    async def deleted(self, cluster: Key) -> None:
        """Tell all; what fails does not hold up anybody, since the cluster is gone."""
        await self._tell_all(_request(cluster, CLUSTER_DELETED))

    async def run(self) -> None:
        """Until cancelled: tell controllers that are back what they have missed."""
        while True:
            for controller in await self._controllers():
                with suppress(ControllerAway):
                    await self._tell_missed(controller)
            await asyncio.sleep(self._every)

    async def _tell_all(self, request: ClmControllerEventRequest) -> None:
        for controller in await self._controllers():
            try:
                await self._tell_missed(controller)
                await self._publish(controller, request)
            except ControllerAway as error:
                _log_failure(controller, request, error)
                await self._remember(controller.key, request)
            except ControllerRefused as error:
                _log_failure(controller, request, error)

    async def _tell_missed(self, controller: Document) -> None:
        """Raises ``ControllerAway`` as long as it is."""
        async with self._telling[controller.key["controller"]]:
            present = await self._store.get(controller.key)
            missed: list[Missed] = present.tags.get(MISSED_TAG, []) if present else []
            for event in missed:
                request = ClmControllerEventRequest(
                    providerName=event["provider"], clusterName=event["cluster"], event=event["event"]
                )
                try:
                    await self._publish(controller, request)
                except ControllerRefused as error:
                    _log_failure(controller, request, error)
                await self._change_missed(controller.key, _without(event))
        if missed:
            _log.info("missed_cluster_events_told", controller=controller.key["controller"], events=len(missed))

    async def _remember(self, controller: Key, request: ClmControllerEventRequest) -> None:
        name = ClmControllerEventType.Name(request.event)
        event = {"provider": request.providerName, "cluster": request.clusterName, "event": name}
        await self._change_missed(
            controller, lambda left: [*(one for one in left if one != event), event][-MOST_MISSED:]
        )

    async def _change_missed(self, controller: Key, change: _Change) -> None:
        while (document := await self._store.get(controller)) is not None:
            tags = {**document.tags, MISSED_TAG: change(document.tags.get(MISSED_TAG, []))}
            with suppress(StaleRevision, DocumentMissing):  # registered anew meanwhile, or no longer
                await self._store.replace(replace(document, tags=tags), expected=document.revision)
                return

    async def _controllers(self) -> list[Document]:
        return list(await self._store.list(CONTROLLER.key_names, CONTROLLER.fixed))

    async def _publish(self, controller: Document, request: ClmControllerEventRequest) -> None:
        with self._calls.timed(controller.key["controller"], "Publish"):
            await self._tell(controller, request)

    async def _tell(self, controller: Document, request: ClmControllerEventRequest) -> None:
        spec = controller.body["spec"]
        try:
            channel = await self._channels.ready(spec["host"], spec["port"])
            answer = await ClmControllerEventChannelStub(channel).Publish(request, timeout=self._timeout)
        except PeerUnreachable as error:
            raise ControllerAway(str(error)) from error
        except grpc.RpcError as error:
            kind = ControllerAway if error.code() in _AWAY else ControllerRefused
            raise kind(cause_of(error)) from error
        if not answer.status:
            raise ControllerRefused(f"refused: {answer.message}")


def _without(told: Missed) -> _Change:
    return lambda left: [one for one in left if one != told]


def _request(cluster: Key, event: ClmControllerEventType) -> ClmControllerEventRequest:
    return ClmControllerEventRequest(
        providerName=cluster["clusterProvider"], clusterName=cluster["cluster"], event=event
    )


def _log_failure(controller: Document, request: ClmControllerEventRequest, error: EmcoError) -> None:
    _log.warning(
        "cluster_event_failed",
        controller=controller.key["controller"],
        provider=request.providerName,
        cluster=request.clusterName,
        reason=str(error),
    )
