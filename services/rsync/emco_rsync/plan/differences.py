"""Field by field, how an object would not be as it is: what a plan tells of a change. Pure.

What only the server writes, and what it counts, is no difference. Values of what holds secrets are never told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emco_rsync.reach.classify import SECRET_KINDS

Step = str | int | tuple[str, str]
"""The name of a field, the place of an item in its list, or the field by which it is told apart and its value."""
Steps = tuple[Step, ...]

_BOOKKEEPING = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""What kubectl has sent, the values of a Secret included."""
_OPEN_OF_SECRETS = (("type",), ("immutable",), ("metadata", "labels"), ("metadata", "ownerReferences"))
_NAMES = ("name", "containerPort", "port", "mountPath", "devicePath", "ip", "key", "type", "topologyKey", "uid")
"""What may tell the items of a list apart, the first that does."""
_PLAIN = str.maketrans({"[": None, "]": None, '"': None})


class Missing:
    """Stands for a field that is not there, as null is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field; what it is and what it would be, ``MISSING`` where it is not there. Of one that is ``hidden`` neither is
    kept."""

    steps: Steps
    before: Any = MISSING
    after: Any = MISSING
    hidden: bool = False

    @property
    def path(self) -> str:
        """As users write it: ``spec.template.spec.containers[name=web].image``."""
        return words(self.steps)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """From an object to the same object; none if nobody but the server would notice."""
    kind = str(after.get("kind") or before.get("kind") or "")
    found = _compared(_told(before), _told(after), ())
    return tuple(_hidden(one) if _is_secret(one.steps, kind) else one for one in found)


def words(steps: Steps) -> str:
    text = ""
    for step in steps:
        if isinstance(step, str):
            text += f".{step}" if text else step
        elif isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f"[{step[0]}={step[1].translate(_PLAIN)}]"
    return text


def _told(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = obj.get("metadata")
    kept = {name: value for name, value in obj.items() if name != "status"}
    if isinstance(metadata, Mapping):
        kept["metadata"] = {name: value for name, value in metadata.items() if name not in _BOOKKEEPING}
    return kept


def _compared(before: Any, after: Any, steps: Steps) -> Iterator[Difference]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            yield from _compared(before.get(name, MISSING), after.get(name, MISSING), (*steps, name))
    elif isinstance(before, Sequence) and isinstance(after, Sequence) and not _is_text(before) and not _is_text(after):
        yield from _lists(before, after, steps)
    else:
        yield Difference(steps, before, after)


def _lists(before: Sequence[Any], after: Sequence[Any], steps: Steps) -> Iterator[Difference]:
    """Item by item where something tells them apart; a list of plain values as a whole."""
    by = next((name for name in _NAMES if _names_all(name, before) and _names_all(name, after)), None)
    if by is None:
        if len(before) == len(after) and all(isinstance(item, Mapping) for item in (*before, *after)):
            for place, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from _compared(old, new, (*steps, place))
        else:
            yield Difference(steps, before, after)
        return
    old_ones, new_ones = ({_name(item, by): item for item in items} for items in (before, after))
    for name in dict.fromkeys((*old_ones, *new_ones)):
        yield from _compared(old_ones.get(name, MISSING), new_ones.get(name, MISSING), (*steps, (by, name)))
    kept = [name for name in old_ones if name in new_ones]
    if kept != [name for name in new_ones if name in old_ones]:
        yield Difference(steps, list(old_ones), list(new_ones))


def _names_all(name: str, items: Sequence[Any]) -> bool:
    if not all(isinstance(item, Mapping) and isinstance(item.get(name), str | int) for item in items):
        return False
    return len({_name(item, name) for item in items}) == len(items)


def _name(item: Mapping[str, Any], by: str) -> str:
    return str(item[by])


def _same(before: Any, after: Any) -> bool:
    """Python takes True for 1, a cluster does not."""
    if isinstance(before, bool) is not isinstance(after, bool):
        return False
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_same(value, after[name]) for name, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes)


def _is_secret(steps: Steps, kind: str) -> bool:
    if _LAST_APPLIED in steps:
        return True
    return kind in SECRET_KINDS and not any(steps[: len(open_)] == open_ for open_ in _OPEN_OF_SECRETS)


def _hidden(one: Difference) -> Difference:
    """Whether it is new or goes may be known; its value not."""
    return Difference(one.steps, hidden=True)
