"""Any sequence of lifecycle calls leaves a state of the table, and each answer agrees with it.

Two groups, a cloud and the networks of a cluster are driven together; rsync finishes at once, later, or fails. The
tables are those that the tests of single cells use. What a table grants may still be refused for what it does not
know, such as work that is under way; then nothing has changed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emco_common.appcontext import ContextNotFound
from tests.api.orchestrator.test_lifecycle_transitions import STATES, TABLE
from tests.conformance.test_integrity import Driver, driver
from tests.support.core import CLOUDS, CLUSTERS, FAILED, GROUP_KEY, SETTLED, UNDER_WAY, Core, named

__all__ = ["driver"]
RUNS = 25 if "EMCO_TEST_SLOW" in os.environ else 4
AT_REST = ("", "Instantiated", "Terminated", "Updated")
GROUPS = {"g": {**GROUP_KEY, "deploymentIntentGroup": "g"}, "h": {**GROUP_KEY, "deploymentIntentGroup": "h"}}
CLOUD = {"project": "p", "logicalCloud": "driven"}
NETWORKS = {"clusterProvider": "acme", "cluster": "netted"}
_BASE = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups"
_CLOUD_LEADS_TO = {"instantiate": "Instantiated", "update": "Updated", "terminate": "Terminated"}
_CLOUD_STATES = {"Created", "Instantiated", "Updated", "Terminated", "InstantiateStopped", "TerminateStopped"}
_NETWORK_LEADS_TO: dict[str, dict[str, tuple[str, ...] | None]] = {
    # None is refused; several: what is there may need doing again
    "apply": {
        "Created": ("Applied",),
        "Applied": ("Applied",),
        "InstantiateStopped": ("InstantiateStopped", "Applied"),
        "Terminated": ("Applied",),
        "TerminateStopped": ("Applied",),
    },
    "terminate": {
        "Created": None,
        "Applied": ("Terminated",),
        "InstantiateStopped": ("Terminated",),
        "Terminated": ("Terminated",),
        "TerminateStopped": ("TerminateStopped", "Terminated"),
    },
    "stop": {
        "Created": None,
        "Applied": ("InstantiateStopped",),
        "InstantiateStopped": None,
        "Terminated": ("TerminateStopped",),
        "TerminateStopped": None,
    },
}


@dataclass(frozen=True)
class Seen:
    """A history's states, and what rsync says of its last context."""

    states: tuple[str, ...]
    instance: str
    status: str
    revision: int

    @property
    def state(self) -> str:
        return self.states[-1]


async def seen(world: Core, key: dict[str, str]) -> Seen:
    actions = (await world.state_of(key))["actions"]
    instance, status = actions[-1]["instance"], ""
    with suppress(ContextNotFound):
        status = str(await world.contexts.get_status(instance) or "") if instance else ""
    return Seen(tuple(action["state"] for action in actions), instance, status, actions[-1]["revision"])


def refused(answer: Any) -> bool:
    assert answer.status_code in (200, 202, 204, 400, 404, 409), f"{answer.request.url}: {answer.text}"
    return bool(answer.status_code >= 400)


async def on_group(world: Core, name: str, wish: str | int) -> None:
    other = "h" if name == "g" else "g"
    before, before_other = await seen(world, GROUPS[name]), await seen(world, GROUPS[other])
    verb = wish if isinstance(wish, str) else _granted(before.state, wish)
    bodies = {
        "rollback": named("x", revision=str(before.revision)),
        "migrate": named("x", targetCompositeAppVersion="v1", targetDeploymentIntentGroup=other),
    }
    answer = await world.call("POST", f"{_BASE}/{name}/{verb}", bodies.get(verb))
    after, after_other = await seen(world, GROUPS[name]), await seen(world, GROUPS[other])

    cell = _cell("migrate as source" if verb == "migrate" else verb, before.state)
    other_cell = _cell("migrate as target", before_other.state) if verb == "migrate" else []
    if refused(answer):
        assert (after.states, after_other.states) == (before.states, before_other.states)
        granted = not isinstance(cell, str) and not isinstance(other_cell, str)
        assert not (granted and before.status in AT_REST and verb not in ("stop", "rollback")), answer.text
        return
    assert not isinstance(cell, str), f"{verb} in {before.state}"
    assert not isinstance(other_cell, str), f"{verb} to {before_other.state}"
    assert after.states == (*before.states, *cell)
    assert after_other.states == (*before_other.states, *other_cell)


def _granted(state: str, number: int) -> str:
    verbs = [v for v in GROUP_VERBS if not isinstance(_cell("migrate as source" if v == "migrate" else v, state), str)]
    return verbs[number % len(verbs)]


def _cell(verb: str, state: str) -> str | list[str]:
    return TABLE[verb][STATES.index(state)]


