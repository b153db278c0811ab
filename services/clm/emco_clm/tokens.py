"""A sync object with an agent's token is of one cluster: whoever has the token is the cluster (robustness 26)."""

from __future__ import annotations

from dataclasses import replace

from emco_clm.schemas import AGENT
from emco_common.errors import Conflict
from emco_common.resources.declaration import Body
from emco_common.store.api import DocumentMissing, DocumentStore, Key, StaleRevision
from emco_common.syncobjects import AGENT_OF


def is_with_agent(body: Body) -> bool:
    """Whether the agent of a cluster connects to us."""
    return bool(body["spec"]["gitOps"]["gitOpsType"] == AGENT)


class AgentTokens:
    """Which cluster a sync object's token is of is kept in the sync object itself, so that of two only one gets it."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def give(self, token: Key, cluster: str) -> None:
        """To a cluster that is to be registered with it. ``Conflict`` if another has it."""
        while (found := await self._store.get(token)) is not None:
            holder = found.tags.get(AGENT_OF, "")
            if holder == cluster:
                return
            if holder and await self._is_of(token, holder):
                raise Conflict(
                    f"spec.gitOps.gitOpsReferenceObject: {token['clusterSyncObject']} holds the token of the agent of "
                    f"cluster {holder}; make a sync object of its own for {cluster}, since whoever has the token is "
                    "the cluster"
                )
            given = replace(found, tags={**found.tags, AGENT_OF: cluster})
            try:
                await self._store.replace(given, expected=found.revision)
                return
            except (StaleRevision, DocumentMissing):
                continue  # somebody wrote it meanwhile: look again

    async def _is_of(self, token: Key, cluster: str) -> bool:
        found = await self._store.get({"clusterProvider": token["clusterProvider"], "cluster": cluster})
        return (
            found is not None
            and is_with_agent(found.body)
            and found.body["spec"]["gitOps"]["gitOpsReferenceObject"] == token["clusterSyncObject"]
        )
