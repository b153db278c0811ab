"""An AppContext as its creator means it: apps, their clusters, the resources in order (appcontext.md 3 to 6).

What the resource synchronizer adds while it works is in ``status``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from emco_common.appcontext.keys import order_of


@dataclass(frozen=True, slots=True)
class Meta:
    """Whose context it is (section 5). ``namespace`` and ``level`` select the way to the clusters."""

    project: str = ""
    composite_app: str = ""
    version: str = ""
    release: str = ""
    deployment_intent_group: str = ""
    namespace: str = ""
    level: str = ""
    child_contexts: tuple[str, ...] = ()
    logical_cloud: str = ""
    logical_cloud_namespace: str = ""
    logical_cloud_level: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval of a certificate signing request (section 8). ``last_update_time`` is RFC 3339, UTC, seconds."""

    last_update_time: str = ""
    message: str = ""
    reason: str = ""
    type: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """``name`` is ``<metadata.name>+<kind>``, ``manifest`` the text of one Kubernetes object."""

    name: str
    manifest: str
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """``name`` is ``<provider>+<cluster>``, ``resources`` are in the order in which they are handled.

    ``hooks`` maps a hook event to its resources in order; one resource may serve several events. CRDs and hooks are
    not among ``resources``. Clusters of one ``anyOf`` share a ``group`` (a decimal number, "" for none).
    """

    name: str
    group: str = ""
    resources: tuple[Resource, ...] = ()
    crds: tuple[Resource, ...] = ()
    hooks: Mapping[str, tuple[Resource, ...]] = field(default_factory=dict, hash=False)

    def all_resources(self) -> Iterator[Resource]:
        """Ordered resources, CRDs, hooks; a hook of several events comes as often."""
        yield from self.resources
        yield from self.crds
        for resources in self.hooks.values():
            yield from resources


@dataclass(frozen=True, slots=True)
class Dependency:
    """Start only when ``app`` is ``Deployed`` or ``Ready``, and ``wait`` seconds after that."""

    app: str
    op_status: str
    wait: int = 0


@dataclass(frozen=True, slots=True)
class App:
    """``clusters`` are kept in the order in which the bus lists them."""

    name: str
    clusters: tuple[Cluster, ...] = ()
    dependencies: tuple[Dependency, ...] = ()

    def __post_init__(self) -> None:
        by_key = sorted(self.clusters, key=lambda cluster: order_of(cluster.name))
        object.__setattr__(self, "clusters", tuple(by_key))

    def groups(self) -> dict[str, list[Cluster]]:
        """Clusters by group number; those without a group are left out (section 9, GetClusterGroupMap)."""
        groups: dict[str, list[Cluster]] = {}
        for cluster in self.clusters:
            if cluster.group:
                groups.setdefault(cluster.group, []).append(cluster)
        return groups


class AppDependencyForm(Enum):
    """How the informational dependency of all apps is written (section 6.2); nobody reads it."""

    PLAIN = "plain"
    """By the orchestrator: ``{"web":"go"}``."""
    WRAPPED = "wrapped"
    """By dcm (level 1), ncm, sds: ``{"appdependency":{"web":"go"}}``."""
    ABSENT = "absent"
    """By dcm for a logical cloud of level 0."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What whoever deploys allows the resource synchronizer beyond what EMCO always did; ours.

    ``heal``: what others changed or deleted on a cluster is put right. ``replace``: an object that cannot be changed in
    place may be deleted and made anew. ``ready_timeout``: seconds until an app that waits for another one to be ready
    counts as failed, and an app that moves stays where it was; 0 waits for ever. ``None``: the first as long as the
    synchronizer's setting says (``EMCO_RSYNC_READY_TIMEOUT``, 3600 s), the second not for readiness at all.
    """

    heal: bool = False
    replace: bool = False
    ready_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class AppContext:
    """``id`` is a decimal number as text. ``status_context`` is "" where the context collects its own status."""

    id: str
    apps: tuple[App, ...] = ()
    meta: Meta | None = None
    status_context: str = ""
    dependency_form: AppDependencyForm = AppDependencyForm.PLAIN
    options: DeliveryOptions = DeliveryOptions()
