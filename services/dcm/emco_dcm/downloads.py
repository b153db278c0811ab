"""The kubeconfig of a cloud's user as a download, for one cluster or for all (spec dcm 8.3)."""

from __future__ import annotations

from emco_common.errors import Conflict, EmcoError, NotFound
from emco_common.store.api import Key
from emco_dcm.access import CloudAccess
from emco_dcm.clouds import Clouds, ClusterReference, is_admin
from emco_dcm.issued import Stage
from emco_dcm.kubeconfig import dump, merged
from emco_dcm.resources import CLUSTER_REFERENCE
from emco_dcm.views import View

_NOT_INSTANTIATED = "Logical Cloud hasn't been instantiated"
_KNOWN_TEXTS = {
    Stage.NO_STATUS: "The cluster doesn't contain status, please check if all services are up and running",
    Stage.NO_REQUEST: "A status for the CSR hasn't been returned",
}
_UNREADABLE = "An error occurred while parsing the cluster status"


class Downloads:
    """Asking for a kubeconfig also does what is still missing for it."""

    def __init__(self, clouds: Clouds, access: CloudAccess) -> None:
        self._clouds = clouds
        self._access = access

    async def of_cluster(self, key: Key, reference: str) -> bytes:
        """Empty for a GitOps cluster. ``NotFound``; ``Conflict`` while there is none, with the reason."""
        await self._clouds.read(key)
        document = await self._clouds.subjects.store.get({**key, "clusterReference": reference})
        if document is None:
            raise NotFound(CLUSTER_REFERENCE.not_found)
        views = await self._views(key)
        cluster = ClusterReference(document).cluster_name
        view = next((view for view in views if view.cluster == cluster), None)
        if view is None:
            raise Conflict(f"Cluster reference {reference} is not in force yet; update the Logical Cloud")
        return _content(view)

    async def of_cloud(self, key: Key) -> bytes:
        """A context for each cluster that has one by now."""
        views = await self._views(key)
        made = [view.kubeconfig for view in views if view.kubeconfig is not None]
        if made:
            return dump(merged(made))
        for view in views:
            _content(view)
        return b""

    async def _views(self, key: Key) -> list[View]:
        cloud = await self._clouds.read(key)
        if is_admin(cloud):
            raise Conflict(
                "A Logical Cloud of level 0 has no user and so no kubeconfig; its clusters are used as registered"
            )
        if not cloud.state.instance:
            raise Conflict(_NOT_INSTANTIATED)
        await self._access.settle(key)
        views = await self._access.look(await self._clouds.read(key))
        if not views:
            raise Conflict(_NOT_INSTANTIATED)
        return views


def _content(view: View) -> bytes:
    if view.kubeconfig is not None:
        return dump(view.kubeconfig)
    if not view.request:
        return b""
    if view.seen.stage is Stage.UNREADABLE:
        raise EmcoError(_UNREADABLE)
    raise Conflict(
        _KNOWN_TEXTS.get(view.seen.stage, f"There is no kubeconfig yet: {view.problem}"), detail=view.problem
    )
