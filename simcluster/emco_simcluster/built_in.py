"""The shapes of built-in kinds: merge keys, types, and the members of the structures that charts fill in most.

Names and types are those of Kubernetes 1.36; a contract test compares closed structures with a real server's schema.
"""

from __future__ import annotations

from collections.abc import Mapping

from emco_simcluster.shapes import (
    ATOMIC,
    BOOLEAN,
    CONDITIONS,
    INTEGER,
    METADATA,
    PLAIN,
    SET,
    STATUS,
    STRING,
    STRINGS,
    TEXTS,
    Shape,
    map_list,
    struct,
)


def closed(
    *, strings: str = "", integers: str = "", booleans: str = "", texts: str = "", other: str = "", **fields: Shape
) -> Shape:
    """A structure all of whose members are known; ``texts`` are lists of strings, ``other`` has members of any type."""
    sorts = ((strings, STRING), (integers, INTEGER), (booleans, BOOLEAN), (texts, STRINGS), (other, PLAIN))
    named = {name: shape for names, shape in sorts for name in names.split()}
    return Shape(fields={**named, **fields}, type="map", closed=True)


_ATOMIC_TEXTS = Shape(type="map", atomic=True, values=STRING)
_ANY_LIST = Shape(type="list")

ENVIRONMENT = closed(
    strings="name value",
    valueFrom=struct(configMapKeyRef=ATOMIC, secretKeyRef=ATOMIC, fieldRef=ATOMIC, resourceFieldRef=ATOMIC),
)
CONTAINER_PORT = closed(strings="hostIP name protocol", integers="containerPort hostPort")
VOLUME_MOUNT = closed(
    strings="mountPath mountPropagation name recursiveReadOnly subPath subPathExpr", booleans="readOnly"
)
CONTAINER = closed(
    strings="image imagePullPolicy name restartPolicy terminationMessagePath terminationMessagePolicy workingDir",
    booleans="stdin stdinOnce tty",
    texts="args command",
    other="lifecycle livenessProbe readinessProbe startupProbe securityContext",
    env=map_list("name", item=ENVIRONMENT),
    envFrom=_ANY_LIST,
    ports=map_list("containerPort", "protocol", protocol="TCP", item=CONTAINER_PORT),
    resizePolicy=_ANY_LIST,
    restartPolicyRules=_ANY_LIST,
    resources=struct(claims=map_list("name")),
    volumeDevices=map_list("devicePath"),
    volumeMounts=map_list("mountPath", item=VOLUME_MOUNT),
)
POD_SPEC = closed(
    strings=(
        "dnsPolicy hostname hostnameOverride nodeName preemptionPolicy priorityClassName restartPolicy "
        "runtimeClassName schedulerName serviceAccount serviceAccountName subdomain"
    ),
    integers="activeDeadlineSeconds priority terminationGracePeriodSeconds",
    booleans=(
        "automountServiceAccountToken enableServiceLinks hostIPC hostNetwork hostPID hostUsers setHostnameAsFQDN "
        "shareProcessNamespace"
    ),
    other="affinity dnsConfig os overhead resources schedulingGroup securityContext",
    containers=map_list("name", item=CONTAINER),
    initContainers=map_list("name", item=CONTAINER),
    ephemeralContainers=map_list("name"),
    volumes=map_list("name"),
    imagePullSecrets=map_list("name"),
    hostAliases=map_list("ip"),
    readinessGates=_ANY_LIST,
    resourceClaims=map_list("name"),
    schedulingGates=map_list("name"),
    tolerations=_ANY_LIST,
    topologySpreadConstraints=map_list("topologyKey", "whenUnsatisfiable"),
    nodeSelector=_ATOMIC_TEXTS,
)
_POD_TEMPLATE = closed(metadata=METADATA, spec=POD_SPEC)
DEPLOYMENT_SPEC = closed(
    integers="minReadySeconds progressDeadlineSeconds replicas revisionHistoryLimit",
    booleans="paused",
    selector=ATOMIC,
    strategy=PLAIN,
    template=_POD_TEMPLATE,
)
REPLICA_SET_SPEC = closed(integers="minReadySeconds replicas", selector=ATOMIC, template=_POD_TEMPLATE)
STATEFUL_SET_SPEC = closed(
    strings="podManagementPolicy serviceName",
    integers="minReadySeconds replicas revisionHistoryLimit",
    other="ordinals persistentVolumeClaimRetentionPolicy updateStrategy",
    selector=ATOMIC,
    template=_POD_TEMPLATE,
    volumeClaimTemplates=_ANY_LIST,
)
DAEMON_SET_SPEC = closed(
    integers="minReadySeconds revisionHistoryLimit", other="updateStrategy", selector=ATOMIC, template=_POD_TEMPLATE
)
JOB_SPEC = closed(
    strings="completionMode managedBy podReplacementPolicy",
    integers=(
        "activeDeadlineSeconds backoffLimit backoffLimitPerIndex completions maxFailedIndexes parallelism "
        "ttlSecondsAfterFinished"
    ),
    booleans="manualSelector suspend",
    other="podFailurePolicy successPolicy",
    selector=ATOMIC,
    template=_POD_TEMPLATE,
)
CRON_JOB_SPEC = closed(
    strings="concurrencyPolicy schedule timeZone",
    integers="failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit",
    booleans="suspend",
    jobTemplate=closed(metadata=METADATA, spec=JOB_SPEC),
)
SERVICE_PORT = closed(strings="appProtocol name protocol", integers="nodePort port", other="targetPort")
SERVICE_SPEC = closed(
    strings=(
        "clusterIP externalName externalTrafficPolicy internalTrafficPolicy ipFamilyPolicy loadBalancerClass "
        "loadBalancerIP sessionAffinity trafficDistribution type"
    ),
    integers="healthCheckNodePort",
    booleans="allocateLoadBalancerNodePorts publishNotReadyAddresses",
    texts="clusterIPs externalIPs ipFamilies loadBalancerSourceRanges",
    other="sessionAffinityConfig",
    ports=map_list("port", "protocol", protocol="TCP", item=SERVICE_PORT),
    selector=_ATOMIC_TEXTS,
)
CLAIM_SPEC = closed(
    strings="storageClassName volumeAttributesClassName volumeMode volumeName",
    texts="accessModes",
    other="dataSourceRef resources",
    dataSource=ATOMIC,
    selector=ATOMIC,
)


