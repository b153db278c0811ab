"""The status of a cluster's networks (spec ncm 7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest, NotFound
from emco_common.lifecycle import NoStateInformation
from emco_common.operations import Subjects
from emco_common.status import CLUSTER_NETWORKS, Manifests, head_of, parse_query, read_contexts, status_answer
from emco_common.store.api import Key
from emco_ncm.clusters import info_of, name_of


class NetworkStatus:
    """Answers status queries."""

    def __init__(self, clusters: Subjects, contexts: AppContextStore) -> None:
        self._clusters = clusters
        self._contexts = contexts
        self._manifests = Manifests()

    async def answer(self, key: Key, parameters: Iterable[tuple[str, str]]) -> Any:
        """Raises ``NotFound`` for an unknown cluster or a context that is gone, ``BadRequest`` for a bad query."""
        query = parse_query(parameters, CLUSTER_NETWORKS)
        try:
            info = info_of(await self._clusters.read(key))
        except NotFound as error:
            raise NotFound("Cluster state not found") from error
        try:
            contexts = await read_contexts(self._contexts, info, query, manifests=self._manifests)
        except NoStateInformation as error:
            raise BadRequest(str(error)) from error
        return status_answer(head_of(name=name_of(key)), info, contexts, query)
