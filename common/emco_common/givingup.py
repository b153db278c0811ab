"""Clusters that are lost are given up, so that nobody waits for them (spec orchestrator-lifecycle defect 33).

What is asked for travels with the recorded operation under ``giveUp``, joined by commas.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.status.asked import state_told

UNDER_WAY = frozenset(
    {ContextState.CREATED, ContextState.INSTANTIATING, ContextState.UPDATING, ContextState.TERMINATING}
)
"""``Created``: the work is queued and has not begun."""

_GIVE_UP = "giveUp"


def giving_up(clusters: Sequence[str]) -> Mapping[str, str]:
    """What is recorded with an operation that is not to wait for these clusters (``<provider>+<cluster>``)."""
    return {_GIVE_UP: ",".join(clusters)} if clusters else {}


def given_up(asked: Mapping[str, str]) -> Sequence[str]:
    """The clusters that are not to be waited for."""
    return [name for name in asked.get(_GIVE_UP, "").split(",") if name]


def reason_of(asked: Mapping[str, str], *before: str) -> str:
    """What the history says of it, after what it says anyway."""
    lost = given_up(asked)
    said = [*before, f"gave up {', '.join(lost)}" if lost else ""]
    return "; ".join(dict.fromkeys(text for text in said if text))


async def check_given_up(
    contexts: AppContextStore, subject: Subject, lost: Sequence[str], *, among: Collection[str]
) -> None:
    """Raises ``BadRequest`` for clusters where neither the contexts ``among`` nor an earlier revision have anything."""
    if not lost:
        return
    known: set[str] = set()
    for context in among:
        known.update(*(await contexts.placement(context)).values())
    if subject.state.status_context:
        with suppress(ContextNotFound):
            known |= {cluster for _, cluster in (await contexts.read_status(subject.state.status_context)).clusters}
    if unknown := sorted(set(lost) - known):
        there = ", ".join(sorted(known)) or "none"
        raise BadRequest(f"giveUp {unknown[0]}: {subject.name} is not on this cluster; it is on {there}")


class GiveUp(Procedure):
    """What is under way goes on without the clusters that are lost. It hears of it by itself.

    ``allowed`` raises where nothing can be under way; ``idle`` is what is said where nothing is, with ``{name}``.
    """

    def __init__(
        self, verb: str, contexts: AppContextStore, *, allowed: Callable[[Subject], object], idle: str
    ) -> None:
        self.verb = verb
        self._contexts = contexts
        self._allowed = allowed
        self._idle = idle

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        self._allowed(subject)
        lost, instance = given_up(asked), subject.state.instance
        if not lost:
            raise BadRequest(f"giveUp is missing: name the clusters that {subject.name} is not to wait for")
        exists = await self._contexts.exists(instance)
        status = state_told(await self._contexts.read_status(instance)) if exists else "lost"
        if status not in UNDER_WAY:
            detail = f"its deployedStatus is {status}; nothing is waited for"
            raise Conflict(self._idle.format(name=subject.name), detail=detail)
        await check_given_up(self._contexts, subject, lost, among=[instance])
        return Begun(instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with suppress(ContextNotFound):
            await self._contexts.give_up(operation.instance, given_up(operation.asked))

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        """It is still the same revision, and its line says why something is missing."""
        *before, last = subject.state.actions
        return replace(subject.state, actions=(*before, replace(last, reason=reason_of(operation.asked, last.reason))))
