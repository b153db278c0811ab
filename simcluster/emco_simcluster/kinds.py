"""Which kinds a cluster serves: the built-in ones, and those that custom resource definitions add at run time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emco_simcluster.built_in import BUILT_IN_SHAPES
from emco_simcluster.shapes import OBJECT, Shape, shape_of_schema

Json = dict[str, Any]
ResourceKey = tuple[str, str]
"""API group ("" for the core group) and plural: what objects are stored and watched under."""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one served version. Versions of one kind share their objects; ``storage`` is the stored version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = ALL_VERBS
    storage: str = ""
    shape: Shape = OBJECT
    custom: bool = False
    singular: str = ""
    categories: tuple[str, ...] = ()
    list_kind: str = ""
    scale: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> ResourceKey:
        return self.group, self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage_api_version(self) -> str:
        version = self.storage or self.version
        return f"{self.group}/{version}" if self.group else version

    @property
    def resource(self) -> str:
        """The name used in error messages: ``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """``Deployment.apps``, ``Pod``: how validation errors call the kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"


_SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}

# group/version | kind | plural | n(amespaced) or c(luster) | short names | subresources
_TABLE = """
v1|Namespace|namespaces|c|ns|status,finalize
v1|Node|nodes|c|no|status
v1|Pod|pods|n|po|status,log
v1|Service|services|n|svc|status
v1|ConfigMap|configmaps|n|cm|
v1|Secret|secrets|n||
v1|ServiceAccount|serviceaccounts|n|sa|
v1|PersistentVolume|persistentvolumes|c|pv|status
v1|PersistentVolumeClaim|persistentvolumeclaims|n|pvc|status
v1|Event|events|n|ev|
v1|Endpoints|endpoints|n|ep|
v1|LimitRange|limitranges|n|limits|
v1|ResourceQuota|resourcequotas|n|quota|status
v1|ReplicationController|replicationcontrollers|n|rc|status,scale
v1|PodTemplate|podtemplates|n||
apps/v1|Deployment|deployments|n|deploy|status,scale
apps/v1|ReplicaSet|replicasets|n|rs|status,scale
apps/v1|StatefulSet|statefulsets|n|sts|status,scale
apps/v1|DaemonSet|daemonsets|n|ds|status
apps/v1|ControllerRevision|controllerrevisions|n||
batch/v1|Job|jobs|n||status
batch/v1|CronJob|cronjobs|n|cj|status
autoscaling/v2|HorizontalPodAutoscaler|horizontalpodautoscalers|n|hpa|status
networking.k8s.io/v1|Ingress|ingresses|n|ing|status
networking.k8s.io/v1|NetworkPolicy|networkpolicies|n|netpol|
networking.k8s.io/v1|IngressClass|ingressclasses|c||
policy/v1|PodDisruptionBudget|poddisruptionbudgets|n|pdb|status
rbac.authorization.k8s.io/v1|Role|roles|n||
rbac.authorization.k8s.io/v1|RoleBinding|rolebindings|n||
rbac.authorization.k8s.io/v1|ClusterRole|clusterroles|c||
rbac.authorization.k8s.io/v1|ClusterRoleBinding|clusterrolebindings|c||
storage.k8s.io/v1|StorageClass|storageclasses|c|sc|
certificates.k8s.io/v1|CertificateSigningRequest|certificatesigningrequests|c|csr|status,approval
apiextensions.k8s.io/v1|CustomResourceDefinition|customresourcedefinitions|c|crd,crds|status
admissionregistration.k8s.io/v1|MutatingWebhookConfiguration|mutatingwebhookconfigurations|c||
admissionregistration.k8s.io/v1|ValidatingWebhookConfiguration|validatingwebhookconfigurations|c||
scheduling.k8s.io/v1|PriorityClass|priorityclasses|c|pc|
coordination.k8s.io/v1|Lease|leases|n||
discovery.k8s.io/v1|EndpointSlice|endpointslices|n||
node.k8s.io/v1|RuntimeClass|runtimeclasses|c||
authentication.k8s.io/v1|SelfSubjectReview|selfsubjectreviews|c||
authorization.k8s.io/v1|SelfSubjectAccessReview|selfsubjectaccessreviews|c||
"""

_ALL_CATEGORY = frozenset(
    [
        "pods",
        "services",
        "deployments",
        "replicasets",
        "statefulsets",
        "daemonsets",
        "jobs",
        "cronjobs",
        "horizontalpodautoscalers",
        "replicationcontrollers",
    ]
)
REVIEWS = frozenset({"selfsubjectreviews", "selfsubjectaccessreviews"})


def built_in_kinds() -> Iterator[Kind]:
    """The kinds every cluster serves."""
    for line in _TABLE.split():
        api_version, kind, plural, scope, short, subresources = line.split("|")
        group, _, version = api_version.rpartition("/")
        subs = frozenset(filter(None, subresources.split(",")))
        yield Kind(
            group=group,
            version=version,
            kind=kind,
            plural=plural,
            namespaced=scope == "n",
            short_names=tuple(filter(None, short.split(","))),
            subresources=subs,
            verbs=("create",) if plural in REVIEWS else ALL_VERBS,
            shape=BUILT_IN_SHAPES.get(kind, OBJECT),
            singular=kind.lower(),
            categories=("all",) if plural in _ALL_CATEGORY else (),
            scale=_SCALE if "scale" in subs else {},
        )


def custom_kinds(definition: Json) -> list[Kind]:
    """The kinds a CustomResourceDefinition serves, one per served version."""
    spec = definition["spec"]
    names = spec["names"]
    storage = next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"])
    return [
        Kind(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec.get("scope") == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            subresources=frozenset(version.get("subresources") or {}),
            storage=storage,
            shape=shape_of_schema((version.get("schema") or {}).get("openAPIV3Schema") or {}),
            custom=True,
            singular=names.get("singular") or names["kind"].lower(),
            categories=tuple(names.get("categories") or ()),
            list_kind=names.get("listKind", ""),
            scale=(version.get("subresources") or {}).get("scale") or {},
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]


class KindTable:
    """The kinds one cluster serves now. Built-in kinds are shared between clusters, custom ones are its own."""

    def __init__(self, built_in: Iterable[Kind]) -> None:
        self._built_in = {(k.group, k.version, k.plural): k for k in built_in}
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._stored: dict[ResourceKey, Kind] = {}
        self.reset()

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def of(self, key: ResourceKey) -> Kind | None:
        """The kind of a resource in its stored version."""
        return self._stored.get(key)

    def named(self, kind: str) -> list[Kind]:
        """All kinds of this name (several groups may use the same one), by kind or plural."""
        return [k for k in self._kinds.values() if kind in (k.kind, k.plural, k.resource)]

    def groups(self) -> dict[str, list[str]]:
        """Served groups and their versions, preferred first."""
        groups: dict[str, list[str]] = {}
        for kind in self._kinds.values():
            versions = groups.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        return groups

    def add(self, definition: Json) -> None:
        """Serve a custom resource definition; replaces what it served before."""
        kinds = custom_kinds(definition)
        if kinds:
            self.drop(kinds[0].key)
        self._become({**self._kinds, **{(k.group, k.version, k.plural): k for k in kinds}})

    def drop(self, key: ResourceKey) -> None:
        """No longer serve a custom resource."""
        self._become({i: k for i, k in self._kinds.items() if k.key != key or i in self._built_in})

    def reset(self) -> None:
        """Forget every custom kind."""
        self._become(dict(self._built_in))

    def _become(self, kinds: dict[tuple[str, str, str], Kind]) -> None:
        self._kinds, self._stored = kinds, {}
        for kind in kinds.values():
            if kind.key not in self._stored or kind.storage == kind.version:
                self._stored[kind.key] = kind
