"""Every cell of the table of transitions (spec orchestrator-lifecycle 1.1), and what a refusal says (2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from emco_common.appcontext import AppContext, ContextState, Meta
from tests.api.orchestrator.lifecycle import key_of, world
from tests.support.core import Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

STATES = ("Created", "Approved", "Instantiated", "InstantiateStopped", "Terminated", "TerminateStopped", "Updated")
NOT_RUNNING = "DeploymentIntentGroup is not instantiated :{g}"
NOT_APPROVED = "DeploymentIntentGroup is not approved :{g}"
RUNNING = "DeploymentIntentGroup has already been instantiated{g}"
Cell = str | list[str]
"""What is refused says a text; what is granted adds states to the history."""

TABLE: dict[str, tuple[Cell, ...]] = {
    "approve": (
        ["Approved"],
        [],
        RUNNING,
        "DeploymentIntentGroup is in an unknown stateInstantiateStopped",
        ["Approved"],
        "DeploymentIntentGroup is in an unknown stateTerminateStopped",
        ["Approved"],
    ),
    "instantiate": (
        "DeploymentIntentGroup must be Approved before instantiating{g}",
        ["Instantiated"],
        RUNNING,
        "DeploymentIntentGroup has already been instantiated and stopped{g}",
        ["Instantiated"],
        ["Instantiated"],
        "DeploymentIntentGroup is in an unknown stateUpdated",
    ),
    "terminate": (
        NOT_RUNNING,
        NOT_RUNNING,
        ["Terminated"],
        ["Terminated"],
        NOT_RUNNING,
        NOT_RUNNING,
        NOT_RUNNING,
    ),
    "stop": (
        "DeploymentIntentGroup have not been approved: {g}",
        "DeploymentIntentGroup has not been instantiated:{g}",
        ["InstantiateStopped"],
        "DeploymentIntentGroup instantiation already stopped: {g}",
        ["TerminateStopped"],
        "DeploymentIntentGroup termination already stopped: {g}",
        "DeploymentIntentGroup is in an invalid state: {g} Updated",
    ),
    "update": (
        NOT_RUNNING,
        NOT_RUNNING,
        ["Updated", "Instantiated"],
        ["Updated", "Instantiated"],
        NOT_RUNNING,
        NOT_RUNNING,
        NOT_RUNNING,
    ),
    "migrate as source": (
        NOT_RUNNING,
        NOT_RUNNING,
        ["Updated"],
        ["Updated"],
        NOT_RUNNING,
        NOT_RUNNING,
        NOT_RUNNING,
    ),
    "migrate as target": (
        NOT_APPROVED,
        ["Instantiated"],
        NOT_APPROVED,
        NOT_APPROVED,
        NOT_APPROVED,
        NOT_APPROVED,
        NOT_APPROVED,
    ),
    "rollback": (
        NOT_RUNNING,
        NOT_RUNNING,
        ["Updated", "Instantiated"],
        ["Updated", "Instantiated"],
        NOT_RUNNING,
        NOT_RUNNING,
        NOT_RUNNING,
    ),
}
ROWS = [
    pytest.param(
        verb,
        state,
        cell,
        marks=pytest.mark.conforms(f"orchestrator-lifecycle 1.1: {verb} in {state}"),
        id=f"{verb} in {state}",
    )
    for verb, cells in TABLE.items()
    for state, cell in zip(STATES, cells, strict=True)
]


class Lives:
    """Contexts for groups that a test puts into a state."""

    def __init__(self, world: Core) -> None:
        self._world = world
        self._next = 1000

    async def context(self, status: str) -> str:
        self._next += 1
        instance = str(self._next)
        await self._world.contexts.write_new(AppContext(instance, meta=Meta(project="p")))
        await self._world.set_status(instance, status)
        return instance

    async def history_up_to(self, state: str) -> list[tuple[str, str]]:
        """A history that ends in ``state``; its deployments have two revisions."""
        actions: list[tuple[str, str]] = [("Created", "")]
        if state == "Created":
            return actions
        actions.append(("Approved", ""))
        if state == "Approved":
            return actions
        going = state.startswith("Terminat")
        first = await self.context(ContextState.UPDATED)
        second = await self.context(ContextState.TERMINATED if going else ContextState.INSTANTIATING)
        actions += [("Instantiated", first), ("Updated", first), ("Instantiated", second)]
        if state in ("Instantiated",):
            return actions
        return [*actions, (state, second)]


@pytest.fixture(scope="module")
def lives(world: Core) -> Lives:
    return Lives(world)


@pytest.mark.parametrize(("verb", "state", "cell"), ROWS)
async def test_a_call_in_a_state_does_what_the_table_says(
    world: Core, lives: Lives, verb: str, state: str, cell: Cell
) -> None:
    name = f"{verb}-{state}".replace(" ", "-").lower()
    path = await world.group(name)
    actions = await lives.history_up_to(state)
    if (verb, state) == ("stop", "Terminated"):
        await world.set_status(actions[-1][1], ContextState.TERMINATING)
    await world.put_state(key_of(path), *actions)
    before = [state for state, _ in actions]

    answer = await call(world, verb, path)

    document = await world.deps.store.get(key_of(path))
    assert document is not None
    after = [action["state"] for action in document.tags["stateInfo"]["actions"]]
    assert document.tags.get("operation") is None
    if isinstance(cell, str):
        assert (answer.status_code, answer.text) == (409, cell.format(g=name) + "\n")
        assert after == before
    else:
        assert answer.status_code == 202, answer.text
        assert after == before + cell


async def call(world: Core, verb: str, path: str) -> Any:
    match verb:
        case "rollback":
            return await world.call("POST", f"{path}/rollback", named("x", revision="2"))
        case "migrate as source":
            target = await world.group(f"{path.rpartition('/')[2]}-to", version="v2")
            await world.post(f"{target}/approve", expect=202)
            return await migrate(world, path, target)
        case "migrate as target":
            source = await world.group(f"{path.rpartition('/')[2]}-of", version="v2")
            await world.post(f"{source}/approve", expect=202)
            await world.post(f"{source}/instantiate", expect=202)
            return await migrate(world, source, path)
        case _:
            return await world.call("POST", f"{path}/{verb}")


async def migrate(world: Core, source: str, target: str) -> Any:
    key = key_of(target)
    spec = {
        "targetCompositeAppVersion": key["compositeAppVersion"],
        "targetDeploymentIntentGroup": key["deploymentIntentGroup"],
    }
    return await world.call("POST", f"{source}/migrate", named("x", **spec))
