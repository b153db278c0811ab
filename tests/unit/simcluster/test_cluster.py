"""One simulated cluster and fleets of them: credentials, eyes for tests, controllers, and what they show."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_simcluster import SimCluster, SimFleet, User
from emco_simcluster.controllers.world import ANNOTATION_OUTCOME
from tests.support.simcluster import MakeSimCluster
from tests.unit.simcluster.conftest import MakeClient
from tests.unit.simcluster.test_faults import BODY, MAPS, eventually

Json = dict[str, Any]


def deployment(replicas: int = 1, **annotations: str) -> Json:
    pod = {"containers": [{"name": "c", "image": "i:1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}, "annotations": annotations}, "spec": pod},
        },
    }


DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_whatever_it_shows_it_says_that_it_is_simulated(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    _, version, headers = await client.send("GET", "/version")
    assert version["gitVersion"].endswith("+emco-simulated")
    assert headers["Emco-Simulated"] == "edge"
    for kind, name in (("Node", "edge-simulated-node-1"), ("Namespace", "kube-system")):
        [found] = [o for o in sim_cluster.objects(kind) if o["metadata"]["name"] == name]
        assert found["metadata"]["labels"]["simulated"] == "true"
        assert found["metadata"]["annotations"]["simulated"] == "true"
    assert "simulated" in yaml.safe_load(sim_cluster.kubeconfig)["current-context"]


async def test_the_kubeconfig_has_everything_inline_and_a_current_context(sim_cluster: SimCluster) -> None:
    config = yaml.safe_load(sim_cluster.kubeconfig)
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
    assert set(cluster) == {"server", "certificate-authority-data"}
    assert set(user) == {"client-certificate-data", "client-key-data"}
    assert cluster["server"] == sim_cluster.url


async def test_nobody_gets_in_without_credentials_but_health_is_open(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    stranger = connect(sim_cluster, certificate=False)
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await stranger.send("GET", path))[1] == {"text": "ok"}
    for path in (MAPS, "/apis", "/openapi/v2", "/simulated/faults", "/nothing"):
        assert (await stranger.send("GET", path))[0] == 401
    assert (await connect(sim_cluster, token="wrong").send("GET", MAPS))[0] == 401
    assert (await connect(sim_cluster, token=sim_cluster.token).send("GET", MAPS))[0] == 200


async def test_requests_are_counted_by_verb_and_resource(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    await client.send("PATCH", f"{MAPS}/a", BODY, fieldManager="t")
    await client.send("GET", f"{DEPLOYMENTS}/none")
    await client.send("GET", f"{MAPS}")
    counts = {("apply", "configmaps"): 1, ("get", "deployments"): 1, ("list", "configmaps"): 1}
    assert dict(sim_cluster.counts) == counts
    sim_cluster.counts.clear()
    assert sim_cluster.counts["apply", "configmaps"] == 0


async def test_objects_are_copies(sim_cluster: SimCluster, connect: MakeClient) -> None:
    await connect(sim_cluster).send("POST", MAPS, BODY)
    for found in sim_cluster.objects("ConfigMap"):
        found["metadata"]["name"] = "spoilt"
    assert "a" in {o["metadata"]["name"] for o in sim_cluster.objects("configmaps", "default")}


async def test_a_workload_is_not_ready_before_its_time(make_sim_cluster: MakeSimCluster, connect: MakeClient) -> None:
    cluster = await make_sim_cluster(ready_after=3600.0)
    await connect(cluster).send("POST", DEPLOYMENTS, deployment(replicas=2))

    async def observed() -> Json:
        status: Json = cluster.objects("Deployment")[0]["status"]
        return status if status.get("replicas") == 2 else {}

    status = await eventually(observed)
    assert status["unavailableReplicas"] == 2
    assert {c["type"]: c["status"] for c in status["conditions"]}["Available"] == "False"
    assert {p["status"]["phase"] for p in cluster.objects("Pod")} == {"Pending"}


@pytest.mark.parametrize(("outcome", "phase"), [("never", "Pending"), ("fail", "Failed")])
async def test_a_pod_does_not_become_ready_where_its_annotation_says_so(
    sim_cluster: SimCluster, connect: MakeClient, outcome: str, phase: str
) -> None:
    pod = {"metadata": {"name": "p", "annotations": {ANNOTATION_OUTCOME: outcome}}}
    pod["spec"] = {"containers": [{"name": "c", "image": "i:1"}]}  # type: ignore[assignment]
    await connect(sim_cluster).send("POST", "/api/v1/namespaces/default/pods", pod)

    async def settled() -> Json:
        status: Json = sim_cluster.objects("Pod")[0]["status"]
        return status if "containerStatuses" in status else {}

    status = await eventually(settled)
    assert status["phase"] == phase
    assert not status["containerStatuses"][0]["ready"]


async def test_a_failing_job_says_so(sim_cluster: SimCluster, connect: MakeClient) -> None:
    template = {"metadata": {"annotations": {ANNOTATION_OUTCOME: "fail"}}}
    template["spec"] = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}  # type: ignore[dict-item]
    body = {"metadata": {"name": "j"}, "spec": {"template": template}}
    await connect(sim_cluster).send("POST", "/apis/batch/v1/namespaces/default/jobs", body)

    async def failed() -> bool:
        conditions = sim_cluster.objects("Job")[0]["status"].get("conditions") or ()
        return any(c["type"] == "Failed" and c["reason"] == "BackoffLimitExceeded" for c in conditions)

    assert await eventually(failed)


async def test_services_and_claims_get_what_they_ask_for(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    service = {"metadata": {"name": "s"}, "spec": spec}
    _, made, _ = await client.send("POST", "/api/v1/namespaces/default/services", service)
    assert made["spec"]["clusterIP"]
    assert made["spec"]["ports"][0]["nodePort"] >= 30_000
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    await client.send("POST", "/api/v1/namespaces/default/persistentvolumeclaims", claim)

    async def settled() -> bool:
        [bound] = sim_cluster.objects("PersistentVolumeClaim")
        balanced = next(s for s in sim_cluster.objects("Service") if s["metadata"]["name"] == "s")
        return bound["status"]["phase"] == "Bound" and bool(balanced["status"]["loadBalancer"].get("ingress"))

    assert await eventually(settled)


async def test_a_claim_in_use_waits_for_its_pod(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client, claims = connect(sim_cluster), "/api/v1/namespaces/default/persistentvolumeclaims"
    await client.send("POST", claims, {"metadata": {"name": "c"}, "spec": {}})
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    await client.send("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})
    _, held, _ = await client.send("DELETE", f"{claims}/c")
    assert held["metadata"]["deletionTimestamp"]
    assert (await client.send("GET", f"{claims}/c"))[0] == 200
    await client.send("DELETE", "/api/v1/namespaces/default/pods/p", {"gracePeriodSeconds": 0})

    async def gone() -> bool:
        return (await client.send("GET", f"{claims}/c"))[0] == 404

    assert await eventually(gone)


async def test_the_uid_of_a_cluster_is_its_own_and_stable_for_name_and_seed(make_sim_cluster: MakeSimCluster) -> None:
    first, twin = await make_sim_cluster("a", seed=1), await make_sim_cluster("a", seed=1)
    other, reseeded = await make_sim_cluster("b", seed=1), await make_sim_cluster("a", seed=2)
    assert first.uid == twin.uid
    assert len({first.uid, other.uid, reseeded.uid}) == 3


async def test_a_user_of_another_cluster_is_not_let_in(sim_clusters: list[SimCluster], connect: MakeClient) -> None:
    edge, cloud = sim_clusters
    foreign = yaml.safe_load(edge.kubeconfig_for(cloud.client(User("eve"))))
    import aiohttp

    client = connect(edge)
    assert (await client.send("GET", MAPS))[0] == 200
    cloud_client = connect(cloud)
    cloud_client.url = edge.url
    with pytest.raises(aiohttp.ClientError):
        await cloud_client.send("GET", MAPS)
    assert foreign["clusters"][0]["cluster"]["server"] == edge.url


def descriptors() -> int:
    """How many this process has open; 0 where that cannot be seen."""
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0


async def test_three_hundred_clusters_fit_into_one_process_and_few_descriptors(connect: MakeClient) -> None:
    before = descriptors()
    async with SimFleet([f"c{number}" for number in range(300)]) as fleet:
        assert descriptors() - before <= 300
        assert len({c.url for c in fleet.clusters}) == 300
        last = fleet.clusters[-1]
        assert (await connect(last).send("GET", MAPS))[0] == 200
        assert last.counts["list", "configmaps"] == 1
        assert not fleet.clusters[0].counts


async def test_the_command_writes_kubeconfigs_says_that_it_is_simulated_and_stops_on_a_signal(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emco_simcluster", "--clusters", "edge,cloud", "--write-kubeconfigs", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = []
    async with asyncio.timeout(30):
        while not lines or "Stop them" not in lines[-1]:
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], lines
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await process.wait() == 0
    for name in ("edge", "cloud"):
        file = tmp_path / f"{name}.kubeconfig"
        assert file.stat().st_mode & 0o777 == 0o600
        server = yaml.safe_load(file.read_text())["clusters"][0]["cluster"]["server"]
        assert any(f"simulated cluster {name}: {server}" in line for line in lines)


async def test_a_cluster_is_reached_by_the_name_that_it_is_told_to_advertise(connect: MakeClient) -> None:
    fleet = SimFleet(["edge"])
    await fleet.start(host="0.0.0.0", advertise="127.0.0.1")
    try:
        [cluster] = fleet.clusters
        assert cluster.url.startswith("https://127.0.0.1:")
        assert (await connect(cluster).send("GET", MAPS))[0] == 200
    finally:
        await fleet.stop()
