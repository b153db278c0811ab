"""Store and bus, whose calls are spans: the operation and what kind of thing it is about, never keys or values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from emco_common.contextbus.api import ContextBus
from emco_common.doors import Call, Door
from emco_common.store.api import DocumentStore, kind_of
from emco_common.tracing.spans import Facts, Kind, here, traced

Told = Callable[..., Facts]
"""What the arguments of a call say."""


def traced_store(store: DocumentStore) -> DocumentStore:
    return cast(DocumentStore, _door(store, "store", _STORE))


def traced_bus(bus: ContextBus) -> ContextBus:
    return cast(ContextBus, _door(bus, "bus", _BUS))


def _door(inner: object, system: str, table: Mapping[str, Told]) -> Door:
    """The calls of the table are spans, where something is traced."""
    return Door(
        inner,
        {name: _traced(getattr(inner, name), f"{system} {name}", system, told) for name, told in table.items()},
    )


def _traced(operation: Call, name: str, system: str, told: Told) -> Call:
    @wraps(operation)
    async def call(*given: Any, **named: Any) -> Any:
        if not here().open:
            return await operation(*given, **named)
        facts = {"db.system.name": f"emco.{system}", "db.operation.name": operation.__name__, **told(*given, **named)}
        with traced(name, facts, kind=Kind.CLIENT):
            return await operation(*given, **named)

    return call


def _kind(names: Any) -> Facts:
    return {"db.collection.name": kind_of(names)}


def _prefix(key: str) -> Facts:
    """The first word of a key says what sort it is of; the rest may be names."""
    return {"db.collection.name": "/".join(key.split("/")[:2]) + "/"}


def _nothing(*_: Any, **__: Any) -> Facts:
    return {}


def _of_read(*, keys: Any = (), prefixes: Any = ()) -> Facts:
    return {**_prefix(next(iter((*keys, *prefixes)), "")), "emco.keys": len(keys), "emco.prefixes": len(prefixes)}


def _of_transaction(operations: Any, *, when: Any = ()) -> Facts:
    first = _prefix(operations[0].key) if operations else {}
    return {**first, "db.operation.batch.size": len(operations), "emco.comparisons": len(when)}


_STORE: Mapping[str, Told] = {
    "create": lambda document, **_: _kind(document.key),
    "get": lambda key: _kind(key),
    "get_text": lambda key: _kind(key),
    "list": lambda names, *_, **__: _kind(names),
    "list_texts": lambda names, *_, **__: _kind(names),
    "referrers": lambda names, *_, **__: _kind(names),
    "replace": lambda document, **_: _kind(document.key),
    "delete": lambda key, **_: _kind(key),
    "put_blob": lambda content: {"emco.bytes": len(content)},
    "get_blob": _nothing,
    "delete_blob": _nothing,
}
_BUS: Mapping[str, Told] = {
    "get": lambda key: _prefix(key),
    "range": lambda prefix, **_: _prefix(prefix),
    "read": _of_read,
    "put": lambda key, *_, **__: _prefix(key),
    "delete": lambda key, **_: _prefix(key),
    "transact": _of_transaction,
    "lease": _nothing,
}
