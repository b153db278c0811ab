"""``AppContextStore``: contexts on the bus. Layout and values are ``codec``'s and ``status``'s, this is the traffic.

A context is written in transactions and becomes visible whole, with its root key, at last. Everything that reads,
changes and writes back does so by compare-and-swap, so that writers do not lose each other's changes (D2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emco_common.appcontext import codec, decoding, encoding, keys, values
from emco_common.appcontext.model import AppContext, Meta, Resource
from emco_common.appcontext.status import ContextStatus, decode_status
from emco_common.contextbus.api import (
    Compare,
    ContextBus,
    Delete,
    Entry,
    Put,
)
from emco_common.contextbus.limits import batches
from emco_common.errors import Conflict, NotFound

T = TypeVar("T")

_BATCH_BYTES = 1_048_576
"""Weight from which a new transaction is begun; the server's limit is on the encoded request, which weighs more."""

_IN_FLIGHT = 8
"""Transactions of one context under way at a time."""

_SWAPS = 50
"""Attempts of one compare-and-swap before a writer gives up against others that keep winning."""

ID_LIMIT = 2**63 - 1
"""Context ids are below this (section 3)."""


class ContextNotFound(NotFound):
    """There is no context of this id."""

    def __init__(self, context: str) -> None:
        known = "Error finding the context id: Error getting run time context metadata: Key doesn't exist"
        super().__init__(known if context else "Not a valid context id")


class ContextExists(Conflict):
    """A context of this id is there already, or is being written; it was not touched."""

    def __init__(self, context: str) -> None:
        super().__init__(f"Error creating run time context: Key exists {keys.root(context)}")


class WriteRefused(Conflict):
    """The context is gone or belongs to another writer, or others keep winning; nothing of this batch was written."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A context with its status, as they were at one moment."""

    context: AppContext
    status: ContextStatus


@dataclass(frozen=True, slots=True)
class Ids:
    """``incomplete`` ones have keys but no root: being written right now, or left by a writer that died."""

    complete: tuple[str, ...]
    incomplete: tuple[str, ...]


def new_id(randbelow: Callable[[int], int]) -> str:
    """A fresh id. ``randbelow`` is ``secrets.randbelow`` outside of tests."""
    return str(randbelow(ID_LIMIT))


