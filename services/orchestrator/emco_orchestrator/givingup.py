"""Clusters that are lost are given up, so that nobody waits for them (spec orchestrator-lifecycle defect 33)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_orchestrator.asking import given_up, reason_of
from emco_orchestrator.groups import LIFECYCLE, NOTHING_UNDER_WAY, Verb
from emco_orchestrator.tools import Tools

UNDER_WAY = frozenset(
    {ContextState.CREATED, ContextState.INSTANTIATING, ContextState.UPDATING, ContextState.TERMINATING}
)
"""``Created``: the work is queued and has not begun."""


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
    """What is under way goes on without the clusters that are lost. It hears of it by itself."""

    verb = Verb.GIVE_UP

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        lost, instance = given_up(asked), subject.state.instance
        if not lost:
            raise BadRequest(f"giveUp is missing: name the clusters that {subject.name} is not to wait for")
        status = await self._tools.status_of(instance)
        if status not in UNDER_WAY:
            detail = f"its deployedStatus is {status or 'not known yet'}; nothing is waited for"
            raise Conflict(NOTHING_UNDER_WAY.format(name=subject.name), detail=detail)
        await check_given_up(self._tools.contexts, subject, lost, among=[instance])
        return Begun(instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with suppress(ContextNotFound):
            await self._tools.contexts.give_up(operation.instance, given_up(operation.asked))

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        """It is still the same revision, and its line says why something is missing."""
        *before, last = subject.state.actions
        return replace(subject.state, actions=(*before, replace(last, reason=reason_of(operation.asked, last.reason))))
