"""What the resource synchronizer writes into a context (appcontext.md 4.2): typed, read in bulk, written in bulk. Pure.

``None`` means everywhere that the key is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emco_common.appcontext import keys, values
from emco_common.appcontext.keys import Placed
from emco_common.appcontext.values import MalformedContext, folded
from emco_common.contextbus.api import Entry, Put


@dataclass(frozen=True, slots=True)
class QueueElement:
    """``update_context`` is the other context of an update (``uCID``).

    ``request`` and ``trace`` are where it comes from (``tracing.origin``). They make no difference: another version, or
    the original, passes over them and writes the element without.
    """

    event: str
    status: str
    update_context: str = ""
    request: str = field(default="", compare=False)
    trace: str = field(default="", compare=False)


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
                | ({"requestID": item.request} if item.request else {})
                | ({"traceparent": item.trace} if item.trace else {})
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
            root, leaves = keys.cluster(context, update.app, update.cluster), _cluster_values(update.status)
        else:
            root = keys.resource(context, update.app, update.cluster, update.resource)
            leaves = _resource_values(update.status)
        for leaf, value in leaves:
            if value is not None:
                puts[root + leaf] = Put(root + leaf, values.encode(value))
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
    return status_of(context, keys.placed(entries))


def status_of(context: str, found: Iterable[Placed]) -> ContextStatus:
    """As ``decode_status``, of what was taken apart before."""
    general: dict[str, Entry] = {}
    clusters: dict[tuple[str, str], Fields] = {}
    resources: dict[tuple[str, str, str], Fields] = {}
    known = _Known()
    for (of, app, cluster, resource, leaf), entry in found:
        if of != context:
            continue
        if resource:
            if leaf in _RESOURCE_FIELDS:
                resources.setdefault((app, cluster, resource), {}).update(known.fields(_RESOURCE_FIELDS[leaf], entry))
        elif cluster:
            if leaf in _CLUSTER_FIELDS:
                clusters.setdefault((app, cluster), {}).update(known.fields(_CLUSTER_FIELDS[leaf], entry))
        elif not app:
            general[leaf] = entry
    return ContextStatus(
        id=context,
        status=_state(general, keys.STATUS),
        current_state=_state(general, keys.CURRENT_STATE),
        desired_state=_state(general, keys.DESIRED_STATE),
        pending_terminate=_flag(general, keys.PENDING_TERMINATE),
        stop=_flag(general, keys.STOP_FLAG),
        reason=_text(general, keys.REASON),
        queue=decode_queue(general[keys.QUEUE].key, general[keys.QUEUE].value) if keys.QUEUE in general else None,
        clusters={place: ClusterStatus(**fields) for place, fields in clusters.items()},
        resources={place: known.status(fields) for place, fields in resources.items()},
    )


Fields = dict[str, Any]
"""Of a status, by name."""
Read = Callable[[str, bytes], Fields]
"""What a key and its value say of a status."""


def _text_as(field: str) -> Read:
    return lambda key, value: {field: values.decode_string(key, value)}


def _flag_as(field: str) -> Read:
    return lambda key, value: {field: values.decode_bool(key, value)}


def _applied(key: str, value: bytes) -> Fields:
    return {"status": values.decode_state(key, value), "digest": _digest(key, value)}


_CLUSTER_FIELDS: Mapping[str, Read] = {
    keys.CONNECTIVITY: _text_as("connectivity"),
    keys.STATUS: _text_as("status"),
    keys.READY: _flag_as("ready"),
    keys.REFERENCE: _text_as("reference"),
    keys.REASON: _text_as("reason"),
    keys.INSTALLED: _text_as("installed"),
    keys.PHASE: _text_as("phase"),
}
_RESOURCE_FIELDS: Mapping[str, Read] = {
    keys.STATUS: _applied,
    keys.REFERENCE: _text_as("reference"),
    keys.RESOURCE_READY: _flag_as("ready"),
    keys.RESOURCE_SUCCESS: _flag_as("success"),
    keys.DEFINITION: _text_as("definition"),
    keys.REASON: _text_as("reason"),
    keys.DRIFT: _text_as("drift"),
}


class _Known:
    """Most resources of a deployment are in the same state: what was met before is not read again."""

    def __init__(self) -> None:
        self._fields: dict[tuple[Read, bytes], Fields] = {}
        self._statuses: dict[tuple[tuple[str, Any], ...], ResourceStatus] = {}

    def fields(self, read: Read, entry: Entry) -> Fields:
        place = (read, entry.value)
        found = self._fields.get(place)
        if found is None:
            found = self._fields[place] = read(entry.key, entry.value)
        return found

    def status(self, fields: Fields) -> ResourceStatus:
        place = tuple(fields.items())
        found = self._statuses.get(place)
        if found is None:
            found = self._statuses[place] = ResourceStatus(**fields)
        return found


_Values = tuple[tuple[str, object], ...]


def _cluster_values(status: ClusterStatus) -> _Values:
    return (
        (keys.CONNECTIVITY, status.connectivity),
        (keys.STATUS, status.status),
        (keys.READY, status.ready),
        (keys.REFERENCE, status.reference),
        (keys.REASON, status.reason),
        (keys.INSTALLED, status.installed),
        (keys.PHASE, status.phase),
    )


def _resource_values(status: ResourceStatus) -> _Values:
    return (
        (keys.STATUS, _state_value(status)),
        (keys.REFERENCE, status.reference),
        (keys.RESOURCE_READY, status.ready),
        (keys.RESOURCE_SUCCESS, status.success),
        (keys.DEFINITION, status.definition),
        (keys.REASON, status.reason),
        (keys.DRIFT, status.drift),
    )


def _state_value(status: ResourceStatus) -> dict[str, str] | None:
    """Readers of the original pass over the digest."""
    if status.status is None:
        return None
    return {"Status": status.status} | ({"Digest": status.digest} if status.digest else {})


def _queue_element(key: str, fields: Mapping[str, object]) -> QueueElement:
    event, status, other = fields.get("event", ""), fields.get("status", ""), fields.get("ucid", "")
    if not isinstance(event, str) or not isinstance(status, str) or not isinstance(other, str):
        raise MalformedContext(f"the value of {key} is not an event queue")
    request, trace = (
        text if isinstance(text := fields.get(name), str) else "" for name in ("requestid", "traceparent")
    )
    return QueueElement(event, status, other, request, trace)


def _text(leaves: Mapping[str, Entry], leaf: str) -> str | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_string(entry.key, entry.value)


def _flag(leaves: Mapping[str, Entry], leaf: str) -> bool | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_bool(entry.key, entry.value)


def _state(leaves: Mapping[str, Entry], leaf: str) -> str | None:
    entry = leaves.get(leaf)
    return None if entry is None else values.decode_state(entry.key, entry.value)


def _digest(key: str, value: bytes) -> str:
    if b"igest" not in value:
        return ""
    digest = folded(values.decode_object(key, value)).get("digest")
    return digest if isinstance(digest, str) else ""
