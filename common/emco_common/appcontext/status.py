"""What the resource synchronizer writes into a context (appcontext.md 4.2): typed, read in bulk, written in bulk. Pure.

``None`` means everywhere that the key is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from emco_common.appcontext import keys, values
from emco_common.appcontext.keys import Place
from emco_common.appcontext.values import MalformedContext, folded
from emco_common.contextbus.api import Entry, Put


@dataclass(frozen=True, slots=True)
class QueueElement:
    """``update_context`` is the other context of an update (``uCID``)."""

    event: str
    status: str
    update_context: str = ""


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """``reference`` is the context that handled the resource last, ``definition`` the live object as JSON text,
    ``reason`` why it failed or what it waits for.

    ``digest`` goes with the status ``Applied``: what the cluster acknowledged as ours. It is ``""`` where that is not
    known, and only written together with ``status``. ``drift`` is what others have changed since then, ``""`` for
    nothing.
    """

    status: str | None = None
    reference: str | None = None
    ready: bool | None = None
    success: bool | None = None
    definition: str | None = None
    reason: str | None = None
    drift: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """``status`` is the text of the compact JSON that was collected there, ``reason`` why there is no way to it.

    ``installed`` is the context whose app was complete there last, ``phase`` as what it came (a ``HookPhase``).
    """

    connectivity: str | None = None
    status: str | None = None
    ready: bool | None = None
    reference: str | None = None
    reason: str | None = None
    installed: str | None = None
    phase: str | None = None


@dataclass(frozen=True, slots=True)
class ContextStatus:
    """Clusters are found by (app, cluster), resources by (app, cluster, resource); ``reason`` is why the last event
    failed."""

    id: str
    status: str | None = None
    current_state: str | None = None
    desired_state: str | None = None
    pending_terminate: bool | None = None
    stop: bool | None = None
    queue: tuple[QueueElement, ...] | None = None
    clusters: Mapping[tuple[str, str], ClusterStatus] = field(default_factory=dict, hash=False)
    resources: Mapping[tuple[str, str, str], ResourceStatus] = field(default_factory=dict, hash=False)
    reason: str | None = None

    def cluster(self, app: str, cluster: str) -> ClusterStatus:
        return self.clusters.get((app, cluster), ClusterStatus())

    def resource(self, app: str, cluster: str, resource: str) -> ResourceStatus:
        return self.resources.get((app, cluster, resource), ResourceStatus())


@dataclass(frozen=True, slots=True)
class ClusterUpdate:
    """Writes the fields of ``status`` that are not ``None``."""

    app: str
    cluster: str
    status: ClusterStatus


@dataclass(frozen=True, slots=True)
class ResourceUpdate:
    """Writes the fields of ``status`` that are not ``None``."""

    app: str
    cluster: str
    resource: str
    status: ResourceStatus


StatusUpdate = ClusterUpdate | ResourceUpdate


def encode_queue(queue: Iterable[QueueElement]) -> bytes:
    return values.encode(
        {
            "AcQueue": [
                {"event": item.event}
                | ({"uCID": item.update_context} if item.update_context else {})
                | {"status": item.status}
                for item in queue
            ]
        }
    )


def decode_queue(key: str, value: bytes) -> tuple[QueueElement, ...]:
    items = folded(values.decode_object(key, value)).get("acqueue") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedContext(f"the value of {key} is not an event queue")
    return tuple(_queue_element(key, folded(item)) for item in items)


def encode_updates(context: str, updates: Iterable[StatusUpdate]) -> list[Put]:
    """What the updates write. A later update of a key replaces an earlier one."""
    puts: dict[str, Put] = {}
    for update in updates:
        if isinstance(update, ClusterUpdate):
            written = _cluster_puts(keys.cluster(context, update.app, update.cluster), update.status)
        else:
            written = _resource_puts(keys.resource(context, update.app, update.cluster, update.resource), update.status)
        puts.update({put.key: put for put in written})
    return list(puts.values())


def encode_status(status: ContextStatus) -> list[Put]:
    """All keys of a status; what ``decode_status`` reads back."""
    root = keys.root(status.id)
    states = {keys.STATUS: status.status, keys.CURRENT_STATE: status.current_state}
    states[keys.DESIRED_STATE] = status.desired_state
    puts = [Put(root + leaf, values.encode_state(text)) for leaf, text in states.items() if text is not None]
    flags = {keys.PENDING_TERMINATE: status.pending_terminate, keys.STOP_FLAG: status.stop}
    puts.extend(Put(root + leaf, values.encode(flag)) for leaf, flag in flags.items() if flag is not None)
    if status.reason is not None:
        puts.append(Put(root + keys.REASON, values.encode(status.reason)))
    if status.queue is not None:
        puts.append(Put(root + keys.QUEUE, encode_queue(status.queue)))
    updates: list[StatusUpdate] = [ClusterUpdate(*place, one) for place, one in status.clusters.items()]
    updates.extend(ResourceUpdate(*place, one) for place, one in status.resources.items())
    return puts + encode_updates(status.id, updates)


def decode_status(context: str, entries: Iterable[Entry]) -> ContextStatus:
    """The status among the keys of a context; keys of other meaning are passed over."""
    general: dict[str, Entry] = {}
    clusters: dict[tuple[str, str], dict[str, Entry]] = {}
    resources: dict[tuple[str, str, str], dict[str, Entry]] = {}
    for entry in entries:
        place = keys.parse(entry.key)
        if place is None or place.context != context:
            continue
        leaves = _leaves_of(place, general, clusters, resources)
        if leaves is not None:
            leaves[place.leaf] = entry
    return ContextStatus(
        id=context,
        status=_state(general, keys.STATUS),
        current_state=_state(general, keys.CURRENT_STATE),
        desired_state=_state(general, keys.DESIRED_STATE),
        pending_terminate=_flag(general, keys.PENDING_TERMINATE),
        stop=_flag(general, keys.STOP_FLAG),
        reason=_text(general, keys.REASON),
        queue=decode_queue(general[keys.QUEUE].key, general[keys.QUEUE].value) if keys.QUEUE in general else None,
        clusters={place: _cluster_status(leaves) for place, leaves in clusters.items()},
        resources={place: _resource_status(leaves) for place, leaves in resources.items()},
    )


_CLUSTER_LEAVES = frozenset(
    {keys.CONNECTIVITY, keys.STATUS, keys.READY, keys.REFERENCE, keys.REASON, keys.INSTALLED, keys.PHASE}
)
_RESOURCE_LEAVES = frozenset(
    {keys.STATUS, keys.REFERENCE, keys.RESOURCE_READY, keys.RESOURCE_SUCCESS, keys.DEFINITION, keys.REASON, keys.DRIFT}
)


def _leaves_of(
    place: Place,
    general: dict[str, Entry],
    clusters: dict[tuple[str, str], dict[str, Entry]],
    resources: dict[tuple[str, str, str], dict[str, Entry]],
) -> dict[str, Entry] | None:
    if place.resource:
        spot = (place.app, place.cluster, place.resource)
        return resources.setdefault(spot, {}) if place.leaf in _RESOURCE_LEAVES else None
    if place.cluster:
        return clusters.setdefault((place.app, place.cluster), {}) if place.leaf in _CLUSTER_LEAVES else None
    return None if place.app else general


def _cluster_status(leaves: Mapping[str, Entry]) -> ClusterStatus:
    return ClusterStatus(
        connectivity=_text(leaves, keys.CONNECTIVITY),
        status=_text(leaves, keys.STATUS),
        ready=_flag(leaves, keys.READY),
        reference=_text(leaves, keys.REFERENCE),
        reason=_text(leaves, keys.REASON),
        installed=_text(leaves, keys.INSTALLED),
        phase=_text(leaves, keys.PHASE),
    )


def _resource_status(leaves: Mapping[str, Entry]) -> ResourceStatus:
    return ResourceStatus(
        status=_state(leaves, keys.STATUS),
        reference=_text(leaves, keys.REFERENCE),
        ready=_flag(leaves, keys.RESOURCE_READY),
        success=_flag(leaves, keys.RESOURCE_SUCCESS),
        definition=_text(leaves, keys.DEFINITION),
        reason=_text(leaves, keys.REASON),
        drift=_text(leaves, keys.DRIFT),
        digest=_digest(leaves),
    )


def _cluster_puts(root: str, status: ClusterStatus) -> Iterator[Put]:
    leaves: dict[str, str | bool | None] = {
        keys.CONNECTIVITY: status.connectivity,
        keys.STATUS: status.status,
        keys.READY: status.ready,
        keys.REFERENCE: status.reference,
        keys.REASON: status.reason,
        keys.INSTALLED: status.installed,
        keys.PHASE: status.phase,
    }
    return (Put(root + leaf, values.encode(value)) for leaf, value in leaves.items() if value is not None)


def _resource_puts(root: str, status: ResourceStatus) -> Iterator[Put]:
    leaves: dict[str, object] = {
        keys.STATUS: _state_value(status),
        keys.REFERENCE: status.reference,
        keys.RESOURCE_READY: status.ready,
        keys.RESOURCE_SUCCESS: status.success,
        keys.DEFINITION: status.definition,
        keys.REASON: status.reason,
        keys.DRIFT: status.drift,
    }
    return (Put(root + leaf, values.encode(value)) for leaf, value in leaves.items() if value is not None)


def _state_value(status: ResourceStatus) -> dict[str, str] | None:
    """Readers of the original pass over the digest."""
    if status.status is None:
        return None
    return {"Status": status.status} | ({"Digest": status.digest} if status.digest else {})


def _queue_element(key: str, fields: Mapping[str, object]) -> QueueElement:
    event, status, other = fields.get("event", ""), fields.get("status", ""), fields.get("ucid", "")
    if not isinstance(event, str) or not isinstance(status, str) or not isinstance(other, str):
        raise MalformedContext(f"the value of {key} is not an event queue")
    return QueueElement(event, status, other)


def _text(leaves: Mapping[str, Entry], leaf: str) -> str | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_string(entry.key, entry.value)


def _flag(leaves: Mapping[str, Entry], leaf: str) -> bool | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_bool(entry.key, entry.value)


def _state(leaves: Mapping[str, Entry], leaf: str) -> str | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_state(entry.key, entry.value)


def _digest(leaves: Mapping[str, Entry]) -> str:
    entry = leaves.get(keys.STATUS)
    if entry is None or b"igest" not in entry.value:
        return ""
    digest = folded(values.decode_object(entry.key, entry.value)).get("digest")
    return digest if isinstance(digest, str) else ""
