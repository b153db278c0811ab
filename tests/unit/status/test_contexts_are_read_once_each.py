"""What a query reads from the bus: each context it needs in one range (spec lifecycle 12.4, defect 26)."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from emco_common.appcontext import App, AppContext, AppContextStore, ContextStatus, ResourceStatus, keys, values
from emco_common.appcontext.status import ClusterUpdate, ResourceUpdate
from emco_common.contextbus.api import ContextBus, Range
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.lifecycle import NoStateInformation, State, StateInfo
from emco_common.status import ContextGone, Contexts, StatusQuery, read_contexts
from emco_common.status.query import View
from tests.support.statuses import write_statuses
from tests.unit.status.builders import HQ, RUNNING, applied, cluster, context, history


class Counting:
    """A bus that notes which prefixes are read."""

    def __init__(self, bus: ContextBus) -> None:
        self.bus = bus
        self.ranges: list[str] = []

    async def range(self, prefix: str, *, keys_only: bool = False, limit: int = 0) -> Range:
        self.ranges.append(prefix)
        return await self.bus.range(prefix, keys_only=keys_only, limit=limit)

    def __getattr__(self, name: str) -> object:
        return getattr(self.bus, name)


@pytest.fixture
async def bus() -> AsyncIterator[Counting]:
    opened = await EmbeddedBus.open(":memory:")
    yield Counting(opened)
    await opened.close()


PLACE = ("web", HQ, "web+Role")


def revision(id: str, status_context: str = "") -> AppContext:
    return context(App("web", (cluster(HQ, "web+Role"),)), id=id, status_context=status_context)


async def stored(bus: Counting, *contexts: AppContext, handled_by: str = "7") -> None:
    store = AppContextStore(bus)  # type: ignore[arg-type]
    for one in contexts:
        await store.write_new(one)
        await bus.bus.put(keys.status(one.id), values.encode_state("Instantiated"))
    first = contexts[0]
    whole = applied(first)
    await write_statuses(bus.bus, first.id, [ClusterUpdate(*place, one) for place, one in whole.clusters.items()])
    await write_statuses(bus.bus, first.id, [ResourceUpdate(*PLACE, ResourceStatus("Applied", handled_by))])


async def read(bus: Counting, info: StateInfo, query: StatusQuery | None = None) -> Contexts | None:
    return await read_contexts(AppContextStore(bus), info, query or StatusQuery())  # type: ignore[arg-type]


async def test_nothing_is_read_before_the_first_instantiation(bus: Counting) -> None:
    assert await read(bus, history((State.CREATED, ""), status_context="")) is None
    assert bus.ranges == []


async def test_a_deployment_that_was_never_updated_is_one_range(bus: Counting) -> None:
    await stored(bus, revision("7"))

    found = await read(bus, RUNNING)

    assert found is not None
    assert found.current is found.status
    assert found.current.status.resource(*PLACE) == ResourceStatus("Applied", "7")
    assert bus.ranges == ["/context/7/"]


async def test_the_reason_of_a_failure_comes_along(bus: Counting) -> None:
    await stored(bus, revision("7"))
    await bus.bus.put(keys.resource_reason("7", *PLACE), values.encode("no such namespace"))
    await bus.bus.put(keys.cluster_reason("7", *PLACE[:2]), values.encode("connection refused"))

    found = await read(bus, RUNNING)

    assert found is not None
    assert found.status.status.resource(*PLACE).reason == "no such namespace"
    assert found.status.status.cluster(*PLACE[:2]).reason == "connection refused"


UPDATED = history(
    (State.INSTANTIATED, "7"),
    (State.UPDATED, "8"),
    (State.INSTANTIATED, "8"),
    (State.UPDATED, "9"),
    (State.INSTANTIATED, "9"),
)


async def test_after_updates_the_status_context_and_those_it_refers_to_are_read(bus: Counting) -> None:
    await stored(bus, revision("7"), revision("8", "7"), revision("9", "7"), handled_by="8")

    found = await read(bus, UPDATED)

    assert found is not None
    assert (found.current.context.id, found.status.context.id, list(found.others)) == ("9", "7", ["8"])
    assert bus.ranges == ["/context/9/", "/context/7/", "/context/8/"]


@pytest.mark.parametrize("instance", ["7", "8"])
async def test_an_older_revision_is_shown_with_the_status_where_it_was_collected(bus: Counting, instance: str) -> None:
    await stored(bus, revision("7"), revision("8", "7"), revision("9", "7"))

    found = await read(bus, UPDATED, StatusQuery(instance=instance))

    assert found is not None
    assert (found.current.context.id, found.status.context.id, found.past) == (instance, "7", True)


async def test_an_id_outside_the_history_is_not_found_even_if_there_is_such_a_context(bus: Counting) -> None:
    await stored(bus, revision("7"), revision("666"))

    with pytest.raises(NoStateInformation, match=r"^No state information for 666$"):
        await read(bus, RUNNING, StatusQuery(instance="666"))


@pytest.mark.parametrize(
    ("view", "text"),
    [(View.STATUS, "AppContext for status query not found"), (View.APPS, "AppContext for Apps List status query not")],
)
async def test_a_context_that_is_gone_is_named(bus: Counting, view: View, text: str) -> None:
    with pytest.raises(ContextGone, match=f"^{text}.*: 7 is not"):
        await read(bus, RUNNING, StatusQuery(view=view))


async def test_a_status_context_that_is_gone_is_named(bus: Counting) -> None:
    await stored(bus, revision("9", "7"))

    with pytest.raises(ContextGone, match=r"^Status AppContext for status query not found: 7"):
        await read(bus, UPDATED)


@pytest.mark.parametrize("view", [View.APPS, View.CLUSTERS])
async def test_lists_of_what_should_be_there_need_no_status(bus: Counting, view: View) -> None:
    await stored(bus, revision("7"), revision("9", "7"))

    await read(bus, UPDATED, replace(StatusQuery(), view=view))

    assert bus.ranges == ["/context/9/"]


async def test_a_context_is_known_as_created_until_rsync_has_seen_it(bus: Counting) -> None:
    await AppContextStore(bus).write_new(revision("7"))  # type: ignore[arg-type]

    found = await read(bus, RUNNING)

    assert found is not None
    assert found.current.status == ContextStatus("7")
