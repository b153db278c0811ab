"""One context replaced by another: what changed is applied, then what is gone is removed (rsync 10 and 16)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from emco_common.appcontext import keys
from emco_common.appcontext.model import App, AppContext, Cluster, Dependency, Meta
from emco_common.contextbus.api import ContextBus, Delete, Put
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.plan.manifests import parse
from emco_simcluster import Outage, Rule, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import CRD, WIDGET, Rig, config_map, context, deployment, resources, running

Apps = Mapping[str, Mapping[str, Iterable[str]]]
REFUSED = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: _}"


def revision(identity: str, apps: Apps, **more: Any) -> AppContext:
    """A later revision of the deployment whose first context is 71."""
    return context(identity, apps, status_context="71", **more)


async def settled(rig: Rig, old: str, new: str) -> None:
    await rig.until_state(new, "Instantiated")
    assert (await rig.status(old)).status == "Updated"


async def test_what_changed_is_applied_and_what_is_gone_is_removed(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(
            context("71", {"a1": {"edge": [config_map("r1"), config_map("r2"), config_map("r3", x="A")]}})
        )
        await rig.until_state("71", "Instantiated")
        sent = sim_cluster.counts["apply", "configmaps"]
        await rig.update(
            "71", revision("72", {"a1": {"edge": [config_map("r1"), config_map("r3", x="B"), config_map("r4")]}})
        )
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r3", "ConfigMap/r4"]
        assert sim_cluster.counts["apply", "configmaps"] == sent + 2
        status = await rig.status("71")
        found = {name: (r.status, r.reference) for (_, _, name), r in status.resources.items()}
        assert found == {
            "r1+ConfigMap": ("Applied", "71"),
            "r2+ConfigMap": ("Deleted", "71"),
            "r3+ConfigMap": ("Applied", "72"),
            "r4+ConfigMap": ("Applied", "72"),
        }
        labels = {o["metadata"]["labels"]["emco/deployment-id"] for o in _ours(sim_cluster)}
        assert labels == {"71-a1"}


def _ours(cluster: SimCluster) -> list[dict[str, Any]]:
    return [o for o in cluster.objects("ConfigMap") if "emco/deployment-id" in o["metadata"].get("labels", {})]


async def test_apps_and_clusters_come_and_go(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}, "a2": {"edge": [deployment("d")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update(
            "71", revision("72", {"a1": {"cloud": [config_map("r1")]}, "a3": {"edge": [config_map("r3")]}})
        )
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r3"]
        assert rig.labelled("cloud") == ["ConfigMap/r1"]


async def test_an_update_that_only_removes_removes(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1"), config_map("r2")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r1")]}}))
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r1"]


@pytest.mark.robustness(65)
async def test_back_and_forth_follows_and_never_sends_what_did_not_change(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    old = {"a1": {"edge": [config_map("r1"), config_map("r2")]}}
    new = {"a1": {"edge": [config_map("r1"), config_map("r3")]}, "a2": {"edge": [config_map("x")]}}
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", old))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", new))
        await settled(rig, "71", "72")
        await rig.roll_back("72", "71")
        await settled(rig, "72", "71")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r2"]
        await rig.update("71", "72")
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r3", "ConfigMap/x"]
        assert sim_cluster.counts["apply", "configmaps"] == 7
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == []


async def test_a_target_that_was_instantiated_before_shows_so_no_longer_when_the_call_returns(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r2")]}}))
        await settled(rig, "71", "72")
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.update("72", "71")
        assert (await rig.status("71")).status in ("Updating", "Instantiating")
        status = await rig.until_state("71", "Instantiating")
        assert (await rig.status("72")).status == "Updating"
        sim_cluster.faults.end_outage()
        await settled(rig, "72", "71")
        assert status.stop is False


@pytest.mark.robustness(50)
async def test_nothing_is_removed_when_something_could_not_be_applied(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")], "cloud": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update(
            "71", revision("72", {"a1": {"edge": [config_map("r2"), REFUSED], "cloud": [config_map("r2")]}})
        )
        await rig.until_state("72", "InstantiateFailed")
        assert "_+ConfigMap" in await rig.error("72")
        assert rig.labelled("edge") == rig.labelled("cloud") == ["ConfigMap/r1", "ConfigMap/r2"]
        assert (await rig.status("71")).status == "UpdatedFailed"
        await rig.roll_back("72", "71")
        await settled(rig, "72", "71")
        assert rig.labelled("edge") == rig.labelled("cloud") == ["ConfigMap/r1"]


async def test_what_was_never_applied_is_sent_although_it_did_not_change(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.begin_outage(Outage.REFUSE)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until("71", lambda s: s.cluster("a1", "p+edge").connectivity == "Retrying")
        await rig.contexts.set_stop_flag("71", True)
        await rig.until_state("71", "InstantiateFailed")
        sim_cluster.faults.end_outage()
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r1"), config_map("r2")]}}))
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r2"]
        assert (await rig.status("71")).stop is False


async def test_an_update_takes_the_place_of_an_installation_that_is_not_done(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    edge.faults.begin_outage(Outage.REFUSE)
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")], "cloud": [config_map("r1")]}}))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r1+ConfigMap").status == "Applied")
        await rig.update("71", revision("72", {"a1": {"cloud": [config_map("r2")]}}))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Applied")
        edge.faults.end_outage()
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == []
        assert rig.labelled("cloud") == ["ConfigMap/r2"]
        assert [e.status for e in (await rig.status("71")).queue or ()] == ["Skip"]


async def test_terminate_removes_what_every_revision_has_left(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}, "a2": {"cloud": [config_map("c")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r2"), REFUSED]}}))
        await rig.until_state("72", "InstantiateFailed")
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []


async def test_terminate_ends_an_update_that_waits(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")], "cloud": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r2")], "cloud": [config_map("r2")]}}))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Applied")
        await rig.uninstall("72")
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Deleted")
        edge.faults.end_outage()
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []


async def test_an_update_can_be_stopped_and_taken_back(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r2")]}}))
        await rig.until_state("72", "Instantiating")
        await rig.contexts.set_stop_flag("72", True)
        await rig.until_state("72", "InstantiateFailed")
        assert await rig.error("72") == "stopped by request"
        assert (await rig.status("71")).status == "UpdatedFailed"
        sim_cluster.faults.end_outage()
        await rig.roll_back("72", "71")
        await settled(rig, "72", "71")
        assert rig.labelled("edge") == ["ConfigMap/r1"]


async def test_back_to_the_present_revision_does_no_harm(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.roll_back("71", "71")
        await rig.until("71", lambda s: [e.status for e in s.queue or ()] == ["Done", "Done"])
        assert (await rig.status("71")).status == "Instantiated"
        assert rig.labelled("edge") == ["ConfigMap/r1"]
        assert sim_cluster.counts["apply", "configmaps"] == 1


async def test_a_definition_that_is_new_is_served_before_its_objects_come(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", established_after=0.2)
    async with running(tmp_path, [edge]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        cluster = Cluster("p+edge", resources=resources(WIDGET), crds=resources(CRD))
        meta = Meta(namespace="default", level="0")
        await rig.update("71", AppContext("72", (App("a1", (cluster,)),), meta, status_context="71"))
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["CustomResourceDefinition/widgets.example.org", "Widget/w"]


async def test_a_definition_of_ours_is_brought_to_its_new_form_and_one_of_others_is_not(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    changed = CRD.replace("singular: widget", "singular: widget, shortNames: [wi]")

    def revisions(crd: str) -> tuple[App, ...]:
        clusters = (
            Cluster(f"p+{name}", resources=resources(WIDGET), crds=resources(crd)) for name in ("edge", "cloud")
        )
        return (App("a1", tuple(clusters)),)

    edge, cloud = sim_clusters
    async with KubeClient(parse_kubeconfig(cloud.kubeconfig)) as others:
        await others.apply(parse(CRD)[0], manager="others")
    async with running(tmp_path, sim_clusters) as rig:
        meta = Meta(namespace="default", level="0")
        await rig.install(AppContext("71", revisions(CRD), meta))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", AppContext("72", revisions(changed), meta, status_context="71"))
        await settled(rig, "71", "72")
        for cluster, names in ((edge, ["wi"]), (cloud, None)):
            (found,) = cluster.objects("CustomResourceDefinition")
            assert found["spec"]["names"].get("shortNames") == names
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == ["CustomResourceDefinition/widgets.example.org"]
        told = await rig.error("71", "a1", "p+edge", "widgets.example.org+CustomResourceDefinition")
        assert told == "left in place: others may have objects of its kind"


async def test_an_object_without_namespace_stays_when_the_default_namespace_changes(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []"
    apps = {"a1": {"edge": [role, config_map("r1")]}}
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", apps, namespace="kube-public"))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", apps, namespace="default"))
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ClusterRole/all", "ConfigMap/r1"]
        assert [o["metadata"]["namespace"] for o in _ours(sim_cluster)] == ["default"]
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == []


async def test_the_same_name_in_another_namespace_is_another_object(tmp_path: Path, sim_cluster: SimCluster) -> None:
    moved = config_map("r1").replace("name: r1", "name: r1\n  namespace: kube-public")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [moved]}}))
        await settled(rig, "71", "72")
        assert [o["metadata"]["namespace"] for o in _ours(sim_cluster)] == ["kube-public"]
        found = (await rig.status("71")).resource("a1", "p+edge", "r1+ConfigMap")
        assert (found.status, found.reference) == ("Applied", "72")


async def test_an_object_that_moves_to_another_app_stays(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1"), config_map("r2")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r1")]}, "a2": {"edge": [config_map("r2")]}}))
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r2"]
        assert sim_cluster.counts["delete", "configmaps"] == 0


async def test_the_apps_of_an_update_wait_for_each_other(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=0.2)
    needs = {"web": (Dependency("db", "Ready"),)}
    async with running(tmp_path, [edge]) as rig:
        await rig.install(context("71", {"db": {"edge": [deployment("db")]}, "web": {"edge": [config_map("web")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.until("71", lambda s: s.cluster("db", "p+edge").ready is True)
        later = {"db": {"edge": [deployment("db", replicas=2)]}, "web": {"edge": [config_map("web", x="2")]}}
        await rig.update("71", revision("72", later, dependencies=needs))
        await rig.until("71", lambda s: s.resource("web", "p+edge", "web+ConfigMap").reference == "72")
        (found,) = edge.objects("Deployment")
        assert found["status"]["readyReplicas"] == 2
        await settled(rig, "71", "72")


async def test_the_watch_speaks_of_the_new_revision_and_goes_on(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [deployment("d")], "cloud": [deployment("d")]}}))
        await rig.until("71", lambda s: all(c.ready for c in s.clusters.values()))
        apps = {"a1": {"edge": [deployment("d")], "cloud": [deployment("d"), deployment("e")]}}
        await rig.update("71", revision("72", apps))
        await settled(rig, "71", "72")
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "e+Deployment").ready is True)
        status = await rig.until("71", lambda s: all(c.ready for c in s.clusters.values()))
        assert {c.reference for c in status.clusters.values()} == {"72"}
        assert {c.connectivity for c in (await rig.status("72")).clusters.values()} == {"Available"}
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.until("72", lambda s: s.cluster("a1", "p+edge").connectivity == "Retrying")
        edge.faults.end_outage()


class Gated:
    """A bus that takes a write about a cluster's phase only when the gate is open."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.open.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def transact(self, operations: Sequence[Put | Delete], **named: Any) -> int | None:
        if any(operation.key.endswith(keys.PHASE) for operation in operations):
            self.reached.set()
            await self.open.wait()
        return await self._bus.transact(operations, **named)


