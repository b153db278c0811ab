"""The resource synchronizer as a whole over gRPC, bus and simulated clusters (rsync 16)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from emco_common.appcontext import keys, values
from emco_common.appcontext.model import App, AppContext, Approval, Cluster, Dependency, Meta, Resource
from emco_common.contextbus.api import ContextBus, Put
from emco_common.rpc import readynotify_pb2, readynotify_pb2_grpc
from emco_simcluster import SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import CRD, WIDGET, Rig, config_map, context, deployment, resources, running
from tests.unit.rsync.signing import signing_request


def two_apps(identity: str = "71") -> AppContext:
    return context(
        identity,
        {
            "a1": {"edge": [config_map("r1"), config_map("r2")]},
            "a2": {"edge": [config_map("r3"), deployment("r4")], "cloud": [config_map("r3"), deployment("r4")]},
        },
    )


def states(status: Any) -> set[str | None]:
    return {resource.status for resource in status.resources.values()}


async def test_everything_is_applied_watched_and_removed(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(two_apps())
        status = await rig.until_state("71", "Instantiated")
        assert states(status) == {"Applied"}
        assert {resource.reference for resource in status.resources.values()} == {"71"}
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r2", "ConfigMap/r3", "Deployment/r4"]
        assert rig.labelled("cloud") == ["ConfigMap/r3", "Deployment/r4"]
        status = await rig.until("71", lambda s: all(c.ready for c in s.clusters.values()))
        assert {cluster.connectivity for cluster in status.clusters.values()} == {"Available"}
        assert status.resource("a2", "p+edge", "r4+Deployment").ready is True
        seen = json.loads(status.cluster("a2", "p+edge").status or "")
        assert [entry["metadata"]["name"] for entry in seen["deploymentStatuses"]] == ["r4"]
        assert len(seen["podStatuses"]) == 1

        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert states(status) == {"Deleted"}
        assert rig.labelled("edge") == rig.labelled("cloud") == []
        queue = [(element.event, element.status) for element in status.queue or ()]
        assert queue == [("Instantiate", "Done"), ("Terminate", "Done")]
        status = await rig.until(
            "71", lambda s: "podStatuses" not in (s.cluster("a2", "p+edge").status or "podStatuses")
        )
        assert status.cluster("a2", "p+edge").ready is False


async def test_objects_carry_the_label_and_live_in_the_contexts_namespace(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    written = context("71", {"web": {"edge": [deployment("d")]}}, namespace="kube-public")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(written)
        await rig.until_state("71", "Instantiated")
        (found,) = sim_cluster.objects("Deployment")
        assert found["metadata"]["namespace"] == "kube-public"
        assert found["metadata"]["labels"] == {"emco/deployment-id": "71-web"}
        assert found["spec"]["template"]["metadata"]["labels"]["emco/deployment-id"] == "71-web"
        assert next(entry["manager"] for entry in found["metadata"]["managedFields"]) == "emco-rsync"


async def test_the_identity_of_the_logical_cloud_is_used(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}, level="1", namespace="kube-public"))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        assert "no access record for level 1" in await rig.error("71", "web", "p+edge")
        await rig.register(sim_cluster, level="1", namespace="kube-public")
        status = await rig.until_state("71", "Instantiated")
        assert status.cluster("web", "p+edge").connectivity == "Available"
        assert await rig.error("71", "web", "p+edge") == ""


@pytest.mark.parametrize(
    ("identity", "expected"),
    [("", "appContexID is nil"), ("404", "Error finding the context id")],
)
async def test_a_context_that_is_not_there_is_refused(tmp_path: Path, identity: str, expected: str) -> None:
    async with running(tmp_path) as rig:
        for call in (rig.install, rig.uninstall, rig.read):
            with pytest.raises(grpc.RpcError) as caught:
                await call(identity)
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert expected in caught.value.details()


@pytest.mark.robustness(41)
async def test_a_context_that_makes_no_sense_is_refused_and_others_go_on(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.contexts.write_new(two_apps("66"))
        await rig.bus.transact([Put(keys.app_order("66"), b'{"no": "string"}')])
        with pytest.raises(grpc.RpcError, match="app/instruction/order"):
            await rig.install("66")
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")


async def test_status_is_there_when_the_call_returns(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        assert (await rig.status("71")).status is not None


async def test_a_context_without_resources_needs_no_cluster(tmp_path: Path) -> None:
    cloud = AppContext("71", (App("logical-cloud", (Cluster("p+nowhere"),)),), Meta(level="0"))
    async with running(tmp_path) as rig:
        await rig.install(cloud)
        await rig.until_state("71", "Instantiated")
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert status.cluster("logical-cloud", "p+nowhere").connectivity is None


async def test_asking_twice_does_it_once_and_terminating_twice_is_fine(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.install("71")
        await rig.until("71", lambda s: len(s.queue or ()) == 2 and s.status == "Instantiated")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        await rig.uninstall("71")
        status = await rig.until("71", lambda s: [e.status for e in s.queue or ()][-1] == "Skip")
        assert status.status == "Terminated"


async def test_terminate_right_after_install_leaves_nothing(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(two_apps())
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []


async def test_an_object_that_is_there_already_is_taken_over(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("70", {"web": {"edge": [config_map("a", x="old")]}}))
        await rig.until_state("70", "Instantiated")
        await rig.install(context("71", {"web": {"edge": [config_map("a", x="new")]}}))
        await rig.until_state("71", "Instantiated")
        (found,) = [o for o in sim_cluster.objects("ConfigMap") if o["metadata"]["name"] == "a"]
        assert found["data"] == {"x": "new"}


async def test_deleting_what_is_gone_already_is_success(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("70", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("70", "Instantiated")
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        for identity in ("70", "71"):
            await rig.uninstall(identity)
            assert states(await rig.until_state(identity, "Terminated")) == {"Deleted"}


NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}"


async def test_a_namespace_of_ours_goes_and_one_that_was_there_before_stays(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    foreign = NAMESPACE.replace("shop", "kube-public")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [NAMESPACE, foreign]}}))
        await rig.until_state("71", "Instantiated")
        assert rig.labelled("edge", "Namespace") == ["Namespace/shop"]
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        names = [o["metadata"]["name"] for o in sim_cluster.objects("Namespace")]
        assert "kube-public" in names
        assert "shop" not in names
        assert "left in place" in await rig.error("71", "web", "p+edge", "kube-public+Namespace")


@pytest.mark.robustness(51)
async def test_definitions_are_served_before_their_objects_come_and_stay_after_them(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", established_after=0.2)
    cluster = Cluster("p+edge", resources=resources(WIDGET), crds=resources(CRD))
    async with running(tmp_path, [edge]) as rig:
        for identity in ("71", "72"):
            await rig.install(AppContext(identity, (App("web", (cluster,)),), Meta(namespace="default", level="0")))
            assert states(await rig.until_state(identity, "Instantiated")) == {"Applied"}
        assert rig.labelled("edge", "Widget") == ["Widget/w"]
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == ["CustomResourceDefinition/widgets.example.org"]


async def test_an_app_starts_when_the_one_it_depends_on_is_deployed_or_ready(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", ready_after=0.2)
    written = context(
        "71",
        {
            "db": {"edge": [deployment("db")]},
            "web": {"edge": [config_map("web")]},
            "log": {"edge": [config_map("log")]},
        },
        dependencies={"web": (Dependency("db", "Ready"),), "log": (Dependency("db", "Deployed"),)},
    )
    async with running(tmp_path, [edge]) as rig:
        await rig.install(written)
        status = await rig.until("71", lambda s: s.resource("log", "p+edge", "log+ConfigMap").status == "Applied")
        assert status.resource("db", "p+edge", "db+Deployment").status == "Applied"
        status = await rig.until_state("71", "Instantiated")
        assert status.cluster("db", "p+edge").ready is True


async def test_an_app_whose_dependency_fails_is_not_started(tmp_path: Path, sim_cluster: SimCluster) -> None:
    written = context(
        "71",
        {
            "db": {"edge": ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: _}"]},
            "web": {"edge": [config_map("web")]},
        },
        dependencies={"web": (Dependency("db", "Ready"),)},
    )
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(written)
        await rig.until_state("71", "InstantiateFailed")
        assert rig.labelled("edge") == []
        assert "web: not started, because db" in await rig.error("71")


async def test_a_signing_request_is_approved_and_its_certificate_reported(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    approval = Approval("2026-01-01T00:00:00Z", "ok", "LogicalCloud", "Approved", "True")
    resource = Resource("user+CertificateSigningRequest", signing_request("user"), approval)
    cluster = Cluster("p+edge", resources=(resource,))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(AppContext("71", (App("logical-cloud", (cluster,)),), Meta(namespace="default", level="0")))
        await rig.until("71", lambda s: 'certificate":"LS0t' in (s.cluster("logical-cloud", "p+edge").status or ""))
        (found,) = sim_cluster.objects("CertificateSigningRequest")
        (condition,) = found["status"]["conditions"]
        assert condition["reason"] == "LogicalCloud"
        assert condition["lastUpdateTime"] == "2026-01-01T00:00:00Z"


async def test_objects_are_read_into_the_context(tmp_path: Path, sim_cluster: SimCluster) -> None:
    request = json.dumps({"GVK": {"Group": "", "Version": "v1", "Kind": "Namespace"}, "name": "kube-public"})
    missing = json.dumps({"gvk": {"version": "v1", "kind": "Secret"}, "name": "nobody"})
    cluster = Cluster("p+edge", resources=(Resource("a+Namespace", request), Resource("b+Secret", missing)))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.contexts.write_new(AppContext("71", (App("web", (cluster,)),)))
        await rig.read("71")
        status = await rig.until_state("71", "InstantiateFailed")
        found = status.resource("web", "p+edge", "a+Namespace")
        assert found.status == "Applied"
        assert json.loads(found.definition or "")["metadata"]["name"] == "kube-public"
        assert status.resource("web", "p+edge", "b+Secret").status == "Failed"
        assert "NotFound" in await rig.error("71", "web", "p+edge", "b+Secret")


async def test_who_asked_is_told_when_there_is_news(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        channel = await rig.deps.channels.ready("127.0.0.1", rig.service.grpc_port)
        stub = readynotify_pb2_grpc.readyNotifyStub(channel)
        topic = readynotify_pb2.Topic(clientName="dcm", appContext="71")
        call = stub.Alert(topic)
        await asyncio.wait_for(call.initial_metadata(), 10)  # from now on it hears everything
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        notification = await asyncio.wait_for(call.read(), 10)
        assert (notification.appContext, notification.app, notification.cluster) == ("71", "web", "p+edge")
        await stub.Unsubscribe(topic)
        await stub.Unsubscribe(topic)
        while await asyncio.wait_for(call.read(), 10) is not grpc.aio.EOF:
            pass


class Slow:
    """A bus that takes its time to write."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def transact(self, *given: Any, **named: Any) -> int | None:
        await asyncio.sleep(0.1)
        return await self._bus.transact(*given, **named)


