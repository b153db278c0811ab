"""The life of logical clouds, as their routes see it."""

from __future__ import annotations

from collections.abc import Sequence

from emco_common.givingup import GiveUp, giving_up
from emco_common.operations import Operations, Subject
from emco_common.store.api import Key
from emco_dcm.lifecycle import NOTHING_UNDER_WAY, Verb, check_under_way
from emco_dcm.procedures import Instantiate, Renew, Stop, Terminate, Tools, Update


class LogicalClouds:
    """Raises ``NotFound`` for an unknown cloud, ``Conflict`` for what its situation forbids, and what rsync raises."""

    def __init__(self, tools: Tools) -> None:
        give_up = GiveUp(
            Verb.GIVE_UP,
            tools.contexts,
            allowed=lambda cloud: check_under_way(cloud.state, name=cloud.name),
            idle=NOTHING_UNDER_WAY,
        )
        procedures = (Instantiate(tools), Update(tools), Renew(tools), Terminate(tools), Stop(tools), give_up)
        self._operations = Operations(tools.clouds.subjects, procedures)
        self.resume = self._operations.resume

    async def instantiate(self, key: Key) -> None:
        """Bring the cloud to its clusters."""
        await self._operations.run(key, Verb.INSTANTIATE)

    async def update(self, key: Key) -> Subject:
        """Bring the cloud to what now stands below it. Answers the cloud."""
        return await self._operations.run(key, Verb.UPDATE)

    async def renew(self, key: Key, clusters: str = "") -> None:
        """Ask for new certificates on these clusters, whose names are divided by a comma and a blank; else on all."""
        await self._operations.run(key, Verb.RENEW, {"clusters": clusters})

    async def terminate(self, key: Key) -> None:
        """Take the cloud from its clusters."""
        await self._operations.run(key, Verb.TERMINATE)

    async def give_up(self, key: Key, clusters: Sequence[str]) -> None:
        """Have rsync go on without these clusters (``<provider>+<cluster>``). ``BadRequest`` for unknown ones."""
        await self._operations.run(key, Verb.GIVE_UP, giving_up(clusters))

    async def stop(self, key: Key) -> None:
        """Ask rsync to leave off what it is doing for the cloud."""
        await self._operations.run(key, Verb.STOP)
