"""Spec dcm 5, 7, 9 and defects 1 to 3, 11 to 14, 17, 19, 25, 26."""

import asyncio

import grpc
import pytest

from emco_common.appcontext import App, AppContext, AppDependencyForm, Cluster, ContextState, Meta, keys
from emco_common.lifecycle import State
from emco_common.operations import Phase
from emco_common.rsyncclient import CONTROLLER_KEY
from emco_common.store.api import Document
from tests.api.dcm.conftest import CLOUDS, LC, Dcm, eventually, reference

IDLE = {"project": "shop", "name": "lc"}


async def states(dcm: Dcm) -> list[tuple[str, str, int]]:
    return [(str(action.state), action.instance, action.revision) for action in (await dcm.info()).actions]


# Instantiate


async def test_a_level_0_cloud_is_instantiated_with_an_empty_context(dcm: Dcm) -> None:
    instance = await dcm.instantiated("paris", "hq")

    assert dcm.rsync.calls == [("install", instance)]
    assert await states(dcm) == [("Created", "", 0), ("Instantiated", instance, 1)]
    assert (await dcm.info()).status_context == instance
    assert (await dcm.get(LC))["spec"]["namespace"] == "default"
    assert await dcm.contexts.read(instance) == AppContext(
        instance,
        (App("logical-cloud", (Cluster("acme+hq"), Cluster("acme+paris"))),),
        Meta(project="shop", logical_cloud="lc", namespace="default", level="0"),
        dependency_form=AppDependencyForm.ABSENT,
    )


async def test_the_context_lies_on_the_bus_as_every_reader_expects_it(dcm: Dcm) -> None:
    instance = await dcm.instantiated("hq")

    entries = (await dcm.deps.bus.range(keys.root(instance))).entries
    kept = {entry.key.removeprefix(keys.root(instance)): entry.value.decode() for entry in entries}

    assert {key: value for key, value in kept.items() if key not in ("meta/", "status/")} == {
        "": f'"{instance}"',
        "app/instruction/order/": '"{\\"apporder\\":[\\"logical-cloud\\"]}"',
        "app/logical-cloud/": '"logical-cloud"',
        "app/logical-cloud/cluster/acme+hq/": '"acme+hq"',
        "app/logical-cloud/cluster/acme+hq/resource/instruction/order/": '"{\\"resorder\\":[]}"',
    }


async def test_a_cloud_without_references_is_refused(dcm: Dcm) -> None:
    await dcm.cloud()

    assert await dcm.refused(f"{LC}/instantiate", 400) == "No Cluster References associated"


@pytest.mark.conforms(
    "dcm 5.2: instantiate over a cluster that is not registered",
    "dcm 5.2: instantiate over clusters of differing namespaces",
)
async def test_clusters_must_be_registered_and_share_a_namespace(dcm: Dcm) -> None:
    await dcm.cluster("odd", namespace="odd-ns")
    await dcm.cloud("hq", "odd")

    assert await dcm.refused(f"{LC}/instantiate", 409) == (
        "The clusters associated to this L0 logical cloud don't all share the same namespace name"
    )
    record = {"cloudConfigClusterProvider": "acme", "cloudConfigCluster": "odd", "level": "0", "namespace": "odd-ns"}
    await dcm.deps.store.delete(record)
    assert await dcm.refused(f"{LC}/instantiate", 409) == "The cluster provided as reference does not exist: acme+odd"
    assert await dcm.contexts_on_the_bus() == set()
    assert await states(dcm) == [("Created", "", 0)]


