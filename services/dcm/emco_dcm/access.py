"""The access of a level-1 cloud's user to its clusters: how far each is, and bringing it there (spec dcm 8).

``look`` only reads, ``settle`` does what is missing. Each cluster is on its own (defect 6), everything is found again
in the store and on the bus (defect 4), and doing it twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from emco_common.appcontext import AppContextStore, ContextNotFound, keys
from emco_common.cloudconfig import Access, AccessMissing, CloudConfigs
from emco_common.errors import NotFound
from emco_common.lifecycle import State
from emco_common.operations import Subject
from emco_common.store.api import Key
from emco_dcm.clouds import Clouds, id_of, is_admin
from emco_dcm.lifecycle import Verb
from emco_dcm.members import Members
from emco_dcm.privatekey import PrivateKeys, public_key
from emco_dcm.views import Facts, View

_log = structlog.get_logger()
_LIVING = frozenset({State.INSTANTIATED, State.UPDATED, State.INSTANTIATE_STOPPED})


@dataclass(frozen=True, slots=True)
class Settled:
    """``waiting``: something is still to come. ``renew``: clusters that need a new signing request."""

    waiting: bool = False
    renew: tuple[str, ...] = ()
    status_context: str = ""


class CloudAccess:
    """The access records of level 1."""

    def __init__(
        self, clouds: Clouds, contexts: AppContextStore, records: CloudConfigs, keys: PrivateKeys, members: Members
    ) -> None:
        self._clouds = clouds
        self._contexts = contexts
        self._records = records
        self._keys = keys
        self._members = members

    async def look(self, cloud: Subject, *, anew: bool = True) -> list[View]:
        """Every cluster of the present context; none where the user is not to have access anywhere.

        Unless ``anew``, access that is there is taken to be as it should be.
        """
        state = cloud.state
        if is_admin(cloud) or state.state not in _LIVING:
            return []
        try:
            context = await self._contexts.read(state.instance)
            status = await self._contexts.read_status(state.status_context)
        except ContextNotFound:
            return []
        clusters, key, own = context.apps[0].clusters, self._keys.of(cloud), await self._own(cloud)
        facts = Facts(
            cloud,
            key or b"",
            public_key(key) if key else None,
            status,
            {reference.cluster_name: reference for reference in await self._clouds.references(cloud.key)},
            own,
            await self._registered(cluster.name for cluster in clusters if anew or cluster.name not in own),
            self._clouds.subjects.clock(),
        )
        # A kubeconfig takes milliseconds to read and to write; others are served meanwhile.
        return await asyncio.to_thread(lambda: [facts.view(cluster) for cluster in clusters])

    async def settle(self, key: Key) -> Settled:
        """Bring every cluster as far as it can be now, and drop what is not wanted any more (defects 8 and 12)."""
        try:
            cloud = await self._clouds.read(key)
        except NotFound:
            await self.drop_orphans()
            return Settled()
        if is_admin(cloud):
            return Settled()
        if cloud.operation is not None and cloud.operation.verb != Verb.STOP:
            return Settled(waiting=True)
        views = await self.look(cloud)
        await self._drop_others(cloud, {view.cluster for view in views})
        if not views:
            await self._members.forget_certificates(key)
            return Settled()
        for view in views:
            await self._bring(cloud, view)
        if (await self._clouds.read(key)).state != cloud.state:
            return Settled(waiting=True)  # what was brought may be unwanted already
        return Settled(
            waiting=any(view.wanted is None or view.pending for view in views),
            renew=tuple(view.cluster for view in views if view.renew),
            status_context=cloud.state.status_context,
        )

    async def drop_orphans(self) -> None:
        """Forget the records of clouds that are gone, or that have another namespace now."""
        records = await self._records.owned()
        clouds = {id_of(cloud.key): cloud for cloud in await self._clouds.all()} if records else {}
        for record in records:
            cloud = clouds.get(id_of(record.owner))
            if cloud is None or is_admin(cloud) or cloud.spec["namespace"] != record.namespace:
                await self._records.delete(record)

    async def _bring(self, cloud: Subject, view: View) -> None:
        if view.is_news and view.certificate is not None and view.reference is not None:
            await self._members.keep_certificate(view.reference, view.certificate.pem, request=view.request)
        if view.wanted is not None and view.wanted != view.present:
            await self._records.put(view.wanted)
            await self._clouds.subjects.tell(cloud.key)
            _log.info("access_granted", logical_cloud=cloud.name, cluster=view.cluster)

    async def _drop_others(self, cloud: Subject, wanted: set[str]) -> None:
        for cluster, record in (await self._own(cloud)).items():
            if cluster not in wanted:
                await self._records.delete(record)
                await self._clouds.subjects.tell(cloud.key)
                _log.info("access_dropped", logical_cloud=cloud.name, cluster=cluster)

    async def _own(self, cloud: Subject) -> dict[str, Access]:
        records = await self._records.of_clouds(cloud.spec["namespace"])
        return {f"{one.provider}+{one.cluster}": one for one in records if id_of(one.owner) == id_of(cloud.key)}

    async def _registered(self, clusters: Iterable[str]) -> dict[str, Access]:
        async def one(cluster: str) -> Access | None:
            try:
                return await self._records.get(*keys.split_cluster_name(cluster))
            except AccessMissing:
                return None

        names = list(clusters)
        found = await asyncio.gather(*map(one, names))
        return {name: access for name, access in zip(names, found, strict=True) if access is not None}
