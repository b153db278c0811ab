"""How values merge: which lists are keyed maps or sets, and which values are atomic.

A ``Shape`` describes one value, as far as server-side apply and strategic merge patch must know it. What is not
described merges by the default of Kubernetes: maps by key, lists as a whole. Custom kinds take their shapes from the
``x-kubernetes-list-type`` and ``x-kubernetes-map-type`` marks of their schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """``keys``: the list is a map by these members; ``unique``: the list is a set; ``atomic``: it is replaced whole."""

    fields: Mapping[str, Shape] = field(default_factory=dict)
    values: Shape | None = None
    item: Shape | None = None
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    unique: bool = False
    atomic: bool = False

    def member(self, name: str) -> Shape:
        """The shape of a member of this map."""
        return self.fields.get(name) or self.values or PLAIN

    @property
    def element(self) -> Shape:
        """The shape of an element of this list."""
        return self.item or PLAIN

    @property
    def keyed(self) -> bool:
        return bool(self.keys) or self.unique


PLAIN = Shape()
ATOMIC = Shape(atomic=True)
SET = Shape(unique=True)


def _map_list(*keys: str, item: Shape = PLAIN, **defaults: Any) -> Shape:
    return Shape(keys=keys, item=item, key_defaults=defaults)


def _struct(**fields: Shape) -> Shape:
    return Shape(fields=fields)


METADATA = _struct(ownerReferences=_map_list("uid", item=ATOMIC), finalizers=SET)
CONDITIONS = _map_list("type")
STATUS = _struct(conditions=CONDITIONS)
OBJECT = _struct(metadata=METADATA, status=STATUS)

_KEY_REFERENCE = _struct(configMapKeyRef=ATOMIC, secretKeyRef=ATOMIC, fieldRef=ATOMIC, resourceFieldRef=ATOMIC)
_CONTAINER = _struct(
    env=_map_list("name", item=_struct(valueFrom=_KEY_REFERENCE)),
    ports=_map_list("containerPort", "protocol", protocol="TCP"),
    volumeMounts=_map_list("mountPath"),
    volumeDevices=_map_list("devicePath"),
    resources=_struct(claims=_map_list("name")),
    resizePolicy=ATOMIC,
)
_CONTAINERS = _map_list("name", item=_CONTAINER)
POD_SPEC = _struct(
    containers=_CONTAINERS,
    initContainers=_CONTAINERS,
    ephemeralContainers=_CONTAINERS,
    volumes=_map_list("name"),
    imagePullSecrets=_map_list("name"),
    hostAliases=_map_list("ip"),
    topologySpreadConstraints=_map_list("topologyKey", "whenUnsatisfiable"),
    resourceClaims=_map_list("name"),
    schedulingGates=_map_list("name"),
    nodeSelector=ATOMIC,
)
_POD_TEMPLATE = _struct(metadata=METADATA, spec=POD_SPEC)
_WORKLOAD = _struct(selector=ATOMIC, template=_POD_TEMPLATE)
_JOB = _struct(selector=ATOMIC, template=_POD_TEMPLATE)


def _object(spec: Shape = PLAIN, status: Shape = STATUS, **members: Shape) -> Shape:
    return _struct(metadata=METADATA, spec=spec, status=status, **members)


BUILT_IN_SHAPES: Mapping[str, Shape] = {
    "Namespace": _object(_struct(finalizers=ATOMIC)),
    "Pod": _object(POD_SPEC, _struct(conditions=CONDITIONS, podIPs=_map_list("ip"))),
    "PodTemplate": _struct(metadata=METADATA, template=_POD_TEMPLATE),
    "ReplicationController": _object(_struct(selector=ATOMIC, template=_POD_TEMPLATE)),
    "Deployment": _object(_WORKLOAD),
    "ReplicaSet": _object(_WORKLOAD),
    "StatefulSet": _object(_WORKLOAD),
    "DaemonSet": _object(_WORKLOAD),
    "Job": _object(_JOB),
    "CronJob": _object(_struct(jobTemplate=_object(_JOB)), _struct(active=ATOMIC)),
    "Service": _object(
        _struct(ports=_map_list("port", "protocol", protocol="TCP"), selector=ATOMIC),
        _struct(conditions=CONDITIONS, loadBalancer=_struct(ingress=ATOMIC)),
    ),
    "ServiceAccount": _object(secrets=_map_list("name"), imagePullSecrets=ATOMIC),
    "PersistentVolumeClaim": _object(_struct(selector=ATOMIC, dataSource=ATOMIC)),
    "PersistentVolume": _object(_struct(claimRef=PLAIN, nodeAffinity=PLAIN)),
    "Node": _object(_struct(podCIDRs=SET), _struct(conditions=CONDITIONS, addresses=_map_list("type"), images=ATOMIC)),
    "NetworkPolicy": _object(_struct(podSelector=ATOMIC)),
    "PodDisruptionBudget": _object(_struct(selector=ATOMIC)),
    "RoleBinding": _object(roleRef=ATOMIC),
    "ClusterRoleBinding": _object(roleRef=ATOMIC),
    "ClusterRole": _object(aggregationRule=_struct(clusterRoleSelectors=ATOMIC)),
    "MutatingWebhookConfiguration": _object(webhooks=_map_list("name")),
    "ValidatingWebhookConfiguration": _object(webhooks=_map_list("name")),
    "CustomResourceDefinition": _object(status=_struct(conditions=CONDITIONS)),
    "Endpoints": _object(subsets=ATOMIC),
    "EndpointSlice": _object(endpoints=ATOMIC, ports=ATOMIC),
}


def shape_of_schema(schema: Json) -> Shape:
    """The shape a custom resource definition's schema declares for its objects."""
    declared = _of_schema(schema, depth=0)
    return Shape(fields={**declared.fields, "metadata": METADATA}, values=declared.values)


def _of_schema(schema: Json, *, depth: int) -> Shape:
    if depth > 40 or not isinstance(schema, dict):
        return PLAIN
    properties = {n: _of_schema(s, depth=depth + 1) for n, s in (schema.get("properties") or {}).items()}
    additional, items = schema.get("additionalProperties"), schema.get("items")
    item = _of_schema(items, depth=depth + 1) if isinstance(items, dict) else None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    list_type = schema.get("x-kubernetes-list-type")
    described = (items.get("properties") or {}) if isinstance(items, dict) else {}
    return Shape(
        fields=properties,
        values=_of_schema(additional, depth=depth + 1) if isinstance(additional, dict) else None,
        item=item,
        keys=keys if list_type == "map" else (),
        key_defaults={k: described[k]["default"] for k in keys if "default" in described.get(k, {})},
        unique=list_type == "set",
        atomic=schema.get("x-kubernetes-map-type") == "atomic" or list_type == "atomic",
    )
