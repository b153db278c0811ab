"""A cluster is not deleted under those who use it, and they are named (spec clm 4.3, 11, defect 18)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emco_common.appcontext import App, AppContext, AppContextStore, Cluster, keys, values
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.operations import OPERATION_TAG
from emco_common.store.api import Document
from tests.api.clm.conftest import CLUSTERS, Clm
from tests.api.clm.kubeconfigs import kubeconfig

KEY = {"clusterProvider": "p", "cluster": "c"}
GROUP = {"project": "shop", "compositeApp": "pos", "compositeAppVersion": "v1", "deploymentIntentGroup": "eu"}
CLOUD = {"project": "shop", "logicalCloud": "lc"}


@pytest.fixture
async def registered(clm: Clm) -> Clm:
    await clm.provider()
    await clm.register("c", kubeconfig())
    return clm


async def use(clm: Clm, key: dict[str, str], state: State, *, status: str = "", cluster: str = "p+c") -> None:
    """A deployment or cloud whose context goes to the cluster."""
    contexts = AppContextStore(clm.deps.bus)
    await contexts.write_new(AppContext("17", (App("web", (Cluster("p+a"), Cluster(cluster))),)))
    if status:
        await clm.deps.bus.put(keys.status("17"), values.encode_state(status))
    info = StateInfo("17", (Action(State.CREATED), Action(state, "17")))
    await clm.deps.store.create(Document(key, {"metadata": {"name": "x"}}, tags={STATE_TAG: info.as_json()}))


async def delete(clm: Clm, query: str = "", **headers: str) -> Any:
    return await clm.client.delete(f"{CLUSTERS}/c{query}", headers=headers)


@pytest.mark.parametrize(
    ("key", "user"),
    [
        (GROUP, "project shop, compositeApp pos, compositeAppVersion v1, deploymentIntentGroup eu"),
        (CLOUD, "project shop, logicalCloud lc"),
    ],
)
@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.INSTANTIATED, "Instantiated"),
        (State.INSTANTIATE_STOPPED, ""),
        (State.UPDATED, "Updated"),
        (State.TERMINATED, "Terminating"),
        (State.TERMINATE_STOPPED, "Terminating"),
    ],
)
async def test_who_is_on_the_cluster_holds_it_without_referring_to_it(
    registered: Clm, key: dict[str, str], user: str, state: State, status: str
) -> None:
    await use(registered, key, state, status=status)
    answer = await delete(registered)
    assert (answer.status_code, f"in use by {user};" in answer.text) == (409, True)


@pytest.mark.parametrize(
    ("state", "status", "cluster"),
    [
        (State.TERMINATED, "Terminated", "p+c"),
        (State.TERMINATED, "TerminateFailed", "p+c"),
        (State.INSTANTIATED, "Instantiated", "p+other"),
    ],
)
async def test_who_has_gone_or_is_elsewhere_does_not(registered: Clm, state: State, status: str, cluster: str) -> None:
    await use(registered, GROUP, state, status=status, cluster=cluster)
    assert (await delete(registered)).status_code == 204


async def test_a_document_that_refers_to_it_is_named_to_who_asks_for_the_detail(registered: Clm) -> None:
    reference = {**CLOUD, "clusterReference": "r1"}
    await registered.deps.store.create(Document(reference, {}, references=(KEY,)))
    text = "Cannot delete without deleting or updating referencing resources first"
    assert (await delete(registered)).text == f"{text}\n"
    problem = (await delete(registered, Accept="application/problem+json")).json()
    assert problem["detail"] == "It is referred to by project shop, logicalCloud lc, clusterReference r1"


async def networks(clm: Clm, state: State, *, status: str) -> None:
    contexts = AppContextStore(clm.deps.bus)
    await contexts.write_new(AppContext("4711"))
    await clm.deps.bus.put(keys.status("4711"), values.encode_state(status))
    document = await clm.deps.store.get(KEY)
    assert document is not None
    info = StateInfo("4711", (Action(State.CREATED), Action(state, "4711")))
    await clm.deps.store.replace(replace(document, tags={STATE_TAG: info.as_json()}))


@pytest.mark.conforms("clm 4.3: cluster DELETE while networks still terminate")
async def test_networks_that_are_still_going_hold_it(registered: Clm) -> None:
    await networks(registered, State.TERMINATED, status="Terminating")
    answer = await delete(registered)
    assert (answer.status_code, answer.text) == (409, "Network intents for cluster have not completed terminating\n")


async def test_networks_under_way_hold_it(registered: Clm) -> None:
    document = await registered.deps.store.get(KEY)
    assert document is not None
    operation = {"verb": "apply", "phase": "building", "instance": "1", "owner": "x", "since": "2026"}
    tags = {**document.tags, OPERATION_TAG: operation}
    await registered.deps.store.replace(replace(document, tags=tags))
    answer = await delete(registered)
    assert (answer.status_code, "apply of its networks is under way" in answer.text) == (409, True)


@pytest.mark.parametrize(("state", "status"), [(State.APPLIED, "Instantiating"), (State.TERMINATED, "Terminating")])
async def test_a_cluster_that_will_not_come_back_can_be_given_up(registered: Clm, state: State, status: str) -> None:
    await networks(registered, state, status=status)
    assert (await delete(registered)).status_code == 409
    assert (await delete(registered, "?force=true")).status_code == 204
    assert not await AppContextStore(registered.deps.bus).exists("4711")


async def test_giving_up_spares_no_children(registered: Clm) -> None:
    await networks(registered, State.APPLIED, status="Instantiated")
    await registered.deps.store.create(Document({**KEY, "network": "blue"}, {}), parent=KEY)
    assert (await delete(registered, "?force=true")).status_code == 409
    found = await registered.deps.store.get(KEY)
    assert found is not None
    assert found.tags[STATE_TAG]["actions"][-1]["reason"] == "given up: deletion was forced"
    await registered.deps.store.delete({**KEY, "network": "blue"})
    assert (await delete(registered)).status_code == 204
