"""A level-0 cloud through the whole suite: clm registers its clusters, rsync takes up its context (spec dcm 13)."""

from typing import Any

from emco_simcluster import SimCluster
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, suite

__all__ = ["suite"]

LC = "/v2/projects/p/logical-clouds/lc"


async def test_a_cloud_lives_and_ends_with_the_real_rsync(suite: RunningSuite, sim_cluster: SimCluster) -> None:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"hq": sim_cluster.kubeconfig})

    running = await _status(suite)
    await shop.post(f"{LC}/terminate", expect=202)
    ended = await shop.gone(LC)
    await shop.post(f"{LC}/instantiate", expect=202)
    again = await shop.until(f"{LC}/status", lambda status: status.get("deployedStatus") == "Instantiated")

    assert (running["deployedStatus"], running["readyStatus"]) == ("Instantiated", "Ready")
    assert [action["state"] for action in ended["states"]["actions"]] == ["Created", "Instantiated", "Terminated"]
    assert again["states"]["statusctxid"] != ended["states"]["statusctxid"]


async def test_a_cloud_is_held_by_the_deployment_on_it(suite: RunningSuite, sim_cluster: SimCluster) -> None:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"hq": sim_cluster.kubeconfig})
    group = await shop.group()
    await shop.post(f"{group}/instantiate", expect=202)
    await shop.ready(group)

    refused = await shop.post(f"{LC}/terminate", expect=400)
    assert refused.text.strip().endswith("attempted to be terminated")
    assert (await suite.client.delete(LC)).status_code == 409
    await shop.post(f"{group}/terminate", expect=202)
    await shop.gone(group)
    await shop.post(f"{LC}/terminate", expect=202)
    await shop.gone(LC)
    assert (await suite.client.delete(f"{LC}/cluster-references/hq")).status_code == 204


async def _status(suite: RunningSuite) -> dict[str, Any]:
    answer = await suite.client.get(f"{LC}/status")
    assert answer.status_code == 200, answer.text
    status: dict[str, Any] = answer.json()
    return status
