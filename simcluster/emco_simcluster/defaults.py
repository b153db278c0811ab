"""What a server fills in when it accepts an object of a built-in kind. Pure; works on a fresh copy.

Only what a client of EMCO's sort notices is filled in: what workloads need to run, and what shows in a difference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from emco_simcluster.kinds import Kind

Json = dict[str, Any]


def normalised(value: Any) -> Any:
    """A copy without null members, which a typed server never stores."""
    if isinstance(value, dict):
        return {k: normalised(v) if isinstance(v, dict | list) else v for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [normalised(v) if isinstance(v, dict | list) else v for v in value]
    return value


def with_defaults(kind: Kind, obj: Json) -> Json:
    """The object as a server would store it. Custom kinds are taken as they come."""
    if kind.custom:
        return obj
    managed = obj["metadata"].get("managedFields")
    bare = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    obj = normalised({**obj, "metadata": bare})
    if managed is not None:
        obj["metadata"]["managedFields"] = managed
    if "status" in kind.subresources:
        obj.setdefault("status", normalised(_STATUS.get(kind.kind, {})))
    fill = _FILL.get(kind.kind)
    if fill is not None:
        fill(obj)
    return obj


def _ensure(holder: Json, name: str) -> Json:
    value = holder.setdefault(name, {})
    return value if isinstance(value, dict) else {}


def _set(holder: Json, **values: Any) -> None:
    for name, value in values.items():
        holder.setdefault(name, value)


def _dicts(value: Any) -> list[Json]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _pod_spec(spec: Json) -> None:
    _set(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst")
    _set(spec, schedulerName="default-scheduler", securityContext={})
    if "serviceAccountName" in spec:
        _set(spec, serviceAccount=spec["serviceAccountName"])
    for container in _dicts(spec.get("containers")) + _dicts(spec.get("initContainers")):
        image = str(container.get("image", ""))
        latest = image.endswith(":latest") or ":" not in image.rpartition("/")[2]
        _set(container, imagePullPolicy="Always" if latest else "IfNotPresent", resources={})
        _set(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
        for port in _dicts(container.get("ports")):
            _set(port, protocol="TCP")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if isinstance(container.get(probe), dict):
                _probe(container[probe])
        for variable in _dicts(container.get("env")):
            source = variable.get("valueFrom")
            if isinstance(source, dict) and isinstance(source.get("fieldRef"), dict):
                _set(source["fieldRef"], apiVersion="v1")
    for volume in _dicts(spec.get("volumes")):
        for source in ("configMap", "secret", "projected"):
            if isinstance(volume.get(source), dict):
                _set(volume[source], defaultMode=420)


def _probe(probe: Json) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if isinstance(probe.get("httpGet"), dict):
        _set(probe["httpGet"], path="/", scheme="HTTP")


def _template(holder: Json) -> None:
    template = _ensure(holder, "template")
    _ensure(template, "metadata")
    _pod_spec(_ensure(template, "spec"))


def _pod(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _pod_spec(spec)
    _set(spec, enableServiceLinks=True, serviceAccountName="default", serviceAccount="default")
    _set(_ensure(obj, "status"), phase="Pending", qosClass="BestEffort")


def _deployment(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _ensure(spec, "strategy")
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_ensure(strategy, "rollingUpdate"), maxSurge="25%", maxUnavailable="25%")
    _template(spec)


def _replica_set(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, replicas=1)
    _template(spec)


def _stateful_set(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", serviceName="")
    strategy = _ensure(spec, "updateStrategy")
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_ensure(strategy, "rollingUpdate"), partition=0)
    _set(spec, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})
    _template(spec)
    for claim in _dicts(spec.get("volumeClaimTemplates")):
        _set(claim, apiVersion="v1", kind="PersistentVolumeClaim", status={"phase": "Pending"})
        _set(_ensure(claim, "spec"), volumeMode="Filesystem")


def _daemon_set(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, revisionHistoryLimit=10)
    strategy = _ensure(spec, "updateStrategy")
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(_ensure(strategy, "rollingUpdate"), maxSurge=0, maxUnavailable=1)
    _template(spec)


def _job(obj: Json) -> None:
    _job_spec(_ensure(obj, "spec"))


def _job_spec(spec: Json) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        _set(spec, completions=1)
    _set(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(spec, podReplacementPolicy="TerminatingOrFailed")
    _template(spec)


def _cron_job(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template = _ensure(spec, "jobTemplate")
    _ensure(template, "metadata")
    _template(_ensure(template, "spec"))


def _service(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, type="ClusterIP", sessionAffinity="None")
    for port in _dicts(spec.get("ports")):
        _set(port, protocol="TCP")
        if "port" in port:
            _set(port, targetPort=port["port"])
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)


def _claim(obj: Json) -> None:
    _set(_ensure(obj, "spec"), volumeMode="Filesystem", storageClassName="simulated")
    _set(_ensure(obj, "status"), phase="Pending")


def _namespace(obj: Json) -> None:
    _set(_ensure(obj, "spec"), finalizers=["kubernetes"])
    _set(_ensure(obj, "status"), phase="Active")
    metadata = _ensure(obj, "metadata")
    if metadata.get("name"):
        _ensure(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]


def _secret(obj: Json) -> None:
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        data = _ensure(obj, "data")
        data.update({k: base64.b64encode(str(v).encode()).decode() for k, v in plain.items()})


def _custom_resource_definition(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(_ensure(spec, "conversion"), strategy="None")
    names = _ensure(spec, "names")
    if names.get("kind"):
        _set(names, singular=str(names["kind"]).lower(), listKind=f"{names['kind']}List")


def _binding(obj: Json) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        _set(reference, apiGroup="rbac.authorization.k8s.io")
    for subject in _dicts(obj.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup="rbac.authorization.k8s.io")


def _network_policy(obj: Json) -> None:
    spec = _ensure(obj, "spec")
    _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


_STATUS: Mapping[str, Json] = {
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"replicas": 0, "availableReplicas": 0},
    "DaemonSet": {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    "PodDisruptionBudget": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
}

_FILL: Mapping[str, Callable[[Json], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "Namespace": _namespace,
    "Secret": _secret,
    "CustomResourceDefinition": _custom_resource_definition,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "NetworkPolicy": _network_policy,
}
