"""What network intents do beyond their declaration: the state of the cluster decides, names are unique (spec ncm 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from emco_common.errors import Conflict
from emco_common.operations import Subjects
from emco_common.resources.declaration import Resource
from emco_common.resources.service import Draft, Hooks, Write
from emco_common.store.api import Key
from emco_ncm.clusters import cluster_key, info_of
from emco_ncm.lifecycle import check_edit
from emco_ncm.resources import PENDING

What = Literal["network", "provider network"]


class IntentHooks(Hooks):
    """``twin`` is the other kind of network, of which none may have the same name (defect 8)."""

    def __init__(self, clusters: Subjects, *, what: What, twin: Resource) -> None:
        self._clusters = clusters
        self._what = what
        self._twin = twin

    async def admit(self, key: Key, write: Write, query: Mapping[str, str]) -> None:
        cluster = await self._clusters.read(cluster_key(key))
        self._clusters.refuse_if_busy(cluster)
        pending = query.get(PENDING, "").lower() == "true"
        check_edit(write, info_of(cluster).state, what=self._what, pending=pending)

    async def prepare(self, draft: Draft) -> Draft:
        cluster = cluster_key(draft.document.key)
        name = draft.document.body["metadata"]["name"]
        (element,) = self._twin.elements
        if draft.present is None and await self._clusters.store.get({**cluster, element: name}) is not None:
            raise Conflict(f"{self._twin.exists}: {name}; a network and a provider network need different names")
        return draft
