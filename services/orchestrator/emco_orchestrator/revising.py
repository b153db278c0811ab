"""A deployment that is there becomes another revision: update, and rollback to one that was there before (9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from emco_common.errors import BadRequest, Conflict
from emco_common.givingup import check_given_up, given_up, reason_of
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rpc import contextupdate_pb2
from emco_orchestrator.asking import may_leave
from emco_orchestrator.groups import Verb
from emco_orchestrator.removalguard import Placement
from emco_orchestrator.tools import Tools


class Update(Procedure):
    """The intents are read and the charts are rendered anew; rsync replaces the one context by the other."""

    verb = Verb.UPDATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        return Begun(self._tools.new_context(), await self._tools.running(subject, self.verb))

    async def build(self, subject: Subject, operation: Operation) -> None:
        before = await self._tools.contexts.placement(operation.source)

        def allows(after: Placement) -> None:
            agreed = may_leave(operation.asked)
            self._tools.guard.check(before, after, agreed=agreed, verb=self.verb, name=subject.name)

        await self._tools.builder.build(
            subject,
            operation.instance,
            source=operation.source,
            status_context=subject.state.status_context,
            allows=allows,
        )
        among = [operation.source, operation.instance]
        await check_given_up(self._tools.contexts, subject, given_up(operation.asked), among=among)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await _let_go_on(self._tools, subject)
        with self._tools.steps.timed("queue"):
            await self._tools.rsync.update(operation.source, operation.instance)
        await self._tools.give_up(operation)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return revised(subject.state, operation, now)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.UPDATE)
        await self._tools.keeper.collect(subject)


class Rollback(Procedure):
    """No rendering and no placement: what the clusters get is what they had."""

    verb = Verb.ROLLBACK

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        contexts = self._tools.contexts
        source = await self._tools.running(subject, self.verb)
        target = target_of(subject.state, asked["revision"], name=subject.name)
        if not await contexts.exists(target):
            raise Conflict(f"No matching ContextId found: revision {asked['revision']} is not kept any more")
        before, after = await contexts.placement(source), await contexts.placement(target)
        self._tools.guard.check(before, after, agreed=may_leave(asked), verb=self.verb, name=subject.name)
        await check_given_up(contexts, subject, given_up(asked), among=[source, target])
        return Begun(target, source)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await _let_go_on(self._tools, subject)
        await self._tools.contexts.set_stop_flag(operation.instance, False)
        with self._tools.steps.timed("queue"):
            await self._tools.rsync.rollback(operation.source, operation.instance)
        await self._tools.give_up(operation)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return revised(subject.state, operation, now)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.UPDATE)
        await self._tools.keeper.collect(subject)


def target_of(state: StateInfo, asked: str, *, name: str) -> str:
    """The context of a revision of the present deployment. Raises if there is none to go back to.

    A revision of an earlier deployment is out of reach: its context was terminated (defect 22).
    """
    if not (asked.isascii() and asked.isdigit()):
        raise BadRequest(
            f'strconv.ParseInt: parsing "{asked}": invalid syntax', detail=f"spec.revision of {name}: {asked!r}"
        )
    known = {str(a.revision): a.instance for a in state.deployment if a.state is State.INSTANTIATED and a.revision}
    wanted = asked.lstrip("0")
    if wanted not in known:
        possible = [revision for revision, instance in known.items() if instance != state.instance]
        where = f"{name} has no revision {asked} in its present deployment to go back to"
        raise Conflict("No matching ContextId found", detail=f"{where}; it has {', '.join(possible) or 'none'}")
    if known[wanted] == state.instance:
        raise Conflict(f"DeploymentIntentGroup {name} is at revision {wanted} already")
    return known[wanted]


def revised(state: StateInfo, operation: Operation, now: datetime) -> StateInfo:
    """The two lines that every new revision adds."""
    replaced = Action(State.UPDATED, operation.source, now, state.deployed_revision)
    why = reason_of(operation.asked)
    return state.then(replaced).then(Action(State.INSTANTIATED, operation.instance, now, state.next_revision, why))


async def _let_go_on(tools: Tools, subject: Subject) -> None:
    """A deployment that was stopped would not be touched, and what the new revision lacks would stay (defect 23)."""
    if subject.state.state is State.INSTANTIATE_STOPPED:
        await tools.contexts.set_stop_flag(subject.state.instance, False)
