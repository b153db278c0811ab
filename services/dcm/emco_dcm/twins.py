"""Two clouds with one namespace on one cluster would take it from each other (spec dcm, defect 16)."""

from __future__ import annotations

from collections.abc import Collection

from emco_common.cloudconfig import CloudConfigs
from emco_common.errors import Conflict
from emco_common.operations import Subject
from emco_common.store.api import Key, described
from emco_dcm.clouds import Clouds, id_of, is_admin, is_on_clusters


class Twins:
    """Finds the other one."""

    def __init__(self, clouds: Clouds, records: CloudConfigs) -> None:
        self._clouds = clouds
        self._records = records

    async def of(self, key: Key, namespace: str, provider: str, cluster: str) -> Key | None:
        """Another level-1 cloud that means to have this namespace on this cluster."""
        others = await self._others(key, namespace)
        return next((other.key for other, clusters in others if (provider, cluster) in clusters), None)

    async def refuse(self, cloud: Subject, clusters: Collection[tuple[str, str]]) -> None:
        """Raises ``Conflict`` if another cloud may be there now.

        An operation is recorded before it is built, so of two clouds that come to a cluster at once each sees the
        other.
        """
        namespace = cloud.spec["namespace"]
        owners = [
            ((record.provider, record.cluster), record.owner)
            for record in await self._records.owned()
            if record.namespace == namespace and id_of(record.owner) != id_of(cloud.key)
        ]
        for other, wanted in await self._others(cloud.key, namespace):
            if is_on_clusters(other) or other.operation is not None:
                owners += [(cluster, other.key) for cluster in wanted]
        for (provider, name), owner in owners:
            if (provider, name) in clusters:
                raise taken(namespace, f"{provider}+{name}", by=owner)

    async def _others(self, key: Key, namespace: str) -> list[tuple[Subject, set[tuple[str, str]]]]:
        """Other clouds with this namespace, and their clusters."""
        found = []
        for other in await self._clouds.all():
            if is_admin(other) or id_of(other.key) == id_of(key) or other.spec["namespace"] != namespace:
                continue
            references = await self._clouds.references(other.key)
            found.append((other, {(reference.provider, reference.cluster) for reference in references}))
        return found


def taken(namespace: str, cluster: str, *, by: Key) -> Conflict:
    return Conflict(
        f"Namespace {namespace} on cluster {cluster} belongs to another Logical Cloud",
        detail=f"It is that of {described(by)}; choose another namespace",
    )
