"""Contexts on both buses: visible whole or not at all, nobody's change lost, nothing of a neighbour touched."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from emco_common.appcontext import (
    App,
    AppContext,
    AppContextStore,
    Cluster,
    ClusterStatus,
    ClusterUpdate,
    ContextExists,
    ContextNotFound,
    MalformedContext,
    Meta,
    Resource,
    ResourceStatus,
    ResourceUpdate,
    codec,
    keys,
    new_id,
    values,
)
from emco_common.contextbus.api import MAX_TRANSACTION_OPERATIONS, ContextBus, Put
from emco_common.errors import NotFound, Unprocessable
from tests.support.statuses import write_statuses

PATIENCE = 20

EDGE = "prov+edge"


@pytest.fixture
def store(bus: ContextBus) -> AppContextStore:
    return AppContextStore(bus)


@pytest.fixture
async def fresh(store: AppContextStore) -> AsyncIterator[Callable[[], str]]:
    """Ids nobody uses; what is made below them is removed."""
    made: list[str] = []

    def make() -> str:
        made.append(new_id(secrets.randbelow))
        return made[-1]

    yield make
    for context in made:
        await store.delete(context)


def resources(count: int, *, size: int = 20) -> tuple[Resource, ...]:
    return tuple(Resource(f"r{number:04}+ConfigMap", "x" * size) for number in range(count))


def made(context: str, *, count: int = 3, size: int = 20, clusters: tuple[str, ...] = (EDGE,)) -> AppContext:
    on = tuple(Cluster(name, group="1", resources=resources(count, size=size)) for name in clusters)
    return AppContext(context, (App("web", on), App("db")), Meta(project="p", logical_cloud="lc"))


# Whole contexts


async def test_a_context_is_read_as_it_was_written(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = made(fresh(), clusters=("b+c", "a+c"))
    await store.write_new(context)
    assert await store.read(context.id) == context
    assert await store.exists(context.id)


async def test_a_manifest_lies_on_the_bus_as_a_json_string(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = fresh()
    cluster = Cluster(EDGE, resources=(Resource("a+ConfigMap", "x: 1"),))
    await store.write_new(AppContext(context, (App("web", (cluster,)),)))
    entry = await bus.get(keys.resource(context, "web", EDGE, "a+ConfigMap"))
    assert entry is not None
    assert entry.value == b'"x: 1"'


async def test_the_root_key_comes_after_all_others_in_small_transactions(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh(), count=450)
    await store.write_new(context)
    entries = (await bus.range(keys.root(context.id), keys_only=True)).entries
    root, *others = entries
    assert root.key == keys.root(context.id)
    assert max(entry.mod_revision for entry in others) < root.mod_revision
    together = [len(list(group)) for _, group in itertools.groupby(sorted(entry.mod_revision for entry in entries))]
    assert max(together) <= MAX_TRANSACTION_OPERATIONS
    assert len(entries) == len(codec.encode(context))


async def test_large_manifests_are_spread_over_transactions(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = made(fresh(), count=8, size=600_000)
    await store.write_new(context)
    assert await store.read(context.id) == context


async def test_a_context_that_cannot_be_encoded_leaves_no_key(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    twice = Cluster(EDGE, resources=(Resource("a+Pod", "1"), Resource("a+Pod", "2")))
    with pytest.raises(Unprocessable, match="a\\+Pod"):
        await store.write_new(replace(context, apps=(App("web", (twice,)),)))
    assert (await bus.range(keys.root(context.id))).entries == ()


async def test_an_id_that_is_taken_is_an_error_and_leaves_the_context_untouched(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    await store.write_new(context)
    before = (await bus.range(keys.root(context.id))).entries
    with pytest.raises(ContextExists, match="Error creating run time context: Key exists /context/"):
        await store.write_new(replace(made(context.id, count=9), meta=None))
    assert (await bus.range(keys.root(context.id))).entries == before


async def test_of_writers_of_one_id_one_wins_whole(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = fresh()
    candidates = [made(context, count=150 + number) for number in range(4)]
    results = await asyncio.gather(*map(store.write_new, candidates), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [ContextExists] * 3
    assert await store.read(context) == candidates[results.index(None)]


async def test_a_half_written_context_is_not_there_and_can_be_removed(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context, whole = made(fresh()), made(fresh())
    await store.write_new(whole)
    await bus.transact(codec.encode(context)[:-1])
    assert not await store.exists(context.id)
    with pytest.raises(ContextNotFound):
        await store.read(context.id)
    with pytest.raises(ContextExists):
        await store.write_new(context)
    ids = await store.ids()
    assert context.id in ids.incomplete
    assert context.id not in ids.complete
    assert whole.id in ids.complete
    assert await store.delete(context.id)
    await store.write_new(context)
    assert await store.read(context.id) == context


async def test_a_watcher_sees_the_root_key_only_when_all_else_is_there(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh(), count=250)
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(keys.CONTEXTS)) as watch:
        await anext(watch)
        writing = asyncio.create_task(store.write_new(context))
        async for events in watch:
            if any(event.entry.key == keys.root(context.id) for event in events):
                break
        assert await store.read(context.id) == context
        await writing


async def test_deleting_a_context_spares_those_whose_id_begins_alike(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    short = fresh()[:10]
    longer = made(f"{short}0")
    await store.write_new(made(short))
    await store.write_new(longer)
    assert await store.delete(short)
    assert not await store.delete(short)
    assert (await bus.range(keys.root(short))).entries == ()
    assert await store.read(longer.id) == longer
    await store.delete(longer.id)


async def test_an_unknown_context_is_named_in_the_words_of_the_original(
    store: AppContextStore, fresh: Callable[[], str]
) -> None:
    unknown = fresh()
    known = "Error finding the context id: Error getting run time context metadata: Key doesn't exist"
    for reading in (
        store.read(unknown),
        store.snapshot(unknown),
        store.get_status(unknown),
        store.read_meta(unknown),
        store.status_context_id(unknown),
        store.set_stop_flag(unknown, True),
    ):
        with pytest.raises(ContextNotFound) as caught:
            await reading
        assert str(caught.value) == known
    with pytest.raises(ContextNotFound, match="Not a valid context id"):
        await store.read("")


async def test_a_malformed_context_names_the_key(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    await store.write_new(context)
    await bus.put(keys.meta(context.id), b'"not an object"')
    with pytest.raises(MalformedContext, match="/meta/"):
        await store.read(context.id)


# Single values


async def test_meta_is_changed_as_a_whole(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = made(fresh())
    await store.write_new(context)

    async def add_child(child: str) -> None:
        await store.update_meta(context.id, lambda meta: replace(meta, child_contexts=(*meta.child_contexts, child)))

    await asyncio.gather(*(add_child(str(number)) for number in range(6)))
    meta = await store.read_meta(context.id)
    assert meta is not None
    assert sorted(meta.child_contexts) == list("012345")
    assert (meta.project, meta.logical_cloud) == ("p", "lc")


async def test_a_context_may_have_no_meta(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = fresh()
    await store.write_new(AppContext(context, (App("network-intents"),)))
    assert await store.read_meta(context) is None
    with pytest.raises(NotFound):
        await store.update_meta(context, lambda meta: meta)


async def test_a_context_collects_its_own_status_until_told_otherwise(
    store: AppContextStore, fresh: Callable[[], str]
) -> None:
    own, other = made(fresh()), replace(made(fresh()), status_context="7043")
    await store.write_new(own)
    await store.write_new(other)
    assert await store.status_context_id(own.id) == own.id
    assert await store.status_context_id(other.id) == "7043"
    assert (await store.read(other.id)).status_context == "7043"


async def test_the_public_status_is_none_until_it_is_written(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    await store.write_new(context)
    assert await store.get_status(context.id) is None
    await bus.put(keys.status(context.id), values.encode_state("Instantiated"))
    assert await store.get_status(context.id) == "Instantiated"


async def test_the_stop_flag_is_a_boolean_that_can_be_taken_back(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    await store.write_new(context)
    for stop, stored in ((True, b"true"), (False, b"false")):
        await store.set_stop_flag(context.id, stop)
        entry = await bus.get(keys.stop_flag(context.id))
        assert entry is not None
        assert entry.value == stored
        assert (await store.read_status(context.id)).stop is stop


# Statuses


async def test_statuses_are_read_with_their_context_in_one_range(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh(), count=250)
    await store.write_new(context)
    applied = ResourceStatus(status="Applied", reference=context.id, ready=True)
    names = [resource.name for resource in resources(250)]
    await write_statuses(
        bus,
        context.id,
        [
            *(ResourceUpdate("web", EDGE, name, applied) for name in names),
            ClusterUpdate("web", EDGE, ClusterStatus(connectivity="Available", status="{}", ready=True)),
        ],
    )
    snapshot = await store.snapshot(context.id)
    assert all(snapshot.status.resource("web", EDGE, name) == applied for name in names)
    assert snapshot.status.cluster("web", EDGE) == ClusterStatus("Available", "{}", True)
    assert snapshot.context == context


# What controllers change


async def test_a_cluster_is_taken_from_an_app(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = made(fresh(), clusters=("a+c", "a+c2"))
    await store.write_new(context)
    assert await store.delete_cluster(context.id, "web", "a+c")
    assert not await store.delete_cluster(context.id, "web", "a+c")
    assert [cluster.name for cluster in (await store.read(context.id)).apps[0].clusters] == ["a+c2"]


async def test_controllers_that_add_resources_at_once_lose_nothing(
    store: AppContextStore, fresh: Callable[[], str]
) -> None:
    context = made(fresh(), count=1)
    await store.write_new(context)
    added = [Resource(f"added{number}+Secret", "kind: Secret") for number in range(6)]
    await asyncio.gather(*(store.put_resource(context.id, "web", EDGE, resource) for resource in added))
    first, *rest = (await store.read(context.id)).apps[0].clusters[0].resources
    assert first == resources(1)[0]
    assert sorted(rest, key=lambda resource: resource.name) == added


async def test_a_resource_put_again_keeps_its_place(store: AppContextStore, fresh: Callable[[], str]) -> None:
    context = made(fresh(), count=2)
    await store.write_new(context)
    await store.put_resource(context.id, "web", EDGE, Resource("r0000+ConfigMap", "changed"))
    now = (await store.read(context.id)).apps[0].clusters[0].resources
    assert [(resource.name, resource.manifest) for resource in now] == [
        ("r0000+ConfigMap", "changed"),
        ("r0001+ConfigMap", "x" * 20),
    ]


async def test_the_manifest_of_a_hook_can_be_replaced(store: AppContextStore, fresh: Callable[[], str]) -> None:
    hook = Resource("init+Job", "kind: Job")
    context = AppContext(fresh(), (App("web", (Cluster(EDGE, hooks={"pre-install": (hook,)}),)),))
    await store.write_new(context)
    await store.replace_manifest(context.id, "web", EDGE, "init+Job", "changed")
    cluster = (await store.read(context.id)).apps[0].clusters[0]
    assert cluster.hooks == {"pre-install": (Resource("init+Job", "changed"),)}
    assert cluster.resources == ()
    with pytest.raises(NotFound):
        await store.replace_manifest(context.id, "web", EDGE, "absent+Job", "changed")


async def test_a_resource_is_taken_with_all_below_it(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh(), count=2)
    await store.write_new(context)
    status = ResourceStatus("Applied", context.id, True)
    await write_statuses(bus, context.id, [ResourceUpdate("web", EDGE, "r0000+ConfigMap", status)])
    await store.delete_resource(context.id, "web", EDGE, "r0000+ConfigMap")
    names = [resource.name for resource in (await store.read(context.id)).apps[0].clusters[0].resources]
    assert names == ["r0001+ConfigMap"]
    assert (await bus.range(keys.resource(context.id, "web", EDGE, "r0000+ConfigMap"))).entries == ()


async def test_new_ids_are_decimal_numbers_below_the_limit() -> None:
    asked: list[int] = []

    def randbelow(limit: int) -> int:
        asked.append(limit)
        return limit - 1

    assert new_id(randbelow) == str(2**63 - 2)
    assert asked == [2**63 - 1]


async def test_keys_the_store_does_not_know_are_left_alone(
    store: AppContextStore, bus: ContextBus, fresh: Callable[[], str]
) -> None:
    context = made(fresh())
    await store.write_new(context)
    stranger = Put(f"{keys.root(context.id)}stranger/", b"{")
    await bus.transact([stranger])
    assert await store.read(context.id) == context
    await store.update_meta(context.id, lambda meta: replace(meta, project="q"))
    entry = await bus.get(stranger.key)
    assert entry is not None
    assert entry.value == b"{"