async def on_cloud(world: Core, verb: str) -> None:
    before = await seen(world, CLOUD)
    answer = await world.call("POST", f"{CLOUDS}/driven/{verb}")
    after = await seen(world, CLOUD)

    assert after.state in _CLOUD_STATES
    if refused(answer):
        assert after.states == before.states
        return
    if verb == "stop":
        assert after.state == ("TerminateStopped" if before.state == "Terminated" else "InstantiateStopped")
    else:
        assert after.state == _CLOUD_LEADS_TO[verb]
    if before.status == "Instantiated" and "Stopped" not in before.state:
        assert verb in ("update", "terminate")
    if before.status in ("", "Terminated"):
        assert verb == "instantiate"


async def on_networks(world: Core, verb: str) -> None:
    before = await seen(world, NETWORKS)
    answer = await world.call("POST", f"{CLUSTERS}/netted/{verb}")
    after = await seen(world, NETWORKS)

    possible = _NETWORK_LEADS_TO[verb][before.state]
    if refused(answer):
        assert after.states == before.states
        assert possible is None or verb == "stop" or before.status not in AT_REST, answer.text
    else:
        assert possible is not None, f"{verb} in {before.state}"
        assert after.state in possible


async def on_network(world: Core, method: str) -> None:
    """Intents come and go while nothing is applied."""
    before = await seen(world, NETWORKS)
    path = f"{CLUSTERS}/netted/networks"
    body = named("n", cniType="ovn4nfv", ipv4Subnets=[{"name": "s", "subnet": "10.0.0.0/24"}])
    answer = await (world.call("POST", path, body) if method == "POST" else world.call("DELETE", f"{path}/n"))
    if before.state in ("Applied", "InstantiateStopped"):
        assert answer.status_code in (400, 404, 409)
    assert (await seen(world, NETWORKS)).states == before.states


async def rsync_comes_to_an_end(world: Core) -> None:
    """What was left under way is done."""
    for key in (*GROUPS.values(), CLOUD, NETWORKS):
        now = await seen(world, key)
        if now.status in ("Instantiating", "Updating"):
            await world.set_status(now.instance, "Instantiated")
        elif now.status == "Terminating":
            await world.set_status(now.instance, "Terminated")


GROUP_VERBS = ("approve", "instantiate", "terminate", "stop", "update", "rollback", "migrate")
"""A number stands for one of the verbs that the table grants at that moment."""
_steps = st.one_of(
    st.tuples(st.just("group"), st.sampled_from(["g", "h"]), st.sampled_from(GROUP_VERBS)),
    st.tuples(st.just("group"), st.sampled_from(["g", "h"]), st.sampled_from(range(12))),
    st.tuples(st.just("group"), st.sampled_from(["g", "h"]), st.sampled_from(range(12))),
    st.tuples(st.just("cloud"), st.sampled_from([*_CLOUD_LEADS_TO, "stop"])),
    st.tuples(st.just("networks"), st.sampled_from([*_NETWORK_LEADS_TO])),
    st.tuples(st.just("rsync")),
    st.tuples(st.just("network"), st.sampled_from(["POST", "DELETE"])),
    st.tuples(st.just("rsync")),
)
_outcomes = st.sampled_from([SETTLED, SETTLED, UNDER_WAY, FAILED])


async def step(world: Core, what: tuple[Any, ...], outcome: dict[str, str]) -> None:
    world.outcome = dict(outcome)
    acts: dict[str, Any] = {"group": on_group, "cloud": on_cloud, "networks": on_networks, "network": on_network}
    if what[0] == "rsync":
        await rsync_comes_to_an_end(world)
    else:
        await acts[what[0]](world, *what[1:])
    for key in GROUPS.values():
        assert (await seen(world, key)).state in STATES
    assert (await seen(world, NETWORKS)).state in _NETWORK_LEADS_TO["apply"]


@pytest.fixture
def world(driver: Driver, tmp_path: Path) -> Core:
    opened = driver.open(tmp_path, "")
    driver.runner.run(opened.world())
    driver.runner.run(_things(opened))
    return opened


async def _things(world: Core) -> None:
    for name in GROUPS:
        await world.group(name)
    await world.cloud("driven", "hq")
    await world.cluster("netted")


async def _begin_anew(world: Core) -> None:
    beneath = await seen(world, {"project": "p", "logicalCloud": "lc"})
    for instance in {*(await world.contexts.ids()).complete} - {beneath.instance}:
        await world.contexts.delete(instance)
    for key in (*GROUPS.values(), CLOUD, NETWORKS):
        await world.put_state(key, ("Created", ""))


def test_any_sequence_of_calls_follows_the_tables(world: Core, driver: Driver) -> None:
    @settings(
        max_examples=RUNS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(st.lists(st.tuples(_steps, _outcomes), min_size=30, max_size=60))
    def followed(steps: list[tuple[tuple[Any, ...], dict[str, str]]]) -> None:
        driver.runner.run(_begin_anew(world))
        for what, outcome in steps:
            driver.runner.run(step(world, what, outcome))

    followed()
