"""Every cell of the tables of transitions of groups, clouds and networks, but for the verbs of groups.

Those have a test of their own beside the orchestrator's others. What is in a state here has a history that an earlier
life might have left, and a context of which rsync says what the cell is about.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from emco_common.appcontext import App, AppContext, Cluster, Meta
from tests.conformance.cases import IS_REFERENCED, world
from tests.support.core import CLOUDS, CLUSTERS, GROUP_KEY, GROUPS, Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(10_000)
Answer = tuple[int, str]
"""Status and text of an answer; an empty text is free."""


async def context(world: Core, status: str) -> str:
    """A context of which rsync says ``status``."""
    instance = str(next(_numbers))
    await world.contexts.write_new(AppContext(instance, (App("a", (Cluster("acme+hq"),)),), Meta(project="p")))
    await world.set_status(instance, status)
    return instance


def cells(prefix: str, table: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    """One test a cell of ``{operation: {state: expected}}``."""
    return pytest.mark.parametrize(
        ("operation", "state", "expected"),
        [
            pytest.param(operation, state, expected, marks=pytest.mark.conforms(row), id=row)
            for operation, columns in table.items()
            for state, expected in columns.items()
            for row in [prefix.format(operation=operation, state=state)]
        ],
    )


def agrees(answer: Any, expected: Answer) -> bool:
    said = answer.text.removesuffix("\n")
    return answer.status_code == expected[0] and (not expected[1] or said == expected[1])


# Groups: what may be written in which state (orchestrator-api 6)

LATE = (409, "The specified DeploymentIntentGroup is not in Created status")
GROUP_STATES = {
    "Created": "",
    "Approved": "",
    "Instantiated": "Instantiated",
    "InstantiateStopped": "Instantiating",
    "Terminated": "Terminated",
    "TerminateStopped": "TerminateFailed",
    "Updated": "Updated",
}
OF_WEB = {"compositeProfile": "prod", "version": "r1", "logicalCloud": "lc"}
BUSY = "DeploymentIntentGroup must be terminated before it can be deleted {name}"


@cells(
    "orchestrator-api 6: {operation} of a group in {state}",
    {
        "PUT": {state: (200, "") if state == "Created" else LATE for state in GROUP_STATES},
        "DELETE": {
            state: (409, BUSY) if state in ("Instantiated", "InstantiateStopped") else (204, "")
            for state in GROUP_STATES
        },
    },
)
async def test_a_group_is_changed_only_before_approval_and_deleted_only_when_nothing_is_there(
    world: Core, operation: str, state: str, expected: Answer
) -> None:
    name = f"{operation}-{state}".lower()
    path = await world.group(name, placed=False)
    await group_in(world, name, state, GROUP_STATES[state])

    answer = await world.call(operation, path, named(name, **OF_WEB) if operation == "PUT" else None)

    assert agrees(answer, (expected[0], expected[1].format(name=name))), answer.text


@pytest.mark.conforms("orchestrator-api 5.7: group DELETE while instantiated")
async def test_a_group_is_not_deleted_while_instantiated(world: Core) -> None:
    path = await world.group("running", placed=False)
    await group_in(world, "running", "Instantiated", "Instantiated")
    assert agrees(await world.call("DELETE", path), (409, BUSY.format(name="running")))


@pytest.mark.conforms("orchestrator-api 5.7: group DELETE while it still terminates")
async def test_a_group_is_not_deleted_while_it_still_terminates(world: Core) -> None:
    path = await world.group("leaving", placed=False)
    await group_in(world, "leaving", "Terminated", "Terminating")
    text = "DeploymentIntentGroup has not completed terminating: leaving"
    assert agrees(await world.call("DELETE", path), (409, text))


async def group_in(world: Core, name: str, state: str, status: str) -> None:
    key = {**GROUP_KEY, "deploymentIntentGroup": name}
    if status:
        instance = await context(world, status)
        await world.put_state(key, ("Created", ""), ("Instantiated", instance), (state, instance))
    elif state != "Created":
        await world.put_state(key, ("Created", ""), (state, ""))


# Clouds: what rsync says of the context decides (dcm 5.1, 4.1), or the state (5.5)

GO = (202, "")
NOT_INSTANTIATED = (409, "The Logical Cloud is not instantiated")
FAILED_TERMINATING = (409, "The Logical Cloud has failed terminating, please delete the Logical Cloud")
CANNOT_ADD = (
    409,
    "Cluster References cannot be added/removed unless the Logical Cloud is fully Instantiated or Terminated",
)
SITUATIONS = (
    "no context",
    "Instantiating",
    "Instantiated",
    "InstantiateFailed",
    "Terminating",
    "Terminated",
    "TerminateFailed",
)


def row_of(*answers: Answer) -> dict[str, Answer]:
    return dict(zip(SITUATIONS, answers, strict=True))


def kept(text: str) -> Answer:
    return 409, f"Can't remove Cluster Reference: the Logical Cloud {text}"


CLOUD_TABLE = {
    "instantiate": row_of(
        GO,
        (409, "The Logical Cloud is already instantiating"),
        (409, "The Logical Cloud is already instantiated"),
        (409, "The Logical Cloud has failed instantiating before, please terminate and try again"),
        (409, "The Logical Cloud can't be re-instantiated yet, it is being terminated"),
        GO,
        FAILED_TERMINATING,
    ),
    "terminate": row_of(
        NOT_INSTANTIATED,
        (409, "The Logical Cloud is still instantiating"),
        GO,
        GO,
        (409, "The Logical Cloud is already being terminated"),
        (409, "The Logical Cloud has already been terminated"),
        FAILED_TERMINATING,
    ),
    "update": {s: GO if s == "Instantiated" else NOT_INSTANTIATED for s in SITUATIONS},
    "DELETE": row_of(
        (204, ""),
        (409, "The Logical Cloud is instantiating, please wait and then terminate"),
        (409, "The Logical Cloud is instantiated, please terminate first"),
        (409, "The Logical Cloud has failed instantiating, for safety please terminate and try again"),
        (409, "The Logical Cloud can't be deleted yet, it is being terminated"),
        (204, ""),
        (204, ""),
    ),
}
REFERENCE_TABLE = {
    "added": {s: (201, "") if s in ("no context", "Instantiated", "Terminated") else CANNOT_ADD for s in SITUATIONS},
    "removed": row_of(
        (204, ""),
        kept("is instantiating, please wait and then terminate."),
        (204, ""),
        kept("has failed instantiating, for safety please terminate and try again"),
        kept("is being terminated"),
        (204, ""),
        (204, ""),
    ),
}


async def cloud_in(world: Core, name: str, situation: str, *, referring: bool = True) -> str:
    path = await world.cloud(name, *(["hq"] if referring else []))
    if situation != "no context":
        instance = await context(world, situation)
        state = "Terminated" if situation.startswith("Terminat") else "Instantiated"
        history = [("Created", ""), ("Instantiated", instance)]
        key = {"project": "p", "logicalCloud": name}
        await world.put_state(key, *history, *([(state, instance)] if state == "Terminated" else []))
    return path


@cells("dcm 5.1: {operation} at {state}", CLOUD_TABLE)
async def test_what_rsync_says_of_a_cloud_decides(world: Core, operation: str, state: str, expected: Answer) -> None:
    name = f"{operation}-{state}".lower().replace(" ", "-")
    deletes = operation == "DELETE"
    path = await cloud_in(world, name, state, referring=not deletes)

    answer = await world.call("DELETE", path) if deletes else await world.call("POST", f"{path}/{operation}")

    assert agrees(answer, expected), answer.text


@cells("dcm 4.1: cluster reference {operation} at {state}", REFERENCE_TABLE)
async def test_references_come_and_go_while_nothing_changes(
    world: Core, operation: str, state: str, expected: Answer
) -> None:
    path = f"{await cloud_in(world, f'{operation}-{state}'.lower().replace(' ', '-'), state)}/cluster-references"

    if operation == "removed":
        answer = await world.call("DELETE", f"{path}/hq-ref")
    else:
        answer = await world.call("POST", path, named("east", clusterProvider="acme", cluster="east"))

    assert agrees(answer, expected), answer.text


STOPPED = "LogicalCloud {} already stopped: "


@cells(
    "dcm 5.5: {operation} in {state}",
    {
        "stop": {
            "Created": (409, "LogicalCloud has not been asked to instantiate: "),
            "Instantiated": (200, ""),
            "Updated": (200, ""),
            "Terminated": (200, ""),
            "InstantiateStopped": (409, STOPPED.format("instantiation")),
            "TerminateStopped": (409, STOPPED.format("termination")),
        }
    },
)
async def test_a_cloud_is_stopped_once_while_it_is_under_way(
    world: Core, operation: str, state: str, expected: Answer
) -> None:
    name = f"{operation}-{state}".lower()
    path = await world.cloud(name, "hq")
    key = {"project": "p", "logicalCloud": name}
    if state != "Created":
        instance = await context(world, "Terminating" if "Terminat" in state else "Instantiating")
        await world.put_state(key, ("Created", ""), ("Instantiated", instance), (state, instance))

    answer = await world.call("POST", f"{path}/{operation}")

    assert agrees(answer, expected), answer.text
    if expected[0] == 200:
        reached = "TerminateStopped" if state == "Terminated" else "InstantiateStopped"
        assert (await world.state_of(key))["actions"][-1]["state"] == reached


# Networks of a cluster (ncm 5)

NETWORK = {"cniType": "ovn4nfv", "ipv4Subnets": [{"name": "s", "subnet": "10.0.0.0/24"}]}
CREATED = (201, "")
DONE = (204, "")
INVALID = (409, "Cluster is in an invalid state")
MUST_END = (400, "Existing cluster network intents must be terminated before creating")
HELD = (409, "Cluster network intents must be terminated before deleting")
NOT_APPLIED = (409, "Cluster network intents have not been applied")
NETWORK_STATES = {
    "Created": "",
    "Applied": "Instantiating",
    "InstantiateStopped": "Instantiating",
    "Terminated": "Terminated",
    "TerminateStopped": "Terminating",
}


def states(*answers: Answer) -> dict[str, Answer]:
    return dict(zip(NETWORK_STATES, answers, strict=True))


@cells(
    "ncm 5: {operation} in {state}",
    {
        "create": states(CREATED, MUST_END, INVALID, CREATED, CREATED),
        "delete": states(DONE, HELD, HELD, DONE, DONE),
        "apply": states(DONE, DONE, DONE, DONE, DONE),
        "terminate": states(NOT_APPLIED, DONE, DONE, DONE, DONE),
        "stop": states(
            NOT_APPLIED,
            DONE,
            (409, "Cluster network intents instantiation already stopped"),
            DONE,
            (409, "Cluster network intents termination already stopped"),
        ),
    },
)
async def test_networks_change_while_they_are_not_applied(
    world: Core, operation: str, state: str, expected: Answer
) -> None:
    name = f"{operation}-{state}".lower()
    await world.cluster(name)
    path = f"{CLUSTERS}/{name}"
    await world.post(f"{path}/networks", named("there", **NETWORK))
    if status := NETWORK_STATES[state]:
        if (operation, state) == ("stop", "Terminated"):
            status = "Terminating"
        instance = await context(world, status)
        key = {"clusterProvider": "acme", "cluster": name}
        await world.put_state(key, ("Created", ""), ("Applied", instance), (state, instance))

    if operation == "create":
        answer = await world.call("POST", f"{path}/networks", named("new", **NETWORK))
    elif operation == "delete":
        answer = await world.call("DELETE", f"{path}/networks/there")
    else:
        answer = await world.call("POST", f"{path}/{operation}")

    assert agrees(answer, expected), answer.text


@pytest.mark.conforms("dcm 5.3: terminate while a group uses the cloud")
async def test_a_cloud_with_a_deployment_on_it_is_not_terminated(world: Core) -> None:
    path = await cloud_in(world, "used", "Instantiated")
    await world.post(GROUPS, named("uses", **OF_WEB | {"logicalCloud": "used"}))
    await group_in(world, "uses", "Instantiated", "Instantiated")
    text = "Found at least one DIG associated with Logical Cloud attempted to be terminated"
    assert agrees(await world.call("POST", f"{path}/terminate"), (400, text))
    assert agrees(await world.call("DELETE", f"{CLOUDS}/used"), (409, "")), IS_REFERENCED
