"""What a lifecycle call may say besides its verb, as it is recorded with the operation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emco_common.givingup import giving_up

_REMOVE = "removeClusters"


def asking(*, give_up: Sequence[str] = (), remove_clusters: int | None = None) -> Mapping[str, str]:
    """``give_up`` are clusters that are not waited for, ``remove_clusters`` how many the deployment may leave."""
    said = giving_up(give_up)
    return said if remove_clusters is None else {**said, _REMOVE: str(remove_clusters)}


def may_leave(asked: Mapping[str, str]) -> int | None:
    """How many clusters the user knows the deployment to leave."""
    said = asked.get(_REMOVE)
    return None if said is None else int(said)
