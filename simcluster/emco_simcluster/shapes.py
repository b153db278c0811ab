"""How values merge, and of what type they are: which lists are keyed maps or sets, and which values are atomic.

A ``Shape`` describes one value, as far as server-side apply and strategic merge patch must know it. What is not
described merges by the default of Kubernetes: maps by key, lists as a whole. ``built_in`` has the shapes of built-in
kinds; custom ones take theirs from the ``x-kubernetes-list-type`` and ``x-kubernetes-map-type`` marks of their schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One value. ``keys``: the list is a map by these members; ``unique``: it is a set; ``atomic``: replaced whole.

    ``type`` is ``string``, ``integer``, ``boolean``, ``map``, ``list`` or unknown; a ``closed`` map has no members
    besides its ``fields``.
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    values: Shape | None = None
    item: Shape | None = None
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    unique: bool = False
    atomic: bool = False
    type: str = ""
    closed: bool = False

    def member(self, name: str) -> Shape:
        """The shape of a member of this map."""
        return self.fields.get(name) or self.values or PLAIN

    @property
    def element(self) -> Shape:
        """The shape of an element of this list."""
        return self.item or PLAIN

    @property
    def keyed(self) -> bool:
        return bool(self.keys) or self.unique


PLAIN = Shape()
ATOMIC = Shape(atomic=True)
STRING, INTEGER, BOOLEAN = Shape(type="string"), Shape(type="integer"), Shape(type="boolean")
STRINGS = Shape(type="list", item=STRING)
SET = Shape(unique=True, type="list", item=STRING)
TEXTS = Shape(type="map", values=STRING)


def map_list(*keys: str, item: Shape = PLAIN, **defaults: Any) -> Shape:
    """A list that is a map by some members of its elements; ``defaults`` of members that may be left out."""
    return Shape(keys=tuple(sorted(keys)), item=item, key_defaults=defaults, type="list")


def struct(**fields: Shape) -> Shape:
    """A map of which some members are described."""
    return Shape(fields=fields, type="map")


METADATA = struct(
    ownerReferences=map_list("uid", item=ATOMIC), finalizers=SET, labels=TEXTS, annotations=TEXTS, name=STRING
)
CONDITIONS = map_list("type")
STATUS = struct(conditions=CONDITIONS)
OBJECT = struct(metadata=METADATA, status=STATUS)


def shape_of_schema(schema: Json) -> Shape:
    """The shape a custom resource definition's schema declares for its objects."""
    declared = _of_schema(schema, depth=0)
    return Shape(fields={**declared.fields, "metadata": METADATA}, values=declared.values)


def _of_schema(schema: Json, *, depth: int) -> Shape:
    if depth > 40 or not isinstance(schema, dict):
        return PLAIN
    properties = {n: _of_schema(s, depth=depth + 1) for n, s in (schema.get("properties") or {}).items()}
    additional, items = schema.get("additionalProperties"), schema.get("items")
    item = _of_schema(items, depth=depth + 1) if isinstance(items, dict) else None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    list_type = schema.get("x-kubernetes-list-type")
    described = (items.get("properties") or {}) if isinstance(items, dict) else {}
    return Shape(
        fields=properties,
        values=_of_schema(additional, depth=depth + 1) if isinstance(additional, dict) else None,
        item=item,
        keys=tuple(sorted(keys)) if list_type == "map" else (),
        key_defaults={k: described[k]["default"] for k in keys if "default" in described.get(k, {})},
        unique=list_type == "set",
        atomic=schema.get("x-kubernetes-map-type") == "atomic" or list_type == "atomic",
    )