def _object(spec: Shape = PLAIN, status: Shape = STATUS, **members: Shape) -> Shape:
    return struct(metadata=METADATA, spec=spec, status=status, **members)


def _whole(**members: Shape) -> Shape:
    """An object without spec, all of whose members are known."""
    return Shape(
        fields={"apiVersion": STRING, "kind": STRING, "metadata": METADATA, **members}, type="map", closed=True
    )


BUILT_IN_SHAPES: Mapping[str, Shape] = {
    "Namespace": _object(struct(finalizers=ATOMIC)),
    "Pod": _object(POD_SPEC, struct(conditions=CONDITIONS, podIPs=map_list("ip"))),
    "PodTemplate": struct(metadata=METADATA, template=_POD_TEMPLATE),
    "ReplicationController": _object(struct(selector=_ATOMIC_TEXTS, template=_POD_TEMPLATE, replicas=INTEGER)),
    "Deployment": _whole(spec=DEPLOYMENT_SPEC, status=STATUS),
    "ReplicaSet": _whole(spec=REPLICA_SET_SPEC, status=STATUS),
    "StatefulSet": _whole(spec=STATEFUL_SET_SPEC, status=STATUS),
    "DaemonSet": _whole(spec=DAEMON_SET_SPEC, status=STATUS),
    "Job": _whole(spec=JOB_SPEC, status=STATUS),
    "CronJob": _whole(spec=CRON_JOB_SPEC, status=struct(active=ATOMIC)),
    "Service": _whole(spec=SERVICE_SPEC, status=struct(conditions=CONDITIONS, loadBalancer=struct(ingress=ATOMIC))),
    "ConfigMap": _whole(data=TEXTS, binaryData=TEXTS, immutable=BOOLEAN),
    "Secret": _whole(data=TEXTS, stringData=TEXTS, immutable=BOOLEAN, type=STRING),
    "ServiceAccount": _whole(
        secrets=map_list("name"), imagePullSecrets=Shape(type="list", atomic=True), automountServiceAccountToken=BOOLEAN
    ),
    "PersistentVolumeClaim": _whole(spec=CLAIM_SPEC, status=STATUS),
    "PersistentVolume": _object(struct(claimRef=PLAIN, nodeAffinity=PLAIN)),
    "Node": _object(struct(podCIDRs=SET), struct(conditions=CONDITIONS, addresses=map_list("type"), images=ATOMIC)),
    "NetworkPolicy": _object(struct(podSelector=ATOMIC)),
    "PodDisruptionBudget": _object(struct(selector=ATOMIC)),
    "RoleBinding": _whole(roleRef=ATOMIC, subjects=_ANY_LIST),
    "ClusterRoleBinding": _whole(roleRef=ATOMIC, subjects=_ANY_LIST),
    "ClusterRole": _whole(rules=_ANY_LIST, aggregationRule=struct(clusterRoleSelectors=ATOMIC)),
    "Role": _whole(rules=_ANY_LIST),
    "MutatingWebhookConfiguration": _object(webhooks=map_list("name")),
    "ValidatingWebhookConfiguration": _object(webhooks=map_list("name")),
    "CustomResourceDefinition": _object(status=struct(conditions=CONDITIONS)),
    "Endpoints": _object(subsets=ATOMIC),
    "EndpointSlice": _object(endpoints=ATOMIC, ports=ATOMIC),
}