async def test_who_is_told_that_there_is_news_finds_it(tmp_path: Path, sim_cluster: SimCluster) -> None:
    approval = Approval("2026-01-01T00:00:00Z", "ok", "LogicalCloud", "Approved", "True")
    resource = Resource("user+CertificateSigningRequest", signing_request("user"), approval)
    apps = (App("logical-cloud", (Cluster("p+edge", resources=(resource,)),)),)
    async with running(tmp_path, [sim_cluster], wrap_bus=Slow) as rig:
        stub = readynotify_pb2_grpc.readyNotifyStub(await rig.deps.channels.ready("127.0.0.1", rig.service.grpc_port))
        news = stub.Alert(readynotify_pb2.Topic(clientName="dcm", appContext="71"))
        await asyncio.wait_for(news.initial_metadata(), 10)
        await rig.install(AppContext("71", apps, Meta(namespace="default", level="0")))
        async with asyncio.timeout(15):
            assert await news.read() is not grpc.aio.EOF
            while 'certificate":"LS0t' not in (
                (await rig.status("71")).cluster("logical-cloud", "p+edge").status or ""
            ):
                assert await news.read() is not grpc.aio.EOF
        news.cancel()


async def test_the_status_of_an_updated_context_goes_into_its_status_context(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("70", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("70", "Instantiated")
        apps = (App("web", (Cluster("p+edge", resources=resources(config_map("a"), config_map("new"))),)),)
        await rig.install(AppContext("71", apps, Meta(namespace="default", level="0"), status_context="70"))
        await rig.until_state("71", "Instantiated")
        status = await rig.status("70")
        assert status.resource("web", "p+edge", "new+ConfigMap").reference == "71"
        assert status.cluster("web", "p+edge").reference == "71"
        placeholder = await rig.bus.get(keys.resource("70", "web", "p+edge", "new+ConfigMap"))
        assert placeholder is not None
        assert values.decode_string(placeholder.key, placeholder.value) == "nil"
        labels = {o["metadata"]["labels"]["emco/deployment-id"] for o in _ours(rig)}
        assert labels == {"70-web"}


def _ours(rig: Rig) -> list[dict[str, Any]]:
    found = rig.clusters["edge"].objects("ConfigMap")
    return [obj for obj in found if "emco/deployment-id" in obj["metadata"].get("labels", {})]


async def test_metrics_and_health_are_served(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.service.http_port}") as client:
            assert (await client.get("/readyz")).status_code == 200
            text = (await client.get("/metrics")).text
        assert 'emco_rsync_events_total{event="Instantiate",result="Done"} 1.0' in text
        assert 'emco_rsync_cluster_available{cluster="p+edge"} 1.0' in text
        assert 'emco_build{component="rsync"' in text
