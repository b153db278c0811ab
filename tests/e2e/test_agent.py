"""A cluster that cannot be reached, over REST from its registration to the end: an agent beside it makes the calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emco_simcluster import SimCluster
from tests.e2e.test_level1 import LC, is_ready, retail
from tests.support.agents import agent_process
from tests.support.shop import Shop, objects_of
from tests.support.suite import running_suite

PROVIDER = "/v2/cluster-providers/acme"
TOKEN = "the token of far that nobody guesses"


@pytest.mark.robustness(31)
async def test_a_level_1_cloud_and_an_app_come_to_a_cluster_with_an_agent_and_leave_it(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running_suite(tmp_path / "data", environment={"EMCO_RSYNC_AGENTS_PORT": "0"}) as suite:
        rsync = suite.suite.services["rsync"]
        shop = Shop(suite.client, rsync_port=rsync.grpc_port)
        await shop.found()
        await register(shop, "far", token=TOKEN)
        one = agent_process("acme+far", sim_cluster.kubeconfig, tmp_path, port=rsync.further[0].port, token=TOKEN)
        await one.start()
        try:
            await shop.stock(["far"])
            await retail(shop, "far")
            await shop.post(f"{LC}/instantiate", expect=202)
            cloud = await shop.until(f"{LC}/status", is_ready)
            download = await suite.client.get(f"{LC}/cluster-references/far-ref/kubeconfig")
            group = await shop.group(logicalCloud="retail")
            await shop.post(f"{group}/instantiate", expect=202)
            app = await shop.ready(group)
            brought = objects_of(sim_cluster.objects(namespace="retail"))
            await shop.post(f"{group}/terminate", expect=202)
            await shop.gone(group)
            await shop.post(f"{LC}/terminate", expect=202)
            await shop.gone(LC)
            left = objects_of(sim_cluster.objects())
        finally:
            assert await one.end() == 0

    assert of(cloud) == {("acme", "far", "Available")}
    assert {"Namespace", "Role", "RoleBinding"} == {row["GVK"]["Kind"] for row in cloud["clusters"][0]["resources"]}
    assert (download.status_code, download.content) == (200, b"")  # as for every cluster without kubeconfig
    assert [(one["name"], of(one)) for one in app["apps"]] == [
        (name, {("acme", "far", "Available")}) for name in ("config", "web")
    ]
    assert ("Deployment", "g-web") in brought
    assert [name for kind, name in brought if kind == "ConfigMap"] == [f"g-config-{number}" for number in range(4)]
    assert left == []


async def register(shop: Shop, cluster: str, *, token: str) -> None:
    """As docs/agent.md says it."""
    body = {"metadata": {"name": f"{cluster}-agent"}, "spec": {"kv": [{"agentToken": token}]}}
    await shop.post(f"{PROVIDER}/cluster-sync-objects", body)
    spec = {"gitOps": {"gitOpsType": "agent", "gitOpsReferenceObject": f"{cluster}-agent"}}
    await shop.register({"metadata": {"name": cluster}, "spec": spec}, b"not looked at")


def of(shown: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Which clusters, and whether they are reached."""
    return {(one["clusterProvider"], one["cluster"], one["connectivity"]) for one in shown["clusters"]}
