"""Networks through the whole suite: clm registers the cluster, rsync brings the resources (spec ncm 6, 7)."""

from __future__ import annotations

import pytest

from emco_common.kube import KubeClient, parse_kubeconfig
from emco_simcluster import SimCluster
from tests.api.ncm.conftest import network, provider_network
from tests.support.nodus import DEFINITIONS, NetworkUser
from tests.support.suite import RunningSuite, suite

__all__ = ["suite"]


@pytest.fixture
async def user(suite: RunningSuite) -> NetworkUser:
    return NetworkUser(suite)


async def define(cluster: SimCluster) -> None:
    """Nodus and Multus come to the cluster."""
    client = KubeClient(parse_kubeconfig(cluster.kubeconfig.encode()))
    for one in DEFINITIONS:
        await client.apply(one, manager="test")
    await client.close()


def names(cluster: SimCluster, kind: str) -> list[str]:
    return sorted(found["metadata"]["name"] for found in cluster.objects(kind))


async def test_networks_come_change_and_go(user: NetworkUser, sim_cluster: SimCluster) -> None:
    await define(sim_cluster)
    await user.onboard(sim_cluster.kubeconfig)
    kv = [{"CNI-Networking-Multi-VM-CNI-Wrapper": "Multus"}]
    await user.post("/kv-pairs", {"metadata": {"name": "cni"}, "spec": {"kv": kv}})
    await user.post("/networks", network("blue"))
    await user.post("/provider-networks", provider_network("uplink", providerNetType="vlan"))
    await user.act("apply")
    status = await user.deployed("Instantiated")
    assert status["deployedCounts"] == {"Applied": 4}
    assert names(sim_cluster, "NetworkAttachmentDefinition") == ["blue", "uplink"]
    assert (await user.client.delete(user.BASE)).text == (
        "Cluster network intents must be terminated before it can be deleted\n"
    )

    await user.post("/networks?pending=true", network("green"))
    assert (await user.client.delete(f"{user.BASE}/networks/blue?pending=true")).status_code == 204
    await user.act("update")
    await user.until(lambda _: names(sim_cluster, "Network") == ["green"])
    status = await user.deployed("Instantiated", "Updated")
    assert names(sim_cluster, "NetworkAttachmentDefinition") == ["green", "uplink"]

    await user.act("terminate")
    await user.deployed("Terminated")
    assert [names(sim_cluster, kind) for kind in ("Network", "ProviderNetwork", "NetworkAttachmentDefinition")] == [
        [],
        [],
        [],
    ]
    for path in ("networks/green", "provider-networks/uplink", "kv-pairs/cni"):
        assert (await user.client.delete(f"{user.BASE}/{path}")).status_code == 204
    assert (await user.client.delete(user.BASE)).status_code == 204


async def test_a_stopped_apply_to_a_cluster_that_is_away_is_superseded_by_terminate(
    user: NetworkUser, sim_cluster: SimCluster
) -> None:
    """Nothing stays behind the unfinished installation (defect 18)."""
    await user.onboard(sim_cluster.kubeconfig)
    await user.post("/networks", network("blue"))
    sim_cluster.close()
    await user.act("apply")
    status = await user.until(lambda found: found["cluster"].get("connectivity") == "Retrying")
    assert status["deployedStatus"] == "Instantiating"
    await user.act("stop")
    await user.act("terminate")
    sim_cluster.open()
    await user.deployed("Terminated")


async def test_networks_that_nodus_must_first_be_installed_for_are_applied_in_the_end(
    user: NetworkUser, sim_cluster: SimCluster
) -> None:
    await user.onboard(sim_cluster.kubeconfig)
    await user.post("/networks", network("blue"))
    await user.act("apply")
    await define(sim_cluster)
    await user.until(lambda _: names(sim_cluster, "Network") == ["blue"])
    await user.deployed("Instantiated")
