"""A level-1 cloud through the whole suite on simulated clusters: from its intents to its own user (spec dcm 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emco_common.cloudconfig import Access
from emco_simcluster import SimCluster
from tests.support.process import Command
from tests.support.shop import Shop, objects_of
from tests.support.suite import RunningSuite, suite

__all__ = ["suite"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "logical-cloud"
CLOUDS = "/v2/projects/p/logical-clouds"
LC = f"{CLOUDS}/retail"
USER = {"userName": "retail-op", "type": "certificate", "keyType": "ecdsa-p256"}


async def retail(shop: Shop, *clusters: str, **spec: Any) -> None:
    """A level-1 cloud on registered clusters, with a permission in its own namespace."""
    body = {"level": "1", "namespace": "retail", "user": USER} | spec
    await shop.post(CLOUDS, {"metadata": {"name": "retail"}, "spec": body})
    everything = {"namespace": "retail", "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    await shop.post(f"{LC}/user-permissions", {"metadata": {"name": "main"}, "spec": everything})
    for cluster in clusters:
        spec = {"clusterProvider": "acme", "cluster": cluster}
        await shop.post(f"{LC}/cluster-references", {"metadata": {"name": f"{cluster}-ref"}, "spec": spec})


def is_ready(status: Mapping[str, Any]) -> bool:
    return status.get("deployedStatus") == "Instantiated" and status.get("readyStatus") == "Ready"


async def test_a_cloud_gets_a_user_of_its_own_and_loses_it_at_the_end(
    suite: RunningSuite, sim_cluster: SimCluster
) -> None:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"hq": sim_cluster.kubeconfig})
    await retail(shop, "hq")
    await shop.post(f"{LC}/instantiate", expect=202)

    status = await shop.until(f"{LC}/status", is_ready)
    answer = await suite.client.get(f"{LC}/cluster-references/hq-ref/kubeconfig")
    kubeconfig = yaml.safe_load(answer.content)

    assert {row["GVK"]["Kind"]: row.get("readyStatus") for row in status["clusters"][0]["resources"]} == {
        "Namespace": "Ready",
        "CertificateSigningRequest": "Ready",
        "Role": "Ready",
        "RoleBinding": "Ready",
    }
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/yaml")
    assert kubeconfig["current-context"] == "retail-op@hq-ref"
    await shop.post(f"{LC}/terminate", expect=202)
    await shop.gone(LC)
    assert (await suite.client.get(f"{LC}/cluster-references/hq-ref/kubeconfig")).status_code == 409
    assert (await suite.client.get(f"{LC}/cluster-references/hq-ref")).json()["spec"]["certificate"] == ""


async def test_a_live_cloud_grows_shrinks_and_renews_its_certificates(
    suite: RunningSuite, sim_clusters: list[SimCluster]
) -> None:
    edge, cloud = sim_clusters
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"edge": edge.kubeconfig, "cloud": cloud.kubeconfig})
    await retail(shop, "edge")
    await shop.post(f"{LC}/cluster-quotas", {"metadata": {"name": "small"}, "spec": {"pods": "12"}})
    await shop.post(f"{LC}/instantiate", expect=202)
    await shop.until(f"{LC}/status", is_ready)
    first = await certificate_of(suite, "edge")

    elsewhere = {"namespace": "kube-system", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    await shop.post(f"{LC}/user-permissions", {"metadata": {"name": "second"}, "spec": elsewhere})
    await suite.client.delete(f"{LC}/cluster-quotas/small")
    spec = {"clusterProvider": "acme", "cluster": "cloud"}
    await shop.post(f"{LC}/cluster-references", {"metadata": {"name": "cloud-ref"}, "spec": spec})
    await shop.post(f"{LC}/update", expect=202)
    await shop.until(f"{LC}/status", is_ready)

    brought = [(*NAMESPACED, ("Role", "retail-role1"), ("RoleBinding", "retail-roleBinding1"))]
    await shop.until(f"{LC}/status", lambda _: of_retail(edge) == of_retail(cloud) == sorted(*brought))
    assert await certificate_of(suite, "edge") == first

    await shop.post(f"{LC}/renew", expect=202)
    await shop.until(
        f"{LC}/status", lambda status: is_ready(status) and requests_of(edge) == ["retail-retail-user-csr-2"]
    )
    async with asyncio.timeout(20):
        while await certificate_of(suite, "edge") == first:  # noqa: ASYNC110  # over HTTP
            await asyncio.sleep(0.05)

    await suite.client.delete(f"{LC}/cluster-references/edge-ref")
    await shop.post(f"{LC}/update", expect=202)
    await shop.until(f"{LC}/status", lambda status: is_ready(status) and of_retail(edge) == requests_of(edge) == [])
    assert requests_of(cloud) == ["retail-retail-user-csr-2"]
    await shop.post(f"{LC}/terminate", expect=202)
    await shop.gone(LC)
    assert (of_retail(cloud), requests_of(cloud)) == ([], [])


NAMESPACED = (("Namespace", "retail"), ("Role", "retail-role0"), ("RoleBinding", "retail-roleBinding0"))


def of_retail(cluster: SimCluster) -> list[tuple[str, str]]:
    """(kind, name) of what the cloud has on the cluster, its signing requests aside."""
    return [(kind, name) for kind, name in objects_of(cluster.objects()) if kind != "CertificateSigningRequest"]


def requests_of(cluster: SimCluster) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.objects("CertificateSigningRequest")]


async def certificate_of(suite: RunningSuite, cluster: str) -> str:
    answer = await suite.client.get(f"{LC}/cluster-references/{cluster}-ref")
    return str(answer.json()["spec"]["certificate"])


async def test_a_deployment_waits_until_the_user_has_access(suite: RunningSuite, sim_cluster: SimCluster) -> None:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"hq": sim_cluster.kubeconfig})
    await retail(shop, "hq")
    group = await shop.group(logicalCloud="retail")
    await shop.post(f"{LC}/instantiate", expect=202)
    await shop.until(f"{LC}/status", is_ready)

    await suite.suite.deps.store.delete(Access("acme", "hq", "1", "retail").key)
    refused = await suite.client.post(f"{group}/instantiate", headers={"Accept": "application/problem+json"})
    status = (await suite.client.get(f"{LC}/status")).json()
    assert (refused.status_code, refused.json()["title"]) == (
        409,
        "The Logical Cloud is still instantiating, please wait and try again.",
    )
    assert refused.json()["detail"].startswith("Its user has no access yet to acme+hq")
    assert (status["deployedStatus"], status["readyStatus"]) == ("Instantiated", "NotReady")

    assert (await suite.client.get(f"{LC}/kubeconfig")).status_code == 200
    await shop.post(f"{group}/instantiate", expect=202)
    await shop.ready(group)
    assert ("Deployment", "g-web") in objects_of(sim_cluster.objects(namespace="retail"))
    assert "Found at least one DIG" in (await shop.post(f"{LC}/terminate", expect=400)).text


async def test_the_example_of_a_logical_cloud_works_as_it_stands(
    suite: RunningSuite, sim_cluster: SimCluster, tmp_path: Path
) -> None:
    await suite.register_rsync()
    shop = Shop(suite.client, rsync_port=0)
    await shop.post("/v2/cluster-providers", {"metadata": {"name": "edge-emea"}})
    for cluster in ("lisbon-1", "porto-1"):  # two names for one cluster, so that the second finds all there already
        body = {"metadata": {"name": cluster}}
        await shop.upload("/v2/cluster-providers/edge-emea/clusters", body, sim_cluster.kubeconfig.encode())
    services = {"orchestrator": "orchestrator", "clm": "clm", "dcm": "dcm", "ncm": "ncm", "ovnaction": "ncm"}
    config = {name: {"host": "127.0.0.1", "port": suite.port(service)} for name, service in services.items()}
    (tmp_path / "emco-cfg.yaml").write_text(yaml.safe_dump(config))
    arguments = (
        "--config",
        "emco-cfg.yaml",
        "apply",
        "-v",
        str(EXAMPLE / "values.yaml"),
        "-f",
        str(EXAMPLE / "retail.yaml"),
    )

    code, output = await Command(*arguments, module="emco_emcoctl", folder=tmp_path, log=tmp_path / "log").run()

    assert code == 0, output
    assert "Response Code: 4" not in output
    await shop.until("/v2/projects/shop/logical-clouds/retail-lc/status", is_ready)
    answer = await suite.client.get("/v2/projects/shop/logical-clouds/retail-lc/kubeconfig")
    assert [one["name"] for one in yaml.safe_load(answer.content)["contexts"]] == [
        "retail-op@lisbon-1",
        "retail-op@porto-1",
    ]
