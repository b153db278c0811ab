"""By which way a cluster is reached, as its access record says, and what speaks to it there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from emco_common.appcontext import keys
from emco_common.cloudconfig import AccessMissing, CloudConfigs
from emco_common.kube import KubeApi, KubeClient, Policy, parse_kubeconfig
from emco_rsync.plan.plan import ADMIN_LEVEL, DEFAULT_NAMESPACE


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


Access = Callable[[Identity], Awaitable[Way]]
"""The way of an identity; any ``EmcoError``."""

Open = Callable[[Identity, Way], KubeApi]
"""Makes what speaks to a cluster; does not connect. Any ``EmcoError``."""


@dataclass(frozen=True, slots=True)
class DirectSettings:
    """``timeout`` is the deadline of a call in seconds."""

    connections: int = 8
    watches: int = 256
    timeout: float = 15.0
    policy: Policy | None = None


def access_from(records: CloudConfigs) -> Access:
    """The ways as clm and dcm have written them down."""

    async def way(identity: Identity) -> Way:
        provider, cluster = keys.split_cluster_name(identity.cluster)
        found = await records.get(provider, cluster, level=identity.level, namespace=identity.namespace)
        return Way(found.kubeconfig, found.gitops)

    return way


def open_directly(settings: DirectSettings) -> Open:
    """To the API server that the kubeconfig names."""

    def make(identity: Identity, way: Way) -> KubeApi:
        if not way.kubeconfig:
            raise AccessMissing(f"cluster {identity.cluster} has no kubeconfig; GitOps clusters are not supported yet")
        return KubeClient(
            parse_kubeconfig(way.kubeconfig, policy=settings.policy),
            connections=settings.connections,
            watches=settings.watches,
            timeout=settings.timeout,
        )

    return make
