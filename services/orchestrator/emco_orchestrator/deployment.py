"""The lifecycle of deployment intent groups, as its routes see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emco_common.errors import NotFound
from emco_common.givingup import GiveUp
from emco_common.lifecycle import Action
from emco_common.operations import Operations, Subject, SubjectMissing, Subjects
from emco_common.store.api import Key
from emco_orchestrator.asking import asking
from emco_orchestrator.groups import LIFECYCLE, NOTHING_UNDER_WAY, Verb, missing_text
from emco_orchestrator.migration import Migrate, Receive
from emco_orchestrator.procedures import Instantiate, Stop, Terminate
from emco_orchestrator.revising import Rollback, Update
from emco_orchestrator.tools import Tools

_PROCEDURES = (Instantiate, Stop, Terminate, Update, Rollback, Migrate, Receive)


class Deployments:
    """Raises ``NotFound`` for an unknown group, ``Conflict`` for what its state forbids, and what each step raises.

    ``give_up`` are clusters (``<provider>+<cluster>``) that are not waited for; ``BadRequest`` for unknown ones.
    ``remove_clusters`` is how many clusters the deployment may leave; ``LeavesTooMany`` if they are many and others.
    """

    def __init__(self, groups: Subjects, tools: Tools) -> None:
        self._groups = groups
        give_up = GiveUp(
            Verb.GIVE_UP,
            tools.contexts,
            allowed=lambda group: LIFECYCLE.next(Verb.GIVE_UP, group.state.state, name=group.name),
            idle=NOTHING_UNDER_WAY,
        )
        self._operations = Operations(groups, [*(procedure(tools) for procedure in _PROCEDURES), give_up])
        self.resume = self._operations.resume

    async def approve(self, key: Key) -> None:
        async def approved(group: Subject) -> Subject | None:
            self._groups.refuse_if_busy(group)
            state = LIFECYCLE.next(Verb.APPROVE, group.state.state, name=group.name)
            if state is None:
                return None
            return group.with_state(group.state.then(Action(state, time=self._groups.clock())))

        try:
            await self._groups.change(key, approved)
        except SubjectMissing as error:
            raise _missing(Verb.APPROVE, key) from error

    async def instantiate(self, key: Key, *, give_up: Sequence[str] = ()) -> None:
        """Build the context of the group and hand it to rsync."""
        await self._run(key, Verb.INSTANTIATE, asking(give_up=give_up))

    async def terminate(self, key: Key, *, give_up: Sequence[str] = ()) -> None:
        """Tell the controllers, then have rsync remove what the deployment brought."""
        await self._run(key, Verb.TERMINATE, asking(give_up=give_up))

    async def give_up(self, key: Key, clusters: Sequence[str]) -> None:
        """Have rsync go on with what it is doing without these clusters."""
        await self._run(key, Verb.GIVE_UP, asking(give_up=clusters))

    async def stop(self, key: Key) -> None:
        """Have rsync leave what it is doing."""
        await self._run(key, Verb.STOP)

    async def update(self, key: Key, *, give_up: Sequence[str] = (), remove_clusters: int | None = None) -> int:
        """Build the context anew and have rsync replace the present one. Answers the new revision."""
        asked = asking(give_up=give_up, remove_clusters=remove_clusters)
        return (await self._run(key, Verb.UPDATE, asked)).state.deployed_revision

    async def rollback(
        self, key: Key, revision: str, *, give_up: Sequence[str] = (), remove_clusters: int | None = None
    ) -> None:
        """Have rsync go back to the context of a revision."""
        asked = asking(give_up=give_up, remove_clusters=remove_clusters)
        await self._run(key, Verb.ROLLBACK, {**asked, "revision": revision})

    async def migrate(
        self,
        key: Key,
        *,
        version: str,
        group: str,
        give_up: Sequence[str] = (),
        remove_clusters: int | None = None,
    ) -> None:
        """Have rsync replace the present context by the one of another group, whose deployment it is from then on."""
        asked = asking(give_up=give_up, remove_clusters=remove_clusters)
        target = {**key, "compositeAppVersion": version, "deploymentIntentGroup": group}
        await self._run(key, Verb.MIGRATE, {**asked, **target})

    async def _run(self, key: Key, verb: Verb, asked: Mapping[str, str] | None = None) -> Subject:
        try:
            return await self._operations.run(key, verb, asked)
        except SubjectMissing as error:
            raise _missing(verb, key) from error


def _missing(verb: Verb, key: Key) -> NotFound:
    return NotFound(missing_text(verb, key["deploymentIntentGroup"]))
