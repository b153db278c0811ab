"""What a lifecycle call may say besides its verb, as it is recorded with the operation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_GIVE_UP, _REMOVE = "giveUp", "removeClusters"


def asking(*, give_up: Sequence[str] = (), remove_clusters: int | None = None) -> Mapping[str, str]:
    """``give_up`` are clusters that are not waited for, ``remove_clusters`` how many the deployment may leave."""
    said = {} if not give_up else {_GIVE_UP: ",".join(give_up)}
    return said if remove_clusters is None else {**said, _REMOVE: str(remove_clusters)}


def given_up(asked: Mapping[str, str]) -> Sequence[str]:
    """The clusters that are not to be waited for."""
    return [name for name in asked.get(_GIVE_UP, "").split(",") if name]


def may_leave(asked: Mapping[str, str]) -> int | None:
    """How many clusters the user knows the deployment to leave."""
    said = asked.get(_REMOVE)
    return None if said is None else int(said)


def reason_of(asked: Mapping[str, str], *before: str) -> str:
    """What the history says of it, after what it says anyway."""
    lost = given_up(asked)
    said = [*before, f"gave up {', '.join(lost)}" if lost else ""]
    return "; ".join(dict.fromkeys(text for text in said if text))
