"""Who has something on a cluster, or may still have, whether or not a document refers to it (issue: deletion refused).

A deployment that was placed by label names no cluster, and a reference may have been deleted before its cloud was
updated; what lies on the context bus says where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from emco_common.appcontext import AppContextStore, ContextNotFound, ContextState
from emco_common.lifecycle import STATE_TAG, State, StateInfo
from emco_common.store.api import Document, DocumentStore, Key, described

_GROUP = ("project", "compositeApp", "compositeAppVersion", "deploymentIntentGroup")
_CLOUD = ("project", "logicalCloud")
_IDLE = (State.CREATED, State.APPROVED)
_GONE = (ContextState.TERMINATED, ContextState.TERMINATE_FAILED)


@dataclass(frozen=True, slots=True)
class ClusterUsers:
    """Looks through deployments, then logical clouds."""

    store: DocumentStore
    contexts: AppContextStore

    async def of(self, cluster: Key) -> str:
        name = f"{cluster['clusterProvider']}+{cluster['cluster']}"
        for names in (_GROUP, _CLOUD):
            for document in await self.store.list(names, {}):
                if await self._is_on(document, name):
                    return described(document.key)
        return ""

    async def _is_on(self, user: Document, cluster: str) -> bool:
        info = StateInfo.from_json(user.tags.get(STATE_TAG, {"actions": ()}))
        if not info.actions or info.state in _IDLE or not info.instance:
            return False
        try:
            if not await self.contexts.has_cluster(info.instance, cluster):
                return False
            return info.state is not State.TERMINATED or await self.contexts.get_status(info.instance) not in _GONE
        except ContextNotFound:
            return False