async def test_nothing_is_sent_before_the_bus_knows_that_it_is_under_way(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    gates: list[Gated] = []

    def wrap(bus: ContextBus) -> Gated:
        gates.append(Gated(bus))
        return gates[0]

    async with running(tmp_path, [sim_cluster], wrap_bus=wrap) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        (gate,) = gates
        gate.open.clear()
        gate.reached.clear()
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r1", x="2")]}}))
        await asyncio.wait_for(gate.reached.wait(), 10)
        await asyncio.sleep(0.1)
        assert sim_cluster.counts["apply", "configmaps"] == 1
        gate.open.set()
        await settled(rig, "71", "72")
        assert sim_cluster.counts["apply", "configmaps"] == 2


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.08, 0.12, 0.2])
@pytest.mark.robustness(58, 64)
async def test_an_update_that_is_cut_off_is_finished_by_the_next_process(
    tmp_path: Path, sim_cluster: SimCluster, moment: float
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map(f"r{n}") for n in range(6)]}}))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.add(Rule(latency=0.02))
        changed = [config_map(f"r{n}", x="2") for n in range(3)]
        await rig.update("71", revision("72", {"a1": {"edge": [*changed, config_map("new")]}}))
        await asyncio.sleep(moment)
    async with running(tmp_path, [sim_cluster]) as rig:
        await settled(rig, "71", "72")
        assert rig.labelled("edge") == ["ConfigMap/new", "ConfigMap/r0", "ConfigMap/r1", "ConfigMap/r2"]


