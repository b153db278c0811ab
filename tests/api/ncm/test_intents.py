"""Network intents over HTTP: what is kept, what is shown, what is refused in which state (spec ncm 2 to 5)."""

from __future__ import annotations

from typing import Any

import pytest

from emco_common.lifecycle import State
from emco_common.store.api import Document
from tests.api.ncm.conftest import KEY, Ncm, network, provider_network

NOWHERE = "/v2/cluster-providers/p/clusters/nowhere"
KINDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("/networks", network(), "Network", "network"),
    ("/provider-networks", provider_network(), "ProviderNet", "provider network"),
]
kinds = pytest.mark.parametrize(("path", "body", "title", "what"), KINDS, ids=["network", "provider network"])


@kinds
async def test_an_intent_is_created_read_listed_replaced_and_deleted(
    ncm: Ncm, path: str, body: dict[str, Any], title: str, what: str
) -> None:
    item = f"{path}/{body['metadata']['name']}"
    assert await ncm.get(path) == []
    assert await ncm.get(item, expect=404) == f"{title} not found"
    created = await ncm.post(path, body)
    assert created["spec"] == body["spec"]
    assert created["metadata"] == {**body["metadata"], "description": "", "userData1": "", "userData2": ""}
    assert await ncm.post(path, body, expect=409) == f"{title} already exists"
    changed = {**body, "metadata": {**body["metadata"], "description": "changed"}}
    assert (await ncm.put(item, changed))["metadata"]["description"] == "changed"
    assert await ncm.get(path) == [await ncm.get(item)]
    await ncm.delete(item)
    assert await ncm.delete(item, expect=404) == "The requested resource not found"
    assert (await ncm.put(item, body))["spec"] == body["spec"]


@kinds
async def test_a_put_of_another_name_is_refused(
    ncm: Ncm, path: str, body: dict[str, Any], title: str, what: str
) -> None:
    assert await ncm.put(f"{path}/other", body, expect=400) == "Mismatched name in PUT request"
    nameless = {**body, "metadata": {"name": ""}}
    assert await ncm.put(f"{path}/other", nameless, expect=400) == "Missing name in PUT request"


@kinds
async def test_an_unknown_cluster_is_not_found_whatever_is_asked(
    ncm: Ncm, path: str, body: dict[str, Any], title: str, what: str
) -> None:
    answers = [
        await ncm.client.post(f"{NOWHERE}{path}", json=body),
        await ncm.client.get(f"{NOWHERE}{path}"),
        await ncm.client.put(f"{NOWHERE}{path}/{body['metadata']['name']}", json=body),
        await ncm.client.delete(f"{NOWHERE}{path}/x"),
    ]
    assert [(answer.status_code, answer.text) for answer in answers] == [(404, "Cluster not found\n")] * 4


EDITS = {
    State.CREATED: (201, 201, 204),
    State.APPLIED: (400, 400, 409),
    State.INSTANTIATE_STOPPED: (409, 409, 409),
    State.TERMINATED: (201, 201, 204),
    State.TERMINATE_STOPPED: (201, 201, 204),
    State.APPROVED: (409, 409, 409),
}


@kinds
@pytest.mark.parametrize("state", EDITS)
async def test_the_state_of_the_cluster_decides_before_the_name_is_looked_up(
    ncm: Ncm, path: str, body: dict[str, Any], title: str, what: str, state: State
) -> None:
    await ncm.post(path, network("old") if title == "Network" else provider_network("old"))
    await ncm.set_state(state)
    create, put, delete = EDITS[state]
    texts = {
        400: f"Existing cluster {what} intents must be terminated before creating",
        409: "Cluster is in an invalid state",
    }
    name = body["metadata"]["name"]
    answers = [await ncm.post(path, body, expect=create), await ncm.put(f"{path}/{name}", body, expect=put)]
    assert all(
        answer == texts.get(status) for answer, status in zip(answers, (create, put), strict=True) if status > 299
    )
    if create > 299:  # also for a name that is taken
        again = network("old") if title == "Network" else provider_network("old")
        assert await ncm.post(path, again, expect=create) == answers[0]
    refused = await ncm.delete(f"{path}/old", expect=delete)
    terminate_first = f"Cluster {what} intents must be terminated before deleting"
    expected = terminate_first if state in (State.APPLIED, State.INSTANTIATE_STOPPED) else texts[409]
    assert delete == 204 or refused == expected


