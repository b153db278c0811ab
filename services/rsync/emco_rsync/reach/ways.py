"""By which way a cluster is reached, as its access record says, and what speaks to it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from emco_common.appcontext import keys
from emco_common.cloudconfig import AccessMissing, CloudConfigs
from emco_common.kube import KubeApi, KubeClient, Policy, parse_kubeconfig
from emco_common.kube.network import Network
from emco_common.store.api import StoreUnavailable
from emco_common.syncobjects import SyncObjectMissing, SyncObjects
from emco_rsync.plan.plan import ADMIN_LEVEL, DEFAULT_NAMESPACE

ANTHOS = "anthos"
AGENT = "agent"
OF_THEIR_OWN = (ANTHOS, AGENT)
"""Types of which a logical cloud's own record says all that is needed."""


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A cluster (``provider+cluster``) and whose access record is used on it."""

    cluster: str
    level: str
    namespace: str


def admin_of(cluster: str) -> Identity:
    """Who onboarded the cluster."""
    return Identity(cluster, ADMIN_LEVEL, DEFAULT_NAMESPACE)


@dataclass(frozen=True, slots=True)
class Way:
    """What the access record of an identity says. Two that are equal lead to the same place with the same rights."""

    kubeconfig: bytes = field(default=b"", repr=False)
    gitops: Mapping[str, str] = field(default_factory=dict, hash=False)
    reference: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """The pairs of the reference object of a cluster without kubeconfig: credentials."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """The pairs of its resource object, if it has one."""
    registration: str = field(default="", compare=False)
    """Another one after each write of the record, whatever it says."""

    @property
    def type(self) -> str:
        """Empty for a cluster that is reached directly."""
        return self.gitops.get("gitOpsType", "") if not self.kubeconfig else ""

    @property
    def mark(self) -> bytes:
        """The same for those that are equal: enough to see later that the way is another one."""
        parts = (sorted(pairs.items()) for pairs in (self.gitops, self.reference, self.options))
        return blake2b(repr((self.kubeconfig, *parts)).encode(), digest_size=16).digest()


Access = Callable[[Identity], Awaitable[Way]]
"""The way of an identity; any ``EmcoError``."""

_READ_AT_ONCE = 32
"""Access records: a deployment to thousands of clusters asks for all of theirs in the same moment."""

READ_SECONDS = 20.0
"""For an access record, whatever becomes of the store's own deadlines."""

Open = Callable[[Identity, Way], KubeApi]
"""Makes what speaks to a cluster; does not connect. Any ``EmcoError``."""


@dataclass(frozen=True, slots=True)
class DirectSettings:
    """``timeout`` is the deadline of a call in seconds."""

    connections: int = 8
    watches: int = 256
    timeout: float = 15.0
    policy: Policy | None = None


def access_from(records: CloudConfigs, sync: SyncObjects) -> Access:
    """The ways as clm and dcm have written them down (rsync 11.3).

    A logical cloud's own record says that it may go to a cluster without kubeconfig; by which way, says for most types
    the record of who onboarded the cluster. The token of an agent is no affair of those who call it.
    """

    turns = asyncio.Semaphore(_READ_AT_ONCE)

    async def way(identity: Identity) -> Way:
        # To its end, whoever gives up waiting: a driver of a store that is cut by the hundred may lose its locks.
        reading = asyncio.ensure_future(in_turn(identity))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(reading)

    async def in_turn(identity: Identity) -> Way:
        async with turns:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return await read(identity)
            except TimeoutError:
                why = f"the store has not told the access record of {identity.cluster} within {READ_SECONDS:g} s"
                raise StoreUnavailable(why) from None

    async def read(identity: Identity) -> Way:
        provider, cluster = keys.split_cluster_name(identity.cluster)
        found = await records.get(provider, cluster, level=identity.level, namespace=identity.namespace)
        kind = found.gitops.get("gitOpsType")
        if not found.kubeconfig and kind not in OF_THEIR_OWN and identity.level != ADMIN_LEVEL:
            found = await records.get(provider, cluster)
        if found.kubeconfig or kind == AGENT:
            return Way(found.kubeconfig, found.gitops, registration=found.registration)
        reference, options = (found.gitops.get(f"gitOps{part}Object", "") for part in ("Reference", "Resource"))
        return Way(
            gitops=found.gitops,
            reference=await sync.values(provider, reference) if reference else {},
            options=await _options(provider, options) if options else {},
            registration=found.registration,
        )

    async def _options(provider: str, name: str) -> Mapping[str, str]:
        try:
            return await sync.values(provider, name)
        except SyncObjectMissing as error:
            raise SyncObjectMissing(f"Invalid resObject: {name}", detail=str(error)) from error

    return way


def by_type(types: Mapping[str, Open]) -> Open:
    """The choice of what speaks to a cluster, by the type of its way; ``""`` is the direct one."""

    def make(identity: Identity, way: Way) -> KubeApi:
        chosen = types.get(way.type)
        if chosen is None:
            raise AccessMissing(f"Provider type not supported: {way.type}")
        return chosen(identity, way)

    return make


def open_directly(settings: DirectSettings, *, network: Network | None = None) -> Open:
    """To the API server that the kubeconfig names; ``network`` is what all of these ways share."""
    network = network or Network()

    def make(identity: Identity, way: Way) -> KubeApi:
        if not way.kubeconfig:
            raise AccessMissing(
                f"cluster {identity.cluster} has neither a kubeconfig nor a GitOps type: No provider type specified"
            )
        return KubeClient(
            parse_kubeconfig(way.kubeconfig, policy=settings.policy),
            connections=settings.connections,
            watches=settings.watches,
            timeout=settings.timeout,
            network=network,
        )

    return make


def expiry_of(client: KubeApi) -> float:
    """When the certificate with which it calls ends, as a Unix time; 0 where there is none."""
    return client.expires.timestamp() if isinstance(client, KubeClient) and client.expires is not None else 0.0
