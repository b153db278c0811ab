"""New credentials for a registered cluster: what is kept, who hears of it, and that nothing runs dry meanwhile."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from emco_common.lifecycle import STATE_TAG
from emco_simcluster import SimCluster
from emco_simcluster.tls import User
from tests.api.clm.conftest import CLUSTERS, PROVIDERS, Clm
from tests.api.clm.controllers import Listener
from tests.api.clm.kubeconfigs import CANARY, document, kubeconfig
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, suite

__all__ = ["suite"]

FILE = {"Accept": "application/octet-stream"}
KEY = {"clusterProvider": "p", "cluster": "c"}
SYNC = f"{PROVIDERS}/p/cluster-sync-objects"


async def put(
    client: httpx.AsyncClient, path: str, file: bytes | None, *, name: str = "c", headers: Any = None, **metadata: str
) -> httpx.Response:
    files: dict[str, Any] = {"metadata": (None, json.dumps({"metadata": {"name": name, **metadata}}))}
    if file is not None:
        files["file"] = ("kubeconfig", file)
    return await client.put(path, files=files, headers=headers)


class TestWhatIsKept:
    async def test_the_new_kubeconfig_takes_the_place_of_the_old_and_the_history_stays(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        before = await clm.deps.store.get(KEY)
        file = kubeconfig(document(token=CANARY + "2"))
        answer = await put(clm.client, f"{CLUSTERS}/c", file, description="rotated")
        assert (answer.status_code, answer.json()["metadata"]["description"]) == (200, "rotated")
        assert CANARY not in answer.text
        assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).content == file
        after = await clm.deps.store.get(KEY)
        assert before is not None
        assert after is not None
        assert after.tags[STATE_TAG] == before.tags[STATE_TAG]

    @pytest.mark.parametrize(
        ("name", "file", "status", "text"),
        [
            ("other", "good", 400, "Mismatched name in PUT request"),
            ("c", "missing", 422, "Unable to process file"),
            ("c", "empty", 400, "kubeconfig"),
        ],
    )
    async def test_a_bad_form_changes_nothing(self, clm: Clm, name: str, file: str, status: int, text: str) -> None:
        await clm.provider()
        first = kubeconfig()
        await clm.register("c", first)
        sent = {"good": kubeconfig(), "missing": None, "empty": b""}[file]
        answer = await put(clm.client, f"{CLUSTERS}/c", sent, name=name)
        assert (answer.status_code, text in answer.text) == (status, True)
        assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).content == first

    async def test_only_a_registered_cluster_can_be_changed(self, clm: Clm) -> None:
        await clm.provider()
        answer = await put(clm.client, f"{CLUSTERS}/c", kubeconfig())
        assert (answer.status_code, answer.text) == (404, "Cluster not found\n")

    async def test_a_put_that_is_no_form_is_answered_as_the_original_does(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        answer = await clm.client.put(f"{CLUSTERS}/c", json={"metadata": {"name": "c"}})
        assert (answer.status_code, answer.text) == (405, "")

    async def test_who_read_an_older_state_does_not_overwrite_a_newer_one(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        tag = (await clm.client.get(f"{CLUSTERS}/c")).headers["etag"]
        match = {"If-Match": tag}
        assert (await put(clm.client, f"{CLUSTERS}/c", kubeconfig(), headers=match)).status_code == 200
        assert (await put(clm.client, f"{CLUSTERS}/c", kubeconfig(), headers=match)).status_code == 412

    async def test_the_way_to_a_cluster_cannot_change_from_direct_to_git(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        await clm.post(SYNC, {"metadata": {"name": "s"}, "spec": {"kv": []}})
        git_ops = {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "s", "gitOpsResourceObject": "s"}
        body = {"metadata": {"name": "c"}, "spec": {"gitOps": git_ops}}
        answer = await clm.client.put(f"{CLUSTERS}/c", files={"metadata": (None, json.dumps(body))})
        assert (answer.status_code, "cannot change from none to fluxcd" in answer.text) == (409, True)

    async def test_controllers_hear_of_it_and_one_that_fails_does_not_hold_it_up(self, clm: Clm) -> None:
        listener = Listener()
        async with listener.serving() as port:
            await clm.provider()
            await clm.register("c", kubeconfig())
            await clm.register("boom", kubeconfig())
            spec = {"host": "127.0.0.1", "port": port}
            await clm.post("/v2/clm-controllers", {"metadata": {"name": "one"}, "spec": spec})
            for name in ("c", "boom"):
                answer = await put(clm.client, f"{CLUSTERS}/{name}", kubeconfig(), name=name)
                assert answer.status_code == 200
        assert listener.heard == [("p", "c", "CLUSTER_UPDATED"), ("p", "boom", "CLUSTER_UPDATED")]


def kubeconfig_of(cluster: SimCluster, user: str) -> bytes:
    return cluster.kubeconfig_for(cluster.client(User(user, ("system:masters",)))).encode()


async def test_a_deployment_runs_on_while_the_certificate_of_its_cluster_is_replaced(
    suite: RunningSuite, sim_cluster: SimCluster
) -> None:
    """New work takes the new certificate at once; what runs is neither removed nor made anew."""
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"edge": kubeconfig_of(sim_cluster, "first").decode()})
    group = await shop.group("g")
    await shop.post(f"{group}/instantiate", expect=202)
    await shop.ready(group)
    uids = {found["metadata"]["uid"] for found in sim_cluster.objects("Deployment")}

    path = "/v2/cluster-providers/acme/clusters/edge"
    answer = await put(suite.client, path, kubeconfig_of(sim_cluster, "second"), name="edge")
    assert answer.status_code == 200, answer.text
    sim_cluster.revoked.add("first")
    other = await shop.group("h")
    await shop.post(f"{other}/instantiate", expect=202)
    status = await shop.ready(other)
    assert {one["connectivity"] for app in status["apps"] for one in app["clusters"]} == {"Available"}
    await shop.ready(group)
    assert uids <= {found["metadata"]["uid"] for found in sim_cluster.objects("Deployment")}
    await shop.post(f"{group}/terminate", expect=202)
    await shop.gone(group)


async def test_credentials_that_the_cluster_does_not_know_leave_the_old_ones_in_force(
    suite: RunningSuite, sim_cluster: SimCluster
) -> None:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"edge": kubeconfig_of(sim_cluster, "first").decode()})
    running = await shop.group("g")
    await shop.post(f"{running}/instantiate", expect=202)
    await shop.ready(running)
    sim_cluster.revoked.add("second")
    path = "/v2/cluster-providers/acme/clusters/edge"
    assert (await put(suite.client, path, kubeconfig_of(sim_cluster, "second"), name="edge")).status_code == 200
    other = await shop.group("h")
    await shop.post(f"{other}/instantiate", expect=202)
    await shop.ready(other)
    await shop.ready(running)
