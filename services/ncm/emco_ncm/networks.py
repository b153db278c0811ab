"""The life of a cluster's networks, as its routes see it (spec ncm 6)."""

from __future__ import annotations

from emco_common.errors import NotFound
from emco_common.operations import Operations, Subjects
from emco_common.rsyncclient import RsyncNotRegistered
from emco_common.store.api import Key
from emco_ncm import lifecycle
from emco_ncm.clusters import info_of
from emco_ncm.lifecycle import Verb
from emco_ncm.procedures import Apply, Retry, Stop, Terminate, Tools, Update
from emco_ncm.rendering import as_yaml


class Networks:
    """``NotFound`` for an unknown cluster, ``Conflict`` for what its state forbids, and what each step raises."""

    def __init__(self, clusters: Subjects, tools: Tools) -> None:
        self._clusters = clusters
        self._sets = tools.sets
        procedures = (Apply(tools), Retry(tools), Update(tools), Terminate(tools), Stop(tools))
        self._operations = Operations(clusters, procedures)
        self.resume = self._operations.resume

    async def apply(self, key: Key) -> None:
        """Install all intents; again what failed; nothing if they are applied already."""
        info = info_of(await self._clusters.read(key))
        verb = lifecycle.to_apply(info, await self._sets.progress(info))
        if verb is not None:
            await self._run(key, verb)

    async def update(self, key: Key) -> None:
        """Bring what has changed in the intents of an applied cluster into force."""
        await self._run(key, Verb.UPDATE)

    async def terminate(self, key: Key) -> None:
        info = info_of(await self._clusters.read(key))
        if lifecycle.to_terminate(info, await self._sets.progress(info)):
            await self._run(key, Verb.TERMINATE)

    async def stop(self, key: Key) -> None:
        """Leave off what is under way."""
        await self._run(key, Verb.STOP)

    async def manifests(self, key: Key) -> str:
        """What ``apply`` or ``update`` would install now, before controllers have their say, as YAML."""
        cluster = await self._clusters.read(key)
        return as_yaml(await self._sets.rendered(cluster.key))

    async def _run(self, key: Key, verb: Verb) -> None:
        try:
            await self._operations.run(key, verb)
        except RsyncNotRegistered as error:
            raise NotFound("Could not get find rsync by name", detail=str(error)) from error