class AppContextStore:
    """Raises ``ContextNotFound`` for an unknown id, ``MalformedContext`` for values that are not as specified."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus

    # Whole contexts

    async def write_new(self, context: AppContext, *, origin: Mapping[str, object] | None = None) -> None:
        """Write a context that does not exist yet; ``origin`` is JSON that says what it was made from.

        Raises ``ContextExists`` (nothing was changed) and ``Unprocessable`` (nothing was written). After any other
        error the context is not visible; ``delete`` removes what was written of it.
        """
        # A context of a hundred clusters takes a while to encode; others are served meanwhile.
        *puts, root = await asyncio.to_thread(codec.encode, context)
        if origin is not None:
            puts.append(Put(keys.origin(context.id), values.encode_inner(origin)))
        first, *others = batches(puts, weight=_BATCH_BYTES)
        absent = Compare(root.key, 0)
        # The first key written claims the id: a second writer finds it and stops before it writes anything.
        claimed = await self._bus.transact(first, when=[absent, Compare(first[0].key, 0)])
        if claimed is None:
            raise ContextExists(context.id)
        mine = [absent, Compare(first[0].key, claimed)]
        await self._write_batches(others, when=mine)
        if await self._bus.transact([root], when=mine) is None:
            raise ContextExists(context.id)

    async def read(self, context: str) -> AppContext:
        return codec.decode(await self._entries(context))

    async def snapshot(self, context: str) -> Snapshot:
        """Context and status in one range read."""
        entries = await self._entries(context)
        # A context of a hundred clusters takes a good part of a second to decode; others are served meanwhile.
        return await asyncio.to_thread(lambda: Snapshot(codec.decode(entries), decode_status(context, entries)))

    async def read_status(self, context: str) -> ContextStatus:
        """All states, flags and statuses in one range read (of a status context: of all its revisions)."""
        return decode_status(context, await self._entries(context))

    async def exists(self, context: str) -> bool:
        return await self._bus.get(keys.root(context)) is not None

    async def delete(self, context: str) -> bool:
        """Remove every key of the context, complete or not; false if there was none."""
        return await self._bus.delete(keys.root(context), prefix=True) > 0

    async def ids(self) -> Ids:
        """All contexts of the bus, for the removal of those nobody owns (D6)."""
        seen = await self._bus.range(keys.CONTEXTS, keys_only=True)
        places = [place for entry in seen.entries if (place := keys.parse(entry.key))]
        complete = {place.context for place in places if place == keys.Place(place.context)}
        known = {place.context for place in places}
        return Ids(tuple(sorted(complete)), tuple(sorted(known - complete)))

    # Single values

    async def read_meta(self, context: str) -> Meta | None:
        """``None`` for contexts that have none, as those of ncm (section 5.2)."""
        entry = await self._bus.get(keys.meta(context))
        if entry is None:
            await self._require_root(context)
            return None
        return decoding.decode_meta(entry.key, entry.value)

    async def update_meta(self, context: str, change: Callable[[Meta], Meta]) -> Meta:
        """Read, change, write back whole."""
        return await self._swap(context, keys.meta(context), decoding.decode_meta, change, encoding.encode_meta)

    async def read_origin(self, context: str) -> Mapping[str, object]:
        """What the context was made from; empty if it does not say, or is gone."""
        entry = await self._bus.get(keys.origin(context))
        return {} if entry is None else values.decode_inner_object(entry.key, entry.value)

    async def get_reason(self, context: str) -> str:
        """Why the last event failed; empty if it did not, or if the context is gone."""
        entry = await self._bus.get(keys.reason(context))
        return "" if entry is None else values.decode_string(entry.key, entry.value)

    async def get_status(self, context: str) -> str | None:
        """The public status (section 10.1); ``None`` before the resource synchronizer has seen the context."""
        entry = await self._bus.get(keys.status(context))
        if entry is None:
            await self._require_root(context)
            return None
        return values.decode_state(entry.key, entry.value)

    async def set_stop_flag(self, context: str, stop: bool) -> None:
        await self._put(context, keys.stop_flag(context), values.encode(stop))

    async def give_up(self, context: str, clusters: Iterable[str]) -> None:
        """Do not wait for these clusters (``provider+cluster``) when the context is removed, or what it lacks is; also
        while that is under way. What may be left there is reported so and never counts as deleted. Adds to those that
        were given up before."""
        key = keys.given_up(context)
        root = await self._require_root(context)
        for _ in range(_SWAPS):
            entry = await self._bus.get(key)
            known = set(values.strings(key, values.decode(key, entry.value))) if entry else set()
            guard = [Compare(root.key, root.mod_revision), Compare(key, entry.mod_revision if entry else 0)]
            names = sorted(known | set(clusters))
            if await self._bus.transact([Put(key, values.encode(names))], when=guard) is not None:
                return
            root = await self._require_root(context)
        raise WriteRefused(f"{key} is being changed by too many writers at once")

    async def wait_again(self, context: str) -> None:
        """For every cluster: none is given up any more. What is under way keeps to what it has heard by then."""
        await self._bus.delete(keys.given_up(context))

    async def status_context_id(self, context: str) -> str:
        """Where the status of this context is collected: the id stored in it, else its own (section 7)."""
        entry = await self._bus.get(keys.status_context(context))
        if entry is None:
            await self._require_root(context)
            return context
        return values.decode_string(entry.key, entry.value)

    async def placement(self, context: str) -> Mapping[str, frozenset[str]]:
        """The clusters (``<provider>+<cluster>``) of each app that has any; manifests are not transferred."""
        await self._require_root(context)
        found: dict[str, set[str]] = {}
        for entry in (await self._bus.range(keys.apps(context), keys_only=True)).entries:
            place = keys.parse(entry.key)
            if place is not None and place.cluster and entry.key == keys.cluster(context, place.app, place.cluster):
                found.setdefault(place.app, set()).add(place.cluster)
        return {app: frozenset(clusters) for app, clusters in found.items()}

    async def has_cluster(self, context: str, cluster: str) -> bool:
        """Whether some app goes to the cluster (``<provider>+<cluster>``), by a few reads of single keys."""
        order = await self._bus.get(keys.app_order(context))
        if order is None:
            await self._require_root(context)
            return False
        for app in decoding.decode_app_order(order.key, order.value):
            if await self._bus.get(keys.cluster(context, app, cluster)) is not None:
                return True
        return False

    # What controllers change

    async def delete_cluster(self, context: str, app: str, cluster: str) -> bool:
        """Take a cluster from an app; false if it was not there."""
        return await self._bus.delete(keys.cluster(context, app, cluster), prefix=True) > 0

    async def put_resource(self, context: str, app: str, cluster: str, resource: Resource) -> None:
        """Add a resource at the end of the order, or replace one that is in it."""

        def appended(order: tuple[str, ...]) -> tuple[str, ...]:
            return order if resource.name in order else (*order, resource.name)

        await self._swap(
            context,
            keys.resource_order(context, app, cluster),
            decoding.decode_resource_order,
            appended,
            encoding.encode_resource_order,
            also=encoding.encode_resource(context, app, cluster, resource),
        )

    async def replace_manifest(self, context: str, app: str, cluster: str, resource: str, manifest: str) -> None:
        """Give another manifest to a resource that is there, hooks and CRDs included."""
        key = keys.resource(context, app, cluster, resource)
        await self._swap(context, key, values.decode_string, lambda _: manifest, values.encode)

    async def delete_resource(self, context: str, app: str, cluster: str, resource: str) -> None:
        """Take a resource from the order and remove it."""

        def without(order: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in order if name != resource)

        await self._swap(
            context,
            keys.resource_order(context, app, cluster),
            decoding.decode_resource_order,
            without,
            encoding.encode_resource_order,
            also=[Delete(keys.resource(context, app, cluster, resource), prefix=True)],
        )

    # Below

    async def _entries(self, context: str) -> Sequence[Entry]:
        entries = (await self._bus.range(keys.root(context))).entries
        if not entries or entries[0].key != keys.root(context):
            raise ContextNotFound(context)
        return entries

    async def _require_root(self, context: str) -> Entry:
        root = await self._bus.get(keys.root(context))
        if root is None:
            raise ContextNotFound(context)
        return root

    async def _put(self, context: str, key: str, value: bytes) -> None:
        root = await self._require_root(context)
        if await self._bus.transact([Put(key, value)], when=[Compare(root.key, root.mod_revision)]) is None:
            raise ContextNotFound(context)

    async def _write_batches(self, each: Iterable[Sequence[Put]], *, when: Sequence[Compare]) -> None:
        turns = asyncio.Semaphore(_IN_FLIGHT)

        async def write(batch: Sequence[Put]) -> bool:
            async with turns:
                return await self._bus.transact(batch, when=when) is not None

        # All are awaited, so that nothing is still being written when an error reaches the caller.
        results = await asyncio.gather(*(write(batch) for batch in each), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if not all(results):
            raise WriteRefused("the context is gone or is owned by another writer")

    async def _swap(
        self,
        context: str,
        key: str,
        decode: Callable[[str, bytes], T],
        change: Callable[[T], T],
        encode: Callable[[T], bytes],
        *,
        also: Sequence[Put | Delete] = (),
    ) -> T:
        """Change one value against all who do the same, in one transaction with ``also``."""
        for _ in range(_SWAPS):
            entry = await self._bus.get(key)
            if entry is None:
                await self._require_root(context)
                raise NotFound(f"Error getting run time context value: Key doesn't exist: {key}")
            changed = change(decode(key, entry.value))
            operations = [Put(key, encode(changed)), *also]
            if await self._bus.transact(operations, when=[Compare(key, entry.mod_revision)]) is not None:
                return changed
        raise WriteRefused(f"{key} is being changed by too many writers at once")