async def test_what_is_being_terminated_is_not_updated(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.contexts.write_new(revision("72", {"a1": {"edge": [config_map("r2")]}}))
        for old, new, text in (("71", "404", "Error finding"), ("", "72", "appContexID is nil")):
            with pytest.raises(grpc.RpcError) as caught:
                await rig.update(old, new)
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert text in caught.value.details()
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.uninstall("71")
        await rig.until_state("71", "Terminating")
        with pytest.raises(grpc.RpcError, match="context 71 is being terminated"):
            await rig.update("71", "72")
        sim_cluster.faults.end_outage()
        await rig.until_state("71", "Terminated")
        with pytest.raises(grpc.RpcError, match="context 71 is Terminated"):
            await rig.roll_back("72", "71")


async def test_a_further_update_takes_the_place_of_one_that_is_not_done(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")], "cloud": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.update("71", revision("72", {"a1": {"edge": [config_map("r2")], "cloud": [config_map("r2")]}}))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Applied")
        await rig.update("72", revision("73", {"a1": {"edge": [config_map("r3")], "cloud": [config_map("r3")]}}))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r3+ConfigMap").status == "Applied")
        edge.faults.end_outage()
        await settled(rig, "72", "73")
        assert rig.labelled("edge") == rig.labelled("cloud") == ["ConfigMap/r3"]
        assert (await rig.status("71")).status == "UpdatedFailed"
        assert await rig.error("71") == "cut short by an update to context 73"
        assert [e.status for e in (await rig.status("72")).queue or ()] == ["Skip"]


async def test_an_update_is_taken_back_while_it_is_under_way(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a1": {"edge": [config_map("r1")], "cloud": [config_map("r1")]}}))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        changed = {"a1": {"edge": [config_map("r2")], "cloud": [config_map("r1", x="2"), config_map("r2")]}}
        await rig.update("71", revision("72", changed))
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Applied")
        await rig.roll_back("72", "71")
        await rig.until("71", lambda s: s.resource("a1", "p+cloud", "r2+ConfigMap").status == "Deleted")
        edge.faults.end_outage()
        await settled(rig, "72", "71")
        assert rig.labelled("edge") == rig.labelled("cloud") == ["ConfigMap/r1"]
        assert {o["data"]["a"] for cluster in sim_clusters for o in _ours(cluster)} == {"b"}


async def test_after_a_restart_the_new_revision_is_watched_and_the_old_one_is_not(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a1": {"edge": [deployment("d")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", {"a1": {"edge": [deployment("d"), deployment("e")]}}))
        await settled(rig, "71", "72")
        await rig.until("71", lambda s: s.cluster("a1", "p+edge").ready is True)
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
        await somebody.delete(Ref(Kind("apps/v1", "Deployment"), "e", "default"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until("71", lambda s: s.resource("a1", "p+edge", "e+Deployment").ready is False)
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.until("72", lambda s: s.cluster("a1", "p+edge").connectivity == "Retrying")
        assert (await rig.status("71")).cluster("a1", "p+edge").connectivity == "Available"
        sim_cluster.faults.end_outage()
