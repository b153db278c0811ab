"""The status of a cluster's networks (spec ncm 7)."""

from __future__ import annotations

from emco_common.appcontext import AppContextStore
from emco_common.errors import NotFound
from emco_common.operations import Subjects
from emco_common.status import CLUSTER_NETWORKS, Standing, StatusReader, head_of
from emco_common.store.api import Key
from emco_ncm.clusters import info_of, name_of


def network_status(clusters: Subjects, contexts: AppContextStore) -> StatusReader:
    """Reads and answers the status of the networks of clusters."""

    async def look(key: Key) -> Standing:
        try:
            info = info_of(await clusters.read(key))
        except NotFound as error:
            raise NotFound("Cluster state not found") from error
        return Standing(head_of(name=name_of(key)), info)

    return StatusReader(look, contexts, CLUSTER_NETWORKS)
