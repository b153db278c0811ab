"""``watch`` against a real gRPC server."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
from tests.unit.emcoctl.conftest import Ctl

GROUP = "projects/p/composite-apps/c/v1/deployment-intent-groups/d/status"


class Status(stubs.StatusNotifyServicer):
    """Sends the notifications of one stream after the other; each but the last ends, or breaks, by itself."""

    def __init__(
        self,
        streams: Sequence[Sequence[messages.StatusNotification]],
        *,
        breaks_with: grpc.StatusCode | None = None,
        ends_with: grpc.StatusCode | None = grpc.StatusCode.NOT_FOUND,
    ) -> None:
        self._streams = list(streams)
        self._breaks_with = breaks_with
        self._ends_with = ends_with
        self.registered: list[messages.StatusRegistration] = []
        self.metadata: list[dict[str, str]] = []
        self.deregistered: list[str] = []
        self._released = threading.Event()

    def StatusRegister(
        self, request: messages.StatusRegistration, context: grpc.ServicerContext
    ) -> Iterator[messages.StatusNotification]:
        self.registered.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        yield from self._streams.pop(0)
        if self._streams:
            if self._breaks_with:
                context.abort(self._breaks_with, "gone")
        elif self._ends_with:
            context.abort(self._ends_with, "no such group")
        else:
            context.add_callback(self._released.set)
            self._released.wait(30)

    def StatusDeregister(
        self, request: messages.StatusDeregistration, context: grpc.ServicerContext
    ) -> messages.StatusDeregistrationResponse:
        self.deregistered.append(request.clientId)
        return messages.StatusDeregistrationResponse()


@contextmanager
def served(status: Status, ctl: Ctl) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_StatusNotifyServicer_to_server(status, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ctl.file(
        "cfg.yaml", "".join(f"{name}: {{host: 127.0.0.1, statusPort: {port}}}\n" for name in ("orchestrator", "ncm"))
    )
    try:
        yield
    finally:
        server.stop(None)


def notifications(*values: int) -> list[messages.StatusNotification]:
    return [messages.StatusNotification(statusValue=value) for value in values]


def test_each_notification_is_a_line_of_json(ctl: Ctl) -> None:
    full = messages.StatusNotification(statusValue=messages.NOT_READY)
    app = full.details.add().app
    app.app, app.statusValue = "web", messages.DEPLOYED
    status = Status([[*notifications(messages.READY, messages.STATUS_ERROR), full]])
    with served(status, ctl):
        assert ctl("watch", GROUP) == 3

    assert [json.loads(line) for line in ctl.out.splitlines()[1:]] == [
        {"statusValue": "READY"},
        {},
        {"statusValue": "NOT_READY", "details": [{"app": {"app": "web", "statusValue": "DEPLOYED"}}]},
    ]
    assert "NOT_FOUND: no such group" in ctl.err


def test_the_registration_says_what_was_asked_for(ctl: Ctl) -> None:
    status = Status([[]])
    with served(status, ctl):
        ctl("watch", GROUP, "format=all", "status=deployed", "app=a", "cluster=p+c", "resource=r", "-t", "tok")

    [seen] = status.registered
    assert uuid.UUID(seen.clientId).version == 4
    assert seen == messages.StatusRegistration(
        clientId=seen.clientId,
        digKey=messages.DigKey(project="p", compositeApp="c", compositeAppVersion="v1", deploymentIntentGroup="d"),
        statusType="DEPLOYED",
        output="ALL",
        apps=["a"],
        clusters=["p+c"],
        resources=["r"],
    )
    assert status.metadata[0]["authorization"] == "Bearer tok"


def test_a_cluster_is_watched_at_ncm_with_the_defaults(ctl: Ctl) -> None:
    status = Status([[]])
    with served(status, ctl):
        ctl("watch", "cluster-providers/cp/clusters/c/status")

    [seen] = status.registered
    assert (seen.clusterKey.clusterProvider, seen.clusterKey.cluster) == ("cp", "c")
    assert (seen.statusType, seen.output) == (messages.READY, messages.SUMMARY)


@pytest.mark.parametrize("breaks_with", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, None])
def test_a_stream_that_ends_is_opened_again_with_growing_pauses(breaks_with: grpc.StatusCode | None, ctl: Ctl) -> None:
    status = Status([notifications(messages.READY), [], notifications(messages.DEPLOYED)], breaks_with=breaks_with)
    with served(status, ctl):
        assert ctl("watch", GROUP) == 3

    assert ctl.out.splitlines()[1:] == ['{"statusValue":"READY"}', '{"statusValue":"DEPLOYED"}']
    assert ctl.slept == [1, 2]
    assert len({one.clientId for one in status.registered}) == 1
    assert ctl.err.count("registering again") == 2


def test_an_endpoint_that_never_answers_is_a_configuration_error(ctl: Ctl) -> None:
    ctl.file("cfg.yaml", "orchestrator: {host: 127.0.0.1, statusPort: 1}\n")

    assert ctl("watch", GROUP, "--timeout", "0.2") == 1
    assert "nothing answers at 127.0.0.1:1; check orchestrator.host and orchestrator.statusPort" in ctl.err


def test_an_endpoint_that_stays_away_ends_the_watch(ctl: Ctl) -> None:
    status = Status([[], []])
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_StatusNotifyServicer_to_server(status, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ctl.file("cfg.yaml", f"orchestrator: {{host: 127.0.0.1, statusPort: {port}}}\n")

    def leave(seconds: float) -> None:
        server.stop(None).wait()

    ctl.pause = leave
    assert ctl("watch", GROUP, "--timeout", "0.5") == 4
    assert "has not answered for 0.5 s" in ctl.err


def test_an_unknown_filter_is_named_and_ignored(ctl: Ctl) -> None:
    with served(Status([[]]), ctl):
        ctl("watch", GROUP, "apps=a")

    assert "the filter 'apps=a' is unknown and ignored" in ctl.err
