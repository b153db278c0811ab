"""A level-1 cloud and a deployment in it over REST, on clusters that follow a repository by Flux and by Anthos."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.test_level1 import LC, is_ready, retail
from tests.fakes.monitor import Monitor
from tests.support.gitserver import git_server
from tests.support.shop import Shop
from tests.support.suite import running_suite

CLUSTERS = {"hq": "fluxcd", "edge": "anthos"}


async def test_a_cloud_and_an_app_come_by_way_of_a_repository_and_leave_it(tmp_path: Path) -> None:
    with git_server(tmp_path / "git") as server:
        quick = {"EMCO_RSYNC_GIT_POLL": "0.3"}
        hq, edge = (Monitor(server, f"acme+{name}") for name in CLUSTERS)
        async with running_suite(tmp_path / "data", environment=quick) as suite, hq.running(), edge.running():
            shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
            await shop.found()
            for name, pairs in (("git-main", server.pairs()), ("times", [{"syncInterval": "60"}])):
                body = {"metadata": {"name": name}, "spec": {"kv": pairs}}
                await shop.post("/v2/cluster-providers/acme/cluster-sync-objects", body)
            for name, kind in CLUSTERS.items():
                spec = {"gitOpsType": kind, "gitOpsReferenceObject": "git-main", "gitOpsResourceObject": "times"}
                body = {"metadata": {"name": name}, "spec": {"gitOps": spec}}
                await shop.register(body, b"not looked at")
            await shop.stock(list(CLUSTERS))
            await retail(shop, *CLUSTERS)
            await shop.post(f"{LC}/instantiate", expect=202)
            await shop.until(f"{LC}/status", is_ready)
            cloud = set(server.files())
            group = await shop.group(logicalCloud="retail")
            await shop.post(f"{group}/instantiate", expect=202)
            await shop.ready(group)
            everything = server.files()
            await shop.post(f"{group}/terminate", expect=202)
            await shop.gone(group)
            await shop.post(f"{LC}/terminate", expect=202)
            await shop.gone(LC)
            left = set(server.files())

    brought = {
        path: json.loads(text) for path, text in everything.items() if path not in cloud and "deployed" not in path
    }
    kinds = {(path.split("/")[0], path.split("/")[-1]) for path in cloud if "/app/logical-cloud/" in path}
    assert ("clusters", "retail+ServiceAccount.yaml") in kinds
    assert ("clusters", "repo-sync-retail+RepoSync.json") in kinds
    [flux_app] = [path for path in brought if path.startswith("clusters/acme+hq/context/") and "/web/g-web+Dep" in path]
    [anthos_app] = [path for path in brought if path.startswith("namespaces/retail/acme+edge/") and "g-web+Dep" in path]
    assert brought[flux_app]["metadata"]["namespace"] == brought[anthos_app]["metadata"]["namespace"] == "retail"
    accounts = [obj["spec"].get("serviceAccountName") for obj in brought.values() if obj["kind"] == "Kustomization"]
    assert accounts == ["retail-sa"]
    assert {path.rpartition("/")[2] for path in left} == {"README.md", "deployed"}
