"""The life of logical clouds, as their routes see it."""

from __future__ import annotations

from emco_common.operations import Operations, Subject
from emco_common.store.api import Key
from emco_dcm.lifecycle import Verb
from emco_dcm.procedures import Instantiate, Renew, Stop, Terminate, Tools, Update


class LogicalClouds:
    """Raises ``NotFound`` for an unknown cloud, ``Conflict`` for what its situation forbids, and what rsync raises."""

    def __init__(self, tools: Tools) -> None:
        procedures = (Instantiate(tools), Update(tools), Renew(tools), Terminate(tools), Stop(tools))
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

    async def stop(self, key: Key) -> None:
        """Ask rsync to leave off what it is doing for the cloud."""
        await self._operations.run(key, Verb.STOP)
