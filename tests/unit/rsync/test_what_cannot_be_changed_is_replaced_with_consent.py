"""Objects that cannot be changed in place (robustness 52): named, and made anew only where the deployment allows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.plan.manifests import parse
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, job, running

pytestmark = pytest.mark.robustness(52)
REFUSED = Rule(verb="apply", resource="configmaps", name="f-emco", status=403, message="no such things here")
ALLOWED = DeliveryOptions(replace=True)
CLAIM = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: one, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"""
FROZEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\nimmutable: true\ndata: {a: one}"


def revision(identity: str, *texts: str, options: DeliveryOptions | None = None) -> AppContext:
    made = context(identity, {"a": {"edge": texts}}, status_context="" if identity == "71" else "71")
    return replace(made, options=options or DeliveryOptions())


async def install(rig: Rig, *texts: str) -> None:
    await rig.install(revision("71", *texts))
    await rig.until_state("71", "Instantiated")


@pytest.fixture
async def somebody(sim_cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as client:
        yield client


async def test_without_consent_it_fails_and_says_which_field_and_what_allows_it(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, job("j"))
        (before,) = sim_cluster.objects("Job")
        await rig.update("71", revision("72", job("j").replace("nginx", "busybox"), config_map("other")))
        await rig.until_state("72", "InstantiateFailed")
        reason = await rig.error("71", "a", "p+edge", "j+Job")
        assert reason.startswith(
            "replace: spec.template cannot be changed in place; allow it with spec.delivery.replace"
        )
        assert sim_cluster.objects("Job")[0]["metadata"]["uid"] == before["metadata"]["uid"]
        assert "ConfigMap/other" in rig.labelled("edge")


async def test_consent_alone_through_an_update_takes_effect(tmp_path: Path, sim_cluster: SimCluster) -> None:
    new = job("j").replace("nginx", "busybox")
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, job("j"))
        (before,) = sim_cluster.objects("Job")
        await rig.update("71", revision("72", new))
        await rig.until_state("72", "InstantiateFailed")
        await rig.update("72", revision("73", new, options=ALLOWED))
        await rig.until_state("73", "Instantiated")
        (after,) = sim_cluster.objects("Job")
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox"
        status = (await rig.status("71")).resource("a", "p+edge", "j+Job")
        assert (status.status, status.reason) == ("Applied", "replaced: spec.template")


async def test_a_claim_is_never_replaced_as_its_data_would_be_lost(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, CLAIM)
        await rig.update("71", revision("72", CLAIM.replace("one", "two"), options=ALLOWED))
        await rig.until_state("72", "InstantiateFailed")
        assert "its data would be lost" in await rig.error("71", "a", "p+edge", "data+PersistentVolumeClaim")
        assert sim_cluster.counts["delete", "persistentvolumeclaims"] == 0


async def test_what_belongs_to_somebody_else_is_not_replaced(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    theirs = parse(FROZEN)[0]
    theirs["data"] = {"a": "theirs"}
    await somebody.create(theirs)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", FROZEN, options=ALLOWED))
        await rig.until_state("71", "InstantiateFailed")
        assert "belongs to somebody else" in await rig.error("71", "a", "p+edge", "f+ConfigMap")
        assert sim_cluster.counts["delete", "configmaps"] == 0


async def test_what_would_be_refused_anew_is_not_deleted(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, FROZEN)
        sim_cluster.faults.add(REFUSED)
        await rig.update("71", revision("72", FROZEN.replace("a: one", "a: two"), options=ALLOWED))
        await rig.until_state("72", "InstantiateFailed")
        assert "no such things here" in await rig.error("71", "a", "p+edge", "f+ConfigMap")
        (found,) = (o for o in sim_cluster.objects("ConfigMap") if o["metadata"]["name"] == "f")
        assert found["data"] == {"a": "one"}


@pytest.mark.robustness(58)
async def test_a_crash_between_deletion_and_new_object_ends_in_the_new_object(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    new = FROZEN.replace("a: one", "a: two")
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, FROZEN)
        sim_cluster.faults.add(Rule(verb="delete", resource="configmaps", name="f", after_write=True, status=503))
        await rig.update("71", revision("72", new, options=ALLOWED))
        await rig.until("71", lambda _: not rig.labelled("edge"))
        sim_cluster.faults.add(Rule(verb="apply", resource="configmaps", name="f", status=503))
    sim_cluster.faults.clear()
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until_state("72", "Instantiated")
    assert (await somebody.get(Ref(Kind("v1", "ConfigMap"), "f", "default")))["data"] == {"a": "two"}
