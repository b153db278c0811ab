"""Spec orchestrator-lifecycle 12: the status of a group over HTTP, every parameter and every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from emco_common.appcontext import ClusterStatus, ClusterUpdate, ResourceStatus, ResourceUpdate
from tests.api.orchestrator.lifecycle import deployed, instances, key_of, world
from tests.support.core import Core
from tests.support.statuses import write_statuses
from tests.unit.status.builders import live, reported

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
HQ = "acme+hq"


async def asked(world: Core, path: str, query: str = "", *, expect: int = 200) -> Any:
    answer = await world.call("GET", f"{path}/status{query}", expect=expect)
    return answer.json() if expect == 200 else answer.text.removesuffix("\n")


async def applied(world: Core, instance: str, *, into: str = "") -> None:
    """What rsync would have written of everything the context has."""
    context = await world.contexts.read(instance)
    updates: list[Any] = []
    for app in context.apps:
        for cluster in app.clusters:
            updates.append(ClusterUpdate(app.name, cluster.name, ClusterStatus(reference=instance)))
            reached = ClusterUpdate(app.name, cluster.name, ClusterStatus(connectivity="Available"))
            await write_statuses(world.deps.bus, instance, [reached])
            for resource in cluster.all_resources():
                state = ResourceStatus("Applied", instance)
                updates.append(ResourceUpdate(app.name, cluster.name, resource.name, state))
    await write_statuses(world.deps.bus, into or instance, updates)


def kinds(answer: Mapping[str, Any]) -> dict[str, str]:
    return {
        row["GVK"]["Kind"]: row.get("deployedStatus", "")
        for app in answer["apps"]
        for cluster in app["clusters"]
        for row in cluster["resources"]
    }


async def test_before_the_first_instantiation_there_is_a_head_and_a_history(world: Core) -> None:
    path = await world.group("new")

    assert list(await asked(world, path)) == [
        *("project", "compositeApp", "compositeAppVersion", "compositeProfile", "name"),
        "states",
    ]
    assert (await asked(world, path, "?apps"))["apps"] == []
    assert (await asked(world, path, "?clusters"))["clustersByApp"] == []
    assert (await asked(world, path, "?resources"))["resourcesByApp"] == []


@pytest.mark.conforms(
    "orchestrator-lifecycle 12.1: empty instance",
    "orchestrator-lifecycle 12.1: unknown instance",
    "orchestrator-lifecycle 12.1: wrong status",
    "orchestrator-lifecycle 12.1: wrong type",
    "orchestrator-lifecycle 12.1: wrong output",
    "orchestrator-lifecycle 12.1: wrong app",
    "orchestrator-lifecycle 12.1: wrong cluster",
    "orchestrator-lifecycle 12.1: wrong resource",
    "orchestrator-lifecycle 12.1: app that is not in the application",
)
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("instance=", "Invalid query instance"),
        ("status=", "Invalid query status"),
        ("status=Ready", "Invalid query status"),
        ("type=", "Invalid query type"),
        ("type=deployed", "Invalid query type"),
        ("status=ready&type=nonsense", "Invalid query type"),
        ("output=", "Invalid query output"),
        ("output=Summary", "Invalid query output"),
        ("app=", "Invalid app query"),
        ("app=-x", "Invalid app query"),
        ("cluster=", "Invalid cluster query"),
        ("cluster=acme+hq", "Invalid cluster query"),
        ("cluster=acme", "Invalid cluster query"),
        ("resource=", "Invalid resources query"),
        ("resource=a%2Fb", "Invalid resources query"),
        ("instance=4711", "No state information for 4711"),
        ("app=nobody", "Filter app nobody not in list of apps for composite app shop"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_the_known_words(world: Core, query: str, text: str) -> None:
    path = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups/asked"
    if (await world.call("GET", path)).status_code == 404:
        await deployed(world, "asked")

    assert await asked(world, path, f"?{query}", expect=400) == text


@pytest.mark.conforms("orchestrator-lifecycle 12.1: group missing")
async def test_a_group_that_is_not_there_is_not_found(world: Core) -> None:
    path = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups/nobody"

    assert await asked(world, path, expect=404) == "DeploymentIntentGroup not found"


@pytest.mark.conforms("orchestrator-lifecycle 12.1: context lost")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "AppContext for status query not found"),
        ("?apps", "AppContext for Apps List status query not found"),
        ("?clusters", "AppContext for status query not found"),
        ("?resources", "Status AppContext for status query not found"),
    ],
)
async def test_a_context_that_is_gone_is_named(world: Core, query: str, text: str) -> None:
    path = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups/lost"
    if (await world.call("GET", path)).status_code == 404:
        await world.group("lost")
    await world.put_state(key_of(path), ("Created", ""), ("Approved", ""), ("Instantiated", "815"))

    assert (await asked(world, path, query, expect=400)).startswith(text)


async def test_of_several_lists_one_is_answered_and_instance_applies_to_all(world: Core) -> None:
    path = await deployed(world, "lists")
    (instance,) = await instances(world, path)

    assert (await asked(world, path, f"?resources&clusters&apps&instance={instance}"))["apps"] == ["web"]
    clusters = (await asked(world, path, "?resources=&clusters=anything"))["clustersByApp"]
    assert clusters == [{"app": "web", "clusters": [{"clusterProvider": "acme", "cluster": "hq"}]}]
    (entry,) = (await asked(world, path, "?resources"))["resourcesByApp"]
    assert list(entry) == ["app", "clusterProvider", "cluster", "resources"]
    assert await asked(world, path, "?apps&instance=4711", expect=400) == "No state information for 4711"
    assert (await asked(world, path, "?clusters&app=nobody"))["clustersByApp"] == []


async def test_an_app_or_cluster_without_a_matching_resource_is_left_out(world: Core) -> None:
    path = await deployed(world, "filtered")
    await applied(world, (await instances(world, path))[0])

    everything = await asked(world, path, "?status=deployed")
    assert set(everything["deployedCounts"]) == {"Applied"}
    for query in ("cluster=acme%2Beast", "resource=nobody"):
        answer = await asked(world, path, f"?status=deployed&{query}")
        assert [key for key in answer if key not in everything or key in ("deployedCounts", "apps")] == []
        assert answer["deployedStatus"] == "Instantiated"
    assert await asked(world, path, "?status=deployed&cluster=acme%2Bhq&cluster=acme%2Beast") == everything


async def test_details_are_what_was_asked_for_or_what_is_there(world: Core) -> None:
    path = await deployed(world, "detailed")
    (instance,) = await instances(world, path)
    rows = (await asked(world, path, "?status=deployed&output=detail"))["apps"][0]["clusters"][0]["resources"]
    assert {row["detail"]["kind"] for row in rows} == {row["GVK"]["Kind"] for row in rows}
    found = live(f"{rows[0]['name']}+{rows[0]['GVK']['Kind']}")
    report = ClusterStatus(status=reported(found))
    await write_statuses(world.deps.bus, instance, [ClusterUpdate("web", HQ, report)])

    ready = (await asked(world, path, "?status=ready&output=detail"))["apps"][0]["clusters"][0]["resources"]

    assert next(row for row in ready if row["name"] == rows[0]["name"])["detail"]["status"] == found["status"]


async def test_every_revision_of_an_updated_group_shows_what_was_collected_of_it(world: Core) -> None:
    """Defect 26: the context of an update is not its own status context."""
    path = await deployed(world, "updated")
    (first,) = await instances(world, path)
    await applied(world, first)
    await world.post(f"{path}/update", expect=202)
    await world.post(f"{path}/update", expect=202)
    _, second, third = await instances(world, path)
    await applied(world, third, into=first)

    for instance in ("", f"&instance={second}", f"&instance={third}"):
        answer = await asked(world, path, f"?status=deployed{instance}")
        assert set(kinds(answer).values()) == {"Applied"}, instance
        assert answer["apps"][0]["clusters"][0]["connectivity"] == "Available", instance
    assert "apps" not in await asked(world, path, f"?status=deployed&instance={first}")


async def test_child_contexts_are_named(world: Core) -> None:
    path = await deployed(world, "parent")
    (instance,) = await instances(world, path)
    await world.contexts.update_meta(instance, lambda meta: replace(meta, child_contexts=("77", "78")))

    assert (await asked(world, path, "?output=summary"))["ChildContextIDs"] == ["77", "78"]


async def test_the_description_names_every_parameter_and_the_stream(world: Core) -> None:
    described = world.services["orchestrator"].app.openapi()["paths"]
    base = "/v2/projects/{project}/composite-apps/{compositeApp}/{compositeAppVersion}"
    status = described[f"{base}/deployment-intent-groups/{{deploymentIntentGroup}}/status"]["get"]
    stream = described[f"{base}/deployment-intent-groups/{{deploymentIntentGroup}}/status/stream"]["get"]
    names = {"instance", "status", "type", "output", "app", "cluster", "resource", "apps", "clusters", "resources"}

    assert names <= {parameter["name"] for parameter in status["parameters"]}
    assert names | {"Last-Event-ID"} <= {parameter["name"] for parameter in stream["parameters"]}
