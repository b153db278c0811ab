"""Server-side apply: merge what an applier names, drop what it named before, refuse what others hold. Pure.

Laws (tested as properties): applying twice changes nothing; what one owns alone and no longer names is removed; a
conflict arises exactly when another manager owns a field whose value would change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from emco_simcluster import managers as managing
from emco_simcluster.fields import FieldSet, Path, difference, element_of, elements, owned_by, show
from emco_simcluster.managers import Manager, identity, ownable
from emco_simcluster.shapes import Shape

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contested:
    """A field of another manager that the apply would change."""

    holder: Manager
    path: Path


class ApplyConflict(Exception):
    """Others own what would change, and the applier does not force."""

    def __init__(self, contested: Sequence[Contested]) -> None:
        self.contested = sorted(contested, key=lambda c: (str(c.holder), _reading_order(c.path)))
        super().__init__(_message(self.contested))


@dataclass(frozen=True, slots=True)
class Applier:
    """Who applies. ``without``: members of the object this door does not write (``status`` on the main resource)."""

    name: str
    api_version: str
    now: str
    subresource: str = ""
    force: bool = False
    without: tuple[str, ...] = ()


def apply(live: Json | None, config: Json, shape: Shape, *, applier: Applier) -> Json:
    """The object after ``config`` was applied to ``live``, ``managedFields`` included; ``live`` itself if equal.

    Raises ``ApplyConflict``, or ``DuplicateElement`` where a keyed list of ``config`` names one key twice.
    """
    wanted = ownable(config, without=applier.without)
    claimed = owned_by(wanted, shape)
    mine = Manager(applier.name, "Apply", applier.api_version, applier.subresource, applier.now, claimed)
    entries = managing.read(live)
    before = next((m for m in entries if m.identity == mine.identity), None)
    others = [m for m in entries if m is not before]

    base = live if live is not None else identity(config)
    merged: Json = merge(base, wanted, shape)
    if before is not None:
        kept = claimed.union(*(m.fields for m in others))
        dropped = before.fields - kept
        if dropped:  # what became empty went as well; an empty map or list the applier names comes back
            merged = merge(_prune(merged, dropped, kept, shape), wanted, shape)
    changed, removed = difference(ownable(live or {}), ownable(merged), shape)

    if live is not None and before is not None and before.fields == claimed and not changed and not removed:
        return live

    contested = [Contested(m, path) for m in others for path in m.fields & changed]
    if contested and not applier.force:
        raise ApplyConflict(contested)
    others = managing.without_fields(others, changed | removed)
    if before is not None and before.fields == claimed:
        mine = replace(mine, time=before.time)
    return managing.write(merged, [*others, mine])


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """``config`` laid over ``live``: maps and keyed lists element by element, everything else as a whole."""
    if isinstance(config, dict) and isinstance(live, dict) and not shape.atomic:
        laid = {n: merge(live[n], v, shape.member(n)) if n in live else v for n, v in config.items()}
        return {**live, **laid}
    if isinstance(config, list) and isinstance(live, list) and shape.keyed:
        return _merge_lists(live, config, shape)
    return config


def _merge_lists(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    """The applied order leads; an element only ``live`` has stays behind the one it followed."""
    named = elements(config, shape)
    known = {element_of(item, shape): item for item in live}
    result = {e: merge(known[e], item, shape.element) if e in known else item for e, item in named.items()}
    order = list(named)
    place = 0
    for item in live:
        element = element_of(item, shape)
        if element in named:
            place = order.index(element) + 1
        elif element not in result:
            order.insert(place, element)
            result[element] = item
            place += 1
    return [result[e] for e in order]


def _prune(value: Any, dropped: FieldSet, kept: FieldSet, shape: Shape) -> Any:
    """Without the ``dropped`` fields; a container of which something is ``kept`` stays."""
    holders = {path[:n] for path in kept for n in range(1, len(path) + 1)}
    touched = {path[:n] for path in dropped for n in range(len(path))}
    return _prune_below(value, (), shape, dropped, holders, touched)


def _prune_below(
    value: Any, path: Path, shape: Shape, dropped: FieldSet, holders: set[Path], touched: set[Path]
) -> Any:
    if path not in touched:
        return value
    result: Any
    if isinstance(value, dict):
        pairs = [(n, "f:" + n, v, shape.member(n)) for n, v in value.items()]
    elif isinstance(value, list) and shape.keyed:
        pairs = [("", element_of(item, shape), item, shape.element) for item in value]
    else:
        return value
    keys = _key_members(path)
    survivors = []
    for name, element, child, below in pairs:
        where = (*path, element)
        if where in holders or name in keys:
            survivors.append((name, _prune_below(child, where, below, dropped, holders, touched)))
        elif where not in dropped:
            pruned = _prune_below(child, where, below, dropped, holders, touched)
            if pruned or not child or pruned is child:
                survivors.append((name, pruned))
    result = dict(survivors) if isinstance(value, dict) else [v for _, v in survivors]
    return result


def _key_members(path: Path) -> frozenset[str]:
    """Members that name an element of a keyed list go only with the element."""
    if path and path[-1].startswith("k:"):
        return frozenset(json.loads(path[-1][2:]))
    return frozenset()


def _reading_order(path: Path) -> tuple[tuple[bool, str], ...]:
    """Fields before what lies deeper, as field sets are walked."""
    last = len(path) - 1
    return tuple((place < last, element) for place, element in enumerate(path))


def _message(contested: Sequence[Contested]) -> str:
    if len(contested) == 1:
        one = contested[0]
        return f"Apply failed with 1 conflict: conflict with {one.holder}: {show(one.path)}"
    lines = []
    holder = None
    for each in contested:
        if str(each.holder) != holder:
            holder = str(each.holder)
            lines.append(f"conflicts with {holder}:")
        lines.append(f"- {show(each.path)}")
    return f"Apply failed with {len(contested)} conflicts: " + "\n".join(lines)
