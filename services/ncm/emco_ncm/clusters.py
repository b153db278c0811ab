"""A cluster as ncm sees it: its network intents, its history, and how far the last operation has got."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from emco_common.appcontext import AppContextStore, ContextNotFound, Resource
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.operations import Subject, Subjects
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import DocumentStore, Key
from emco_ncm.lifecycle import Progress
from emco_ncm.rendering import render, wants_multus
from emco_ncm.resources import CLUSTER, CLUSTER_KV_NAMES, NETWORK, PROVIDER_NETWORK


def clusters_in(store: DocumentStore, clock: Clock, presence: Presence) -> Subjects:
    """The clusters of a store, as this process sees and changes them."""
    return Subjects(store, CLUSTER.key_names, CLUSTER.title, CLUSTER.not_found, clock, presence)


def name_of(key: Key) -> str:
    """``<provider>+<cluster>``, as contexts and status queries name it."""
    return f"{key['clusterProvider']}+{key['cluster']}"


def cluster_key(key: Key) -> Key:
    """The key of the cluster that an intent stands below."""
    return {name: key[name] for name in CLUSTER.key_names}


@dataclass(frozen=True, slots=True)
class NetworkSets:
    """Reads what goes with a cluster."""

    store: DocumentStore
    contexts: AppContextStore

    async def rendered(self, cluster: Key) -> tuple[Resource, ...]:
        """The resources of all its intents. Raises ``Conflict`` if two networks bear one name."""
        networks, provider_networks, key_values = [
            [document.body for document in await self.store.list(names, cluster)]
            for names in (NETWORK.key_names, PROVIDER_NETWORK.key_names, CLUSTER_KV_NAMES)
        ]
        return render(networks, provider_networks, multus=wants_multus(key_values))

    async def progress(self, info: StateInfo) -> Progress:
        """A context that is gone counts as one that never was."""
        with suppress(ContextNotFound):
            if info.instance:
                return Progress(await self.contexts.get_status(info.instance))
        return Progress(exists=False)


def info_of(cluster: Subject) -> StateInfo:
    """The history; that of a new cluster for one that came from elsewhere without any."""
    return cluster.state if STATE_TAG in cluster.document.tags else StateInfo(actions=(Action(State.CREATED),))