async def test_intents_of_an_applied_cluster_change_for_who_says_that_they_are_pending(ncm: Ncm) -> None:
    await ncm.post("/networks", network("old"))
    await ncm.set_state(State.APPLIED)
    await ncm.post("/networks?pending=true", network("new"))
    await ncm.put("/networks/new?pending=true", network("new"))
    await ncm.delete("/networks/old?pending=true")
    await ncm.post("/provider-networks?pending=true", provider_network())
    assert [found["metadata"]["name"] for found in await ncm.get("/networks")] == ["new"]
    answer = await ncm.client.post(
        "/v2/cluster-providers/p/clusters/c/networks",
        json=network("x"),
        headers={"Accept": "application/problem+json"},
    )
    assert "?pending=true" in answer.json()["detail"]


async def test_pending_does_not_open_what_is_stopped(ncm: Ncm) -> None:
    await ncm.set_state(State.INSTANTIATE_STOPPED)
    assert await ncm.post("/networks?pending=true", network(), expect=409) == "Cluster is in an invalid state"


async def test_a_network_and_a_provider_network_cannot_share_a_name(ncm: Ncm) -> None:
    await ncm.post("/networks", network("same"))
    assert (await ncm.post("/provider-networks", provider_network("same"), expect=409)).startswith(
        "Network already exists: same"
    )
    await ncm.delete("/networks/same")
    await ncm.post("/provider-networks", provider_network("same"))
    assert "ProviderNet already exists" in await ncm.put("/networks/same", network("same"), expect=409)


async def test_a_bad_body_is_told_before_a_bad_state(ncm: Ncm) -> None:
    await ncm.set_state(State.APPLIED)
    assert await ncm.post("/networks", network(cniType="calico"), expect=400) == "Invalid cni type: calico"


async def test_a_cluster_without_history_counts_as_new(ncm: Ncm) -> None:
    key = {**KEY, "cluster": "d"}
    await ncm.deps.store.create(Document(key=key, body={"metadata": {"name": "d"}, "spec": {}}))
    path = "/v2/cluster-providers/p/clusters/d"
    assert (await ncm.client.post(f"{path}/networks", json=network())).status_code == 201
    assert (await ncm.client.post(f"{path}/apply")).status_code == 204
    assert (await ncm.client.get(f"{path}/status")).json()["status"] == "Instantiated"


class TestControllers:
    PATH = "/v2/ncm-controllers"

    async def test_a_controller_is_registered_replaced_and_removed(self, ncm: Ncm) -> None:
        body = {"metadata": {"name": "sriov"}, "spec": {"host": "sriov", "port": 9099, "priority": 3}}
        assert (await ncm.client.get(self.PATH)).json() == []
        assert (await ncm.client.post(self.PATH, json=body)).status_code == 201
        assert (await ncm.client.post(self.PATH, json=body)).text == "NcmController already exists\n"
        changed = {**body, "spec": {"host": "other", "port": 1}}
        assert (await ncm.client.put(f"{self.PATH}/sriov", json=changed)).json()["spec"]["priority"] == 0
        assert (await ncm.client.get(f"{self.PATH}/sriov")).json()["spec"]["host"] == "other"
        assert (await ncm.client.delete(f"{self.PATH}/sriov")).status_code == 204
        assert (await ncm.client.get(f"{self.PATH}/sriov")).text == "NcmController not found\n"

    async def test_an_address_is_required(self, ncm: Ncm) -> None:
        answer = await ncm.client.post(self.PATH, json={"metadata": {"name": "x"}})
        assert (answer.status_code, answer.text) == (400, "Invalid Input:\nhost is required\nport is required\n")


async def test_the_metrics_show_the_networks_that_there_are(ncm: Ncm) -> None:
    await ncm.post("/networks", network())
    await ncm.post("/provider-networks", provider_network())
    shown = (await ncm.client.get("/metrics")).text
    blue = 'emco_cluster_network{cluster="c",clusterprovider="p",cnitype="ovn4nfv",name="blue"} 1.0\n'
    assert blue in shown
    assert 'vlanid="300"' in shown
    assert 'emco_build{component="ncm"' in shown
    await ncm.delete("/networks/blue")
    assert blue not in (await ncm.client.get("/metrics")).text
