"""The lifecycle of deployment intent groups, as its routes see it."""

from __future__ import annotations

from emco_common.lifecycle import Action
from emco_common.operations import Operations, Subject, Subjects
from emco_common.store.api import Key
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.procedures import Instantiate, Terminate, Tools


class Deployments:
    """Raises ``NotFound`` for an unknown group, ``Conflict`` for what its state forbids, and what each step raises."""

    def __init__(self, groups: Subjects, tools: Tools) -> None:
        self._groups = groups
        self._operations = Operations(groups, (Instantiate(tools), Terminate(tools)))
        self.resume = self._operations.resume

    async def approve(self, key: Key) -> None:
        async def approved(group: Subject) -> Subject | None:
            self._groups.refuse_if_busy(group)
            state = LIFECYCLE.next(Verb.APPROVE, group.state.state, name=group.name)
            if state is None:
                return None
            return group.with_state(group.state.then(Action(state, time=self._groups.clock())))

        await self._groups.change(key, approved)

    async def instantiate(self, key: Key) -> None:
        """Build the context of the group and hand it to rsync."""
        await self._operations.run(key, Verb.INSTANTIATE)

    async def terminate(self, key: Key) -> None:
        """Tell the controllers, then have rsync remove what the current context brought."""
        await self._operations.run(key, Verb.TERMINATE)
