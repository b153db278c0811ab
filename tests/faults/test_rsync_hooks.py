"""Hooks that fail, hang, lose their image or are taken away: the event ends there and says why (robustness 55)."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.apply.hooklog import MAX_LINE, MAX_LOG, told_of
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import config_map, job, resources, running

PLACE = ("web", "p+edge", "before+Job")
LOG = "one\\nline two\\n\\x1b[31mfatal: no database\\x1b[0m\\n"


def before(identity: str, **annotations: str) -> AppContext:
    """An app whose hook is a Job, with these annotations of its pod."""
    said = ", ".join(f'simulated/{name}: "{text}"' for name, text in annotations.items())
    hook = job("before", hook="pre-install").replace(
        "template:", f"template:\n    metadata: {{annotations: {{{said}}}}}" if said else "template:"
    )
    cluster = Cluster("p+edge", resources=resources(config_map("a")), hooks={"pre-install": resources(hook)})
    return AppContext(identity, (App("web", (cluster,)),), Meta(namespace="default", level="0"))


@pytest.mark.robustness(55)
async def test_a_failed_hook_tells_the_end_of_its_log(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster], hook_log_lines=2) as rig:
        await rig.install(before("71", outcome="fail", log=LOG))
        await rig.until_state("71", "InstantiateFailed")
        reason = await rig.error("71", *PLACE)
        assert "Job has reached the specified backoff limit" in reason
        assert reason.endswith("ends:\nline two\nfatal: no database")
        assert "fatal: no database" in await rig.error("71")
        assert rig.labelled("edge", "ConfigMap") == []


@pytest.mark.robustness(55)
@pytest.mark.parametrize("why", ["turned off", "refused", "cut"])
async def test_a_log_that_is_not_to_be_had_changes_nothing(tmp_path: Path, sim_cluster: SimCluster, why: str) -> None:
    if why == "refused":
        sim_cluster.faults.add(Rule(verb="get", resource="pods/log", status=403))
    if why == "cut":
        sim_cluster.faults.add(Rule(verb="get", resource="pods/log", cut=True))
    async with running(tmp_path, [sim_cluster], hook_log_lines=0 if why == "turned off" else 5) as rig:
        await rig.install(before("71", outcome="fail", log=LOG))
        await rig.until_state("71", "InstantiateFailed")
        reason = await rig.error("71", *PLACE)
        assert reason.startswith("the hook failed: ")
        assert "database" not in reason


@pytest.mark.robustness(55)
async def test_a_hook_without_image_says_so_while_it_waits_and_at_its_deadline(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster], hook_timeout=0.5) as rig:
        await rig.install(before("71", outcome="never"))
        await rig.until("71", lambda s: "ImagePullBackOff" in (s.resource(*PLACE).reason or ""))
        await rig.until_state("71", "InstantiateFailed")
        reason = await rig.error("71", *PLACE)
        assert reason.startswith("the hook failed: not done after 0.5 s")
        assert "ImagePullBackOff: simulated: the image cannot be pulled" in reason


@pytest.mark.robustness(55)
async def test_a_hook_that_somebody_deletes_has_failed_and_may_be_tried_again(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(before("71", outcome="never"))
        await rig.until("71", lambda s: "waits until the hook is done" in (s.resource(*PLACE).reason or ""))
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(Ref(Kind("batch/v1", "Job"), "before", "default"))
        await rig.until_state("71", "InstantiateFailed")
        assert "it was deleted before it had finished" in await rig.error("71", *PLACE)
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        await rig.install(before("72"))
        await rig.until_state("72", "Instantiated")
        assert rig.labelled("edge", "ConfigMap") == ["ConfigMap/a"]


@pytest.mark.robustness(27, 55)
def test_a_log_is_told_without_control_characters_and_within_bounds() -> None:
    first, second, third = told_of(["\x1b[2Ja", "", "\u202eb", "c" * 1000]).split("\n")
    assert (first, second, len(third)) == ("a", "b", MAX_LINE)
    assert len(told_of(["x" * 200] * 200)) == MAX_LOG
