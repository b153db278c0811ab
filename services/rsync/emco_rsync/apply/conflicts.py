"""Fields of an object that somebody else owns: which are left to them, which are disputed, and an object without some
of its fields. Pure.

The API server names a field by its path, ``.spec.template.spec.containers[name="web"].image``; names of fields are not
quoted in it, though they may hold dots, so a path only means something beside an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from emco_common.kube.errors import FieldConflict
from emco_rsync.watch.drift import Change, LeaveAlone, Object, entries_of, ignored_fields, is_ignored

Step = str | int
"""The name of a field, or the place of an item in its list."""

_HOLDER = re.compile(r'conflict with "(?P<manager>[^"]*)"(?: with subresource "(?P<subresource>[^"]*)")?')
_SELECTOR_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[^],]+')


@dataclass(frozen=True, slots=True)
class Disputed:
    """A field that ``manager`` owns, who set it by way of ``subresource`` if that is not empty."""

    path: str
    manager: str
    subresource: str = ""

    @property
    def field(self) -> str:
        """As users write it."""
        return self.path.removeprefix(".").replace('"', "")

    def __str__(self) -> str:
        return f"{self.field} ({self.manager or 'another manager'})"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of each disputed field: ``left`` to its owner, or ``contested``."""

    left: tuple[Disputed, ...] = ()
    contested: tuple[Disputed, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """An object of which it was just seen that nobody's fields are to be left to them. It may be set right at once, as
    long as it is at this ``version``; ``taken`` are the fields that others have made theirs."""

    version: str
    taken: tuple[Disputed, ...]


def looked_at(live: Object, changes: Iterable[Change], leave_alone: LeaveAlone) -> Looked | None:
    """``None`` if some field may have to be left to its owner, so that the server has to be asked for the disputed."""
    metadata = live.get("metadata")
    version = str(metadata.get("resourceVersion") or "") if isinstance(metadata, Mapping) else ""
    if not version or ignored_fields(live) or any(map(leave_alone.owner, entries_of(live))):
        return None
    return Looked(version, tuple(Disputed(change.path, change.manager) for change in changes if change.manager))


def disputed(conflict: FieldConflict) -> tuple[Disputed, ...]:
    """The fields and their owners, as the server words them."""
    found = []
    for cause in conflict.causes:
        holder = _HOLDER.search(cause.message)
        if cause.field:
            named = (holder["manager"], holder["subresource"] or "") if holder else ("", "")
            found.append(Disputed(cause.field, *named))
    return tuple(dict.fromkeys(found))


def decide(fields: Iterable[Disputed], *, leave_alone: LeaveAlone, ignored: Iterable[str]) -> Decision:
    """Fields of autoscalers and injectors, and such that the object gives free (``ignored``), are left to who has them.

    A field that two own, one of whom is left alone, is left.
    """
    given_free = tuple(ignored)
    found = tuple(fields)
    left_paths = {
        one.path
        for one in found
        if leave_alone.owner({"manager": one.manager, "subresource": one.subresource})
        or is_ignored(one.field, given_free)
    }
    return Decision(
        tuple(one for one in found if one.path in left_paths),
        tuple(one for one in found if one.path not in left_paths),
    )


def without(obj: dict[str, Any], paths: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object without these fields, and the paths that it did not have.

    What becomes empty by that goes as well: an empty map that is sent is claimed like a value. The object that was
    given stays as it is.
    """
    unknown: list[str] = []
    places: list[tuple[Step, ...]] = []
    for path in paths:
        place = locate(obj, path)
        if place:
            places.append(place)
        else:
            unknown.append(path)
    kept: Any = obj
    for place in sorted(set(places), key=_last_first, reverse=True):
        kept = _dropped(kept, place)
    return kept, tuple(unknown)


def locate(node: object, path: str) -> tuple[Step, ...] | None:
    """The steps from an object to one of its fields; ``None`` if it has no such field."""
    return next(_walks(node, path), None)


def _walks(node: object, rest: str) -> Iterator[tuple[Step, ...]]:
    if not rest:
        yield ()
    elif rest.startswith(".") and isinstance(node, dict):
        for name in sorted((n for n in node if isinstance(n, str) and rest.startswith(n, 1)), key=len, reverse=True):
            after = rest[1 + len(name) :]
            if not after or after[0] in ".[":
                yield from ((name, *more) for more in _walks(node[name], after))
    elif rest.startswith("[") and isinstance(node, list):
        selected, after = _selector(rest)
        for place, item in enumerate(node):
            if selected is not None and _selects(selected, item, place):
                yield from ((place, *more) for more in _walks(item, after))


_Selector = int | dict[str, Any]
_ITSELF = ""


def _selector(rest: str) -> tuple[_Selector | None, str]:
    """``[0]``, ``[name="x",port=80]`` or ``[="value"]``, and what follows it; ``None`` for what is none of these."""
    pairs: dict[str, Any] = {}
    at = 1
    while at < len(rest):
        end = at
        while end < len(rest) and rest[end] not in "=]":
            end += 1
        name = rest[at:end]
        if end < len(rest) and rest[end] == "]" and not pairs and name.isdecimal():
            return int(name), rest[end + 1 :]
        value = _SELECTOR_VALUE.match(rest, end + 1)
        if end >= len(rest) or rest[end] != "=" or value is None:
            break
        try:
            pairs[name] = json.loads(value.group())
        except ValueError:
            break
        at = value.end()
        if rest.startswith("]", at):
            return pairs, rest[at + 1 :]
        at += 1
    return None, ""


def _selects(selected: _Selector, item: object, place: int) -> bool:
    if isinstance(selected, int):
        return selected == place
    if _ITSELF in selected:
        return bool(item == selected[_ITSELF])
    if not isinstance(item, dict):
        return False
    told = [name for name in selected if name in item]  # a key that the server fills in (``protocol``) may be missing
    return bool(told) and all(item[name] == selected[name] for name in told)


def _last_first(place: tuple[Step, ...]) -> tuple[tuple[int, int, str], ...]:
    """Of two items of a list the later goes first, so that the places of the others stay."""
    return tuple((1, step, "") if isinstance(step, int) else (0, 0, step) for step in place)


def _dropped(node: Any, place: tuple[Step, ...]) -> Any:
    step, *rest = place
    if isinstance(step, int):
        if not isinstance(node, list) or step >= len(node):
            return node
        inner = [_dropped(node[step], tuple(rest))] if rest else []
        return [*node[:step], *inner, *node[step + 1 :]]
    if not isinstance(node, dict) or step not in node:
        return node  # went with what it was in
    others = {name: value for name, value in node.items() if name != step}
    if not rest:
        return others
    kept = _dropped(node[step], tuple(rest))
    return others if kept in ({}, []) else {name: kept if name == step else value for name, value in node.items()}