async def test_of_many_instantiations_at_a_time_one_wins(dcm: Dcm) -> None:
    await dcm.cloud("hq")

    answers = await asyncio.gather(*(dcm.client.post(f"{LC}/instantiate") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    instance = (await dcm.info()).instance
    assert dcm.rsync.calls == [("install", instance)]
    assert await dcm.contexts_on_the_bus() == {instance}


async def test_of_many_terminations_at_a_time_one_wins(dcm: Dcm) -> None:
    instance = await dcm.instantiated()

    answers = await asyncio.gather(*(dcm.client.post(f"{LC}/terminate") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    assert dcm.rsync.calls == [("install", instance), ("uninstall", instance)]


async def test_a_cloud_is_deleted_or_instantiated_but_never_both(dcm: Dcm) -> None:
    await dcm.cluster("hq")
    for _ in range(5):
        await dcm.cloud("hq")
        deleted, instantiated = await asyncio.gather(
            dcm.client.delete(f"{LC}/cluster-references/hq-ref"), dcm.client.post(f"{LC}/instantiate")
        )
        gone, _ = await asyncio.gather(dcm.client.delete(LC), dcm.client.post(f"{LC}/terminate"))

        contexts = await dcm.contexts_on_the_bus()
        if gone.status_code == 204:
            assert contexts == set()
        else:
            assert contexts == {(await dcm.info()).instance} - {""}
        await _tidy(dcm, instantiated.status_code, deleted.status_code)


async def _tidy(dcm: Dcm, instantiated: int, deleted: int) -> None:
    if instantiated == 202:
        await dcm.client.post(f"{LC}/terminate")
    if deleted != 204:
        await dcm.client.delete(f"{LC}/cluster-references/hq-ref")
    await dcm.client.delete(LC)


# When rsync cannot or will not


async def test_without_rsync_nothing_has_happened_and_the_remedy_is_named(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    await dcm.deps.store.delete(CONTROLLER_KEY)

    answer = await dcm.refused(f"{LC}/instantiate", 409)

    assert answer.startswith("queryRsyncInfoInMCODB Failed - Could not get find rsync by name : rsync")
    assert await states(dcm) == [("Created", "", 0)]
    assert (await dcm.info()).status_context == ""
    assert await dcm.contexts_on_the_bus() == set()
    await dcm.rsync.register(dcm.deps.store)
    await dcm.post(f"{LC}/instantiate", expect=202)


async def test_what_rsync_refuses_is_undone(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    dcm.rsync.accepts, dcm.rsync.message = False, "no room"

    assert await dcm.refused(f"{LC}/instantiate", 409) == "InstallApp Failed: no room"
    assert await states(dcm) == [("Created", "", 0)]
    assert await dcm.contexts_on_the_bus() == set()


async def test_a_termination_rsync_refuses_is_undone(dcm: Dcm) -> None:
    instance = await dcm.instantiated()
    dcm.rsync.accepts = False

    assert await dcm.refused(f"{LC}/terminate", 409) == "UninstallApp Failed: "
    assert await states(dcm) == [("Created", "", 0), ("Instantiated", instance, 1)]
    assert await dcm.contexts_on_the_bus() == {instance}
    dcm.rsync.accepts = True
    await dcm.post(f"{LC}/terminate", expect=202)


async def test_a_silent_rsync_is_told_again_until_it_answers(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    dcm.rsync.aborts = grpc.StatusCode.UNAVAILABLE

    answer = await dcm.client.post(f"{LC}/instantiate")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    dcm.rsync.aborts = None
    await dcm.restart()
    await _until_status(dcm, "Instantiated")

    instance = (await dcm.info()).instance
    assert await states(dcm) == [("Created", "", 0), ("Instantiated", instance, 1)]
    assert await dcm.contexts_on_the_bus() == {instance}
    assert dcm.rsync.calls[-1] == ("install", instance)


async def _until_status(dcm: Dcm, wanted: str) -> None:
    async def reached() -> bool:
        return bool((await dcm.get(f"{LC}/status")).get("deployedStatus") == wanted)

    await eventually(reached)


async def test_what_a_crash_left_untold_is_told_at_the_next_start(dcm: Dcm) -> None:
    instance = await dcm.instantiated()
    await dcm.leave("terminate", Phase.HANDOVER, instance)

    busy = "Logical Cloud lc is busy: terminate is under way since 2026-01-01T00:00:00.000+00:00"
    assert (await dcm.refused(f"{LC}/terminate", 409)).startswith(busy)
    await dcm.restart()
    await _until_status(dcm, "Terminated")

    assert dcm.rsync.calls == [("install", instance), ("uninstall", instance)]


async def test_what_a_crash_left_half_built_is_gone_at_the_next_start(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    await dcm.contexts.write_new(AppContext("77", (App("logical-cloud", (Cluster("acme+hq"),)),)))
    await dcm.leave("instantiate", Phase.BUILDING, "77")

    await dcm.restart()
    await eventually(lambda: _idle(dcm))

    assert await dcm.contexts_on_the_bus() == set()
    await dcm.post(f"{LC}/instantiate", expect=202)


async def _idle(dcm: Dcm) -> bool:
    document = await dcm.deps.store.get({"project": "shop", "logicalCloud": "lc"})
    return document is not None and "operation" not in document.tags


async def test_at_start_nothing_is_told_twice(dcm: Dcm) -> None:
    instance = await dcm.instantiated()

    await dcm.restart()
    await dcm.post(f"{LC}/terminate", expect=202)

    assert dcm.rsync.calls == [("install", instance), ("uninstall", instance)]


# What rsync says of the context (5.1; the whole table is a unit test)

_LEAVING = ("Terminating", "Terminated", "TerminateFailed")
_BEING_TERMINATED = "The Logical Cloud can't be re-instantiated yet, it is being terminated"


async def _in(dcm: Dcm, status: str) -> str:
    instance = await dcm.instantiated()
    if status in _LEAVING:
        await dcm.set_info((State.CREATED, ""), (State.INSTANTIATED, instance), (State.TERMINATED, instance))
    await dcm.set_status(instance, status)
    return instance


async def test_what_rsync_is_doing_decides_what_may_be_done(dcm: Dcm) -> None:
    instance = await _in(dcm, "Instantiating")
    history = await dcm.info()

    assert await dcm.refused(f"{LC}/instantiate", 409) == "The Logical Cloud is already instantiating"
    assert await dcm.refused(f"{LC}/terminate", 409) == "The Logical Cloud is still instantiating"
    assert await dcm.refused(f"{LC}/update", 409) == "The Logical Cloud is not instantiated"
    assert await dcm.delete(LC, expect=409) == ("The Logical Cloud is instantiating, please wait and then terminate")
    assert await dcm.contexts_on_the_bus() == {instance}
    assert await dcm.info() == history


@pytest.mark.parametrize("action", ["terminate", "update"])
async def test_a_cloud_that_was_never_instantiated_is_not_instantiated(dcm: Dcm, action: str) -> None:
    await dcm.cloud("hq")

    assert await dcm.refused(f"{LC}/{action}", 409) == "The Logical Cloud is not instantiated"


@pytest.mark.parametrize("status", ["InstantiateFailed", "Instantiated"])
async def test_terminate_goes_where_something_may_be_there(dcm: Dcm, status: str) -> None:
    instance = await _in(dcm, status)

    await dcm.post(f"{LC}/terminate", expect=202)

    assert await states(dcm) == [
        ("Created", "", 0),
        ("Instantiated", instance, 1),
        ("Terminated", instance, 2),
    ]


@pytest.mark.parametrize("status", ["Terminated", "TerminateFailed"])
async def test_a_cloud_at_its_end_can_be_deleted(dcm: Dcm, status: str) -> None:
    await _in(dcm, status)
    await dcm.delete(f"{LC}/cluster-references/hq-ref")

    await dcm.delete(LC)

    assert await dcm.contexts_on_the_bus() == set()


async def test_a_terminated_cloud_is_instantiated_anew_and_its_old_context_goes(dcm: Dcm) -> None:
    first = await dcm.instantiated()
    await dcm.post(f"{LC}/terminate", expect=202)

    await dcm.post(f"{LC}/instantiate", expect=202)

    second = (await dcm.info()).instance
    assert second != first
    assert (await dcm.info()).status_context == second
    assert await eventually(lambda: _only(dcm, second))
    assert [state for state, _, _ in await states(dcm)] == ["Created", "Instantiated", "Terminated", "Instantiated"]


async def _only(dcm: Dcm, instance: str) -> bool:
    return await dcm.contexts_on_the_bus() == {instance}


async def test_a_failed_new_instantiation_leaves_the_terminated_cloud_as_it_was(dcm: Dcm) -> None:
    first = await dcm.instantiated()
    await dcm.post(f"{LC}/terminate", expect=202)
    before = await dcm.info()
    dcm.rsync.accepts = False

    await dcm.post(f"{LC}/instantiate", expect=409)

    assert await dcm.info() == before
    assert await dcm.contexts_on_the_bus() == {first}


async def test_a_context_that_is_gone_is_no_dead_end(dcm: Dcm) -> None:
    instance = await dcm.instantiated()
    await dcm.contexts.delete(instance)

    assert await dcm.refused(f"{LC}/terminate", 409) == "The Logical Cloud has already been terminated"
    await dcm.post(f"{LC}/cluster-references", reference("r", "nowhere"), expect=409)
    assert (await dcm.get(f"{LC}/status", expect=404)).startswith("AppContext for status query not found")
    await dcm.post(f"{LC}/instantiate", expect=202)
    assert (await dcm.get(f"{LC}/status"))["deployedStatus"] == "Instantiated"


async def test_a_cloud_whose_references_are_gone_can_be_terminated(dcm: Dcm) -> None:
    await dcm.instantiated()
    await dcm.delete(f"{LC}/cluster-references/hq-ref")

    await dcm.post(f"{LC}/terminate", expect=202)


# Deployments on the cloud


async def test_a_cloud_with_a_deployment_on_it_is_not_terminated(dcm: Dcm) -> None:
    instance = await dcm.instantiated()
    await dcm.group("idle", State.APPROVED)
    await dcm.group("east", State.INSTANTIATED, instance)

    known = "Found at least one DIG associated with Logical Cloud attempted to be terminated"
    assert await dcm.refused(f"{LC}/terminate", 400) == known
    answer = await dcm.client.post(f"{LC}/terminate", headers={"Accept": "application/problem+json"})
    assert answer.json()["title"] == known
    assert answer.json()["detail"].endswith("deploymentIntentGroup east")


async def test_a_deployment_holds_the_cloud_until_it_is_really_gone(dcm: Dcm) -> None:
    await dcm.instantiated()
    context = AppContext("99", (App("web", (Cluster("acme+hq"),)),))
    await dcm.contexts.write_new(context)
    await dcm.set_status("99", "Terminating")
    await dcm.group("east", State.TERMINATED, "99")

    await dcm.post(f"{LC}/terminate", expect=400)
    await dcm.set_status("99", "Terminated")
    await dcm.post(f"{LC}/terminate", expect=202)


@pytest.mark.parametrize("state", [State.CREATED, State.APPROVED])
async def test_deployments_that_were_never_instantiated_do_not_hold_the_cloud(dcm: Dcm, state: State) -> None:
    await dcm.instantiated()
    await dcm.group("east", state)

    await dcm.post(f"{LC}/terminate", expect=202)


# Update


async def test_an_update_brings_new_references_into_force(dcm: Dcm) -> None:
    first = await dcm.instantiated("hq")
    await dcm.cluster("paris")
    await dcm.post(f"{LC}/cluster-references", reference("paris-ref", "paris"))

    answer = await dcm.post(f"{LC}/update", expect=202)

    second = (await dcm.info()).instance
    assert answer.json() == await dcm.get(LC)
    assert dcm.rsync.calls[-1] == ("update", f"{first}>{second}")
    context = await dcm.contexts.read(second)
    assert [cluster.name for cluster in context.apps[0].clusters] == ["acme+hq", "acme+paris"]
    assert (context.status_context, (await dcm.info()).status_context) == (first, first)
    assert (await states(dcm))[-1] == ("Updated", second, 2)


async def test_all_revisions_share_the_first_status_context(dcm: Dcm) -> None:
    first = await dcm.instantiated("hq")
    for _ in range(2):
        await dcm.post(f"{LC}/update", expect=202)

    assert (await dcm.contexts.read((await dcm.info()).instance)).status_context == first
    await dcm.post(f"{LC}/terminate", expect=202)
    assert (await dcm.info()).status_context == first
    assert (await dcm.get(f"{LC}/status"))["deployedStatus"] == "Terminated"


async def test_an_update_rsync_refuses_is_undone(dcm: Dcm) -> None:
    first = await dcm.instantiated("hq")
    dcm.rsync.accepts = False

    assert await dcm.refused(f"{LC}/update", 409) == "UpdateApp Failed: "
    assert (await dcm.info()).instance == first
    assert await dcm.contexts_on_the_bus() == {first}


async def test_an_update_needs_a_reference(dcm: Dcm) -> None:
    await dcm.instantiated("hq")
    await dcm.delete(f"{LC}/cluster-references/hq-ref")

    assert await dcm.refused(f"{LC}/update", 400) == "No Cluster References associated"


# Stop


async def _stop_flag(dcm: Dcm, instance: str) -> bool | None:
    return (await dcm.contexts.read_status(instance)).stop


async def test_a_cloud_that_is_instantiating_can_be_stopped_and_then_terminated(dcm: Dcm) -> None:
    instance = await _in(dcm, "Instantiating")

    await dcm.post(f"{LC}/stop", expect=200)
    assert await _stop_flag(dcm, instance) is True
    assert (await dcm.info()).state is State.INSTANTIATE_STOPPED
    assert await dcm.refused(f"{LC}/stop", 409) == "LogicalCloud instantiation already stopped: "
    await dcm.refused(f"{LC}/instantiate", 409)
    await dcm.post(f"{LC}/terminate", expect=202)

    assert await _stop_flag(dcm, instance) is False
    assert dcm.rsync.calls[-1] == ("uninstall", instance)


async def test_a_termination_can_be_stopped_and_taken_up_again(dcm: Dcm) -> None:
    instance = await _in(dcm, "Terminating")

    await dcm.post(f"{LC}/stop", expect=200)
    assert (await dcm.info()).state is State.TERMINATE_STOPPED
    assert await dcm.refused(f"{LC}/stop", 409) == "LogicalCloud termination already stopped: "
    assert await dcm.refused(f"{LC}/instantiate", 409) == _BEING_TERMINATED
    await dcm.post(f"{LC}/terminate", expect=202)

    assert await _stop_flag(dcm, instance) is False
    assert (await dcm.get(f"{LC}/status"))["deployedStatus"] == "Terminated"


async def test_an_update_can_be_stopped(dcm: Dcm) -> None:
    await dcm.instantiated()
    dcm.statuses["update"] = ContextState.INSTANTIATING
    await dcm.post(f"{LC}/update", expect=202)

    await dcm.post(f"{LC}/stop", expect=200)

    assert (await dcm.info()).state is State.INSTANTIATE_STOPPED


async def test_there_is_nothing_to_stop_where_nothing_is_under_way(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    assert await dcm.refused(f"{LC}/stop", 409) == "LogicalCloud has not been asked to instantiate: "

    await dcm.post(f"{LC}/instantiate", expect=202)
    assert await dcm.refused(f"{LC}/stop", 409) == "LogicalCloud is not instantiating or terminating: "


# References while the cloud lives

ADD = "Cluster References cannot be added/removed unless the Logical Cloud is fully Instantiated or Terminated"
REMOVE = "Can't remove Cluster Reference: the Logical Cloud is instantiating, please wait and then terminate."


async def test_references_come_and_go_only_while_nothing_changes(dcm: Dcm) -> None:
    instance = await dcm.instantiated()
    await dcm.cluster("paris")
    path = f"{LC}/cluster-references"

    await dcm.set_status(instance, "Instantiating")
    assert await dcm.refused(path, 409, reference("paris-ref", "paris")) == ADD
    assert await dcm.delete(f"{path}/hq-ref", expect=409) == REMOVE
    await dcm.set_status(instance, "Instantiated")
    await dcm.post(path, reference("paris-ref", "paris"))
    await dcm.delete(f"{path}/hq-ref")


# Status


async def test_before_the_first_instantiation_only_the_states_are_known(dcm: Dcm) -> None:
    await dcm.cloud()

    answer = await dcm.get(f"{LC}/status")

    assert list(answer) == ["project", "name", "states"]
    assert await dcm.get(f"{LC}/status?clusters") == IDLE | {"clustersByApp": []}
    assert await dcm.get(f"{LC}/status?resources") == IDLE | {"resourcesByApp": []}


async def test_a_level_0_cloud_is_ready_when_it_is_instantiated(dcm: Dcm) -> None:
    dcm.statuses["install"] = ContextState.INSTANTIATING
    instance = await dcm.instantiated("hq")

    under_way = await dcm.get(f"{LC}/status")
    await dcm.set_status(instance, "Instantiated")
    answer = await dcm.get(f"{LC}/status")

    assert (under_way["deployedStatus"], under_way["readyStatus"]) == ("Instantiating", "NotReady")
    assert list(answer) == ["project", "name", "states", "deployedStatus", "readyStatus"]
    assert (answer["deployedStatus"], answer["readyStatus"]) == ("Instantiated", "Ready")
    assert "readyStatus" not in await dcm.get(f"{LC}/status?status=deployed&output=detail")


async def test_the_clusters_of_a_cloud_are_listed(dcm: Dcm) -> None:
    await dcm.instantiated("hq", "paris")
    hq, paris = ({"clusterProvider": "acme", "cluster": name} for name in ("hq", "paris"))

    assert await dcm.get(f"{LC}/status?clusters&output=nonsense", expect=400) == "Invalid query output\n"
    assert await dcm.get(f"{LC}/status?resources&clusters") == IDLE | {
        "clustersByApp": [{"app": "logical-cloud", "clusters": [hq, paris]}]
    }
    assert await dcm.get(f"{LC}/status?resources&cluster=acme%2Bhq") == IDLE | {
        "resourcesByApp": [{"app": "logical-cloud", **hq, "resources": []}]
    }


async def test_a_bad_query_is_refused_with_the_reason_alone(dcm: Dcm) -> None:
    await dcm.cloud()

    assert await dcm.get(f"{LC}/status?cluster=acme+hq", expect=400) == "Invalid cluster query\n"
    assert await dcm.get(f"{LC}/status?instance=5", expect=400) == "No state information for 5\n"


async def test_clouds_of_one_name_in_two_projects_are_two(dcm: Dcm) -> None:
    await dcm.deps.store.create(Document(key={"project": "other"}, body={"metadata": {"name": "other"}}))
    await dcm.instantiated("hq")
    elsewhere = CLOUDS.replace("shop", "other")
    await dcm.post(elsewhere, {"metadata": {"name": "lc"}, "spec": {"level": "0"}})

    assert len((await dcm.get(f"{elsewhere}/lc/status"))["states"]["actions"]) == 1
    assert await dcm.get(f"{elsewhere}/lc/cluster-references") == []
