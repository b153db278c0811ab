"""The functions a template may call: those of Go's text/template, and no others (emcoctl 4 rule 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emco_emcoctl.gotemplate import escapes, values
from emco_emcoctl.gotemplate.printf import sprintf
from emco_emcoctl.gotemplate.values import MISSING, type_name


class CallError(Exception):
    """A function that cannot work with its arguments."""


@dataclass(frozen=True)
class Builtin:
    """``prints`` says that its arguments end up in the output, so that a missing one would too."""

    call: Callable[..., Any]
    least: int
    most: int | None = None
    prints: bool = False


def _length(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode("utf-8", "replace"))
    if isinstance(item, list | Mapping):
        return len(item)
    raise CallError(f"len of type {type_name(item)}")


def _index(item: Any, *keys: Any) -> Any:
    for key in keys:
        item = _entry(item, key)
    return item


def _entry(item: Any, key: Any) -> Any:
    if values.is_nothing(item):
        raise CallError("index of untyped nil")
    if isinstance(item, Mapping):
        if not isinstance(key, str) and type_name(item) == "map[string]interface {}":
            raise CallError(f"value has type {type_name(key)}; should be string")
        return values.lookup(item, key)
    if not isinstance(item, list | str):
        raise CallError(f"can't index item of type {type_name(item)}")
    sequence = item.encode("utf-8", "replace") if isinstance(item, str) else item
    return sequence[_position(key, len(sequence) - 1, what="index")]


def _position(key: Any, last: int, *, what: str) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= last:
        raise CallError(f"{what} out of range: {key}")
    return key


def _slice(item: Any, *bounds: Any) -> Any:
    if values.is_nothing(item):
        raise CallError("slice of untyped nil")
    if not isinstance(item, list | str):
        raise CallError(f"can't slice item of type {type_name(item)}")
    if isinstance(item, str) and len(bounds) == 3:
        raise CallError("cannot 3-index slice a string")
    sequence = item.encode("utf-8", "replace") if isinstance(item, str) else item
    numbers = [_position(bound, len(sequence), what="index") for bound in bounds]
    start = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else len(sequence)
    if start > end or end > (numbers[2] if len(numbers) > 2 else end):
        raise CallError(f"invalid slice index: {start} > {end}")
    part = sequence[start:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _kind(value: Any) -> str:
    return type_name(value) if isinstance(value, bool | int | float | str) else ""


def _equal(one: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_same(one, other) for other in others)


def _same(one: Any, other: Any) -> bool:
    if values.is_nothing(one) or values.is_nothing(other):
        return values.is_nothing(one) and values.is_nothing(other)
    if _kind(one) != _kind(other):
        raise CallError("incompatible types for comparison")
    if isinstance(one, list | Mapping):
        raise CallError(f"non-comparable type {values.text(one)}: {type_name(one)}")
    return bool(one == other)


def _less(one: Any, other: Any) -> bool:
    if not _kind(one) or not _kind(other) or isinstance(one, bool) or isinstance(other, bool):
        raise CallError("invalid type for comparison")
    if _kind(one) != _kind(other):
        raise CallError("incompatible types for comparison")
    if isinstance(one, str):
        return bool(one.encode("utf-8", "replace") < other.encode("utf-8", "replace"))
    return bool(one < other)


def _printf(layout: Any, *given: Any) -> str:
    if not isinstance(layout, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(layout)}")
    return sprintf(layout, given)


def _escaping(escape: Callable[[str], str]) -> Callable[..., str]:
    def call(*given: Any) -> str:
        shown = ["<no value>" if values.is_nothing(value) else value for value in given]
        return escape(values.joined(shown))

    return call


def _call(function: Any, *_: Any) -> Any:
    what = "call of nil" if values.is_nothing(function) else f"non-function of type {type_name(function)}"
    raise CallError(what)


def _choose(*given: Any, until: bool) -> Any:
    return next((value for value in given if values.truth(value) is until), given[-1])


FUNCTIONS: Mapping[str, Builtin] = {
    "and": Builtin(lambda *given: _choose(*given, until=False), 1),
    "or": Builtin(lambda *given: _choose(*given, until=True), 1),
    "not": Builtin(lambda value: not values.truth(value), 1, 1),
    "eq": Builtin(_equal, 1),
    "ne": Builtin(lambda one, other: not _same(one, other), 2, 2),
    "lt": Builtin(_less, 2, 2),
    "le": Builtin(lambda one, other: _less(one, other) or _same(one, other), 2, 2),
    "gt": Builtin(lambda one, other: not _less(one, other) and not _same(one, other), 2, 2),
    "ge": Builtin(lambda one, other: not _less(one, other), 2, 2),
    "len": Builtin(_length, 1, 1),
    "index": Builtin(_index, 1),
    "slice": Builtin(_slice, 1, 4),
    "print": Builtin(lambda *given: values.joined(map(_shown, given)), 0, prints=True),
    "println": Builtin(lambda *given: " ".join(values.text(_shown(value)) for value in given) + "\n", 0, prints=True),
    "printf": Builtin(_printf, 1, prints=True),
    "html": Builtin(_escaping(escapes.html), 0, prints=True),
    "js": Builtin(_escaping(escapes.js), 0, prints=True),
    "urlquery": Builtin(_escaping(escapes.urlquery), 0, prints=True),
    "call": Builtin(_call, 1),
}

SHORT_CIRCUIT: Mapping[str, bool] = {"and": False, "or": True}
"""Functions that stop at the first argument of this truth; what follows is not evaluated."""


def _shown(value: Any) -> Any:
    return None if value is MISSING else value
