"""When a live Kubernetes object counts as ready, per kind (spec orchestrator-lifecycle 12.4, rsync 13.4).

Pure: one object as its API server shows it in, a verdict with its reason out. Objects come from clusters, so every
field may be missing or of the wrong type; such a field counts as absent. Stricter than the original in some places,
because ready must mean observed: a controller that has not yet seen the present generation, an object on its way out,
and the failed pod of a job are not ready. Kinds for which the specification has no rule are judged as kstatus does, by
what all well-made kinds have in common (``Ready``, ``Reconciling``, ``Stalled``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
_NOTHING: Object = {}
_PERCENT = re.compile(r"[0-9]{1,6}%")


@dataclass(frozen=True, slots=True)
class Ready:
    """The verdict. ``failed`` means that it will not become ready by waiting; ``reason`` is empty when all is well."""

    ok: bool
    reason: str = ""
    failed: bool = False


YES = Ready(True)


def readiness(live: Object) -> Ready:
    """Whether ``live`` is ready. A kind without a rule whose status says nothing is ready by being there."""
    rule = _RULES.get((group_of(live), str(live.get("kind", ""))), _any_kind)
    if _map(live, "metadata").get("deletionTimestamp"):
        return Ready(False, "is being deleted")
    return rule(live)


def group_of(live: Object) -> str:
    """The API group, empty for the core group."""
    group, slash, _ = str(live.get("apiVersion", "")).partition("/")
    return group if slash else ""


def job_of(live: Object) -> str:
    """The name of the job that made this pod, or empty."""
    labels = _map(_map(live, "metadata"), "labels")
    return str(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name") or "")


def is_hook(live: Object) -> bool:
    """Whether the object is a Helm hook."""
    return bool(_map(_map(live, "metadata"), "annotations").get("helm.sh/hook"))


def _pod(live: Object) -> Ready:
    status = _map(live, "status")
    phase = status.get("phase")
    if phase == "Succeeded":
        return YES
    if phase == "Failed":
        return Ready(False, str(status.get("message") or status.get("reason") or "the pod failed"), failed=True)
    if job_of(live):
        return Ready(False, "the job's pod has not finished")
    ready = _condition(live, "Ready")
    if ready.get("status") == "True":
        return YES
    waiting = _waiting(status)
    return Ready(False, waiting or str(ready.get("message") or ready.get("reason") or "the pod is not ready"))


def _waiting(status: Object) -> str:
    """Why a container does not run, e.g. ``web: ImagePullBackOff: …``."""
    for container in (*_list(status, "initContainerStatuses"), *_list(status, "containerStatuses")):
        waiting = _map(_map(container, "state"), "waiting")
        if waiting.get("reason"):
            parts = (container.get("name"), waiting["reason"], waiting.get("message"), _last_end(container))
            return ": ".join(str(part) for part in parts if part)
    return ""


def _last_end(container: Object) -> str:
    """How it ended the last time, for one that is started again and again."""
    ended = _map(_map(container, "lastState"), "terminated")
    code = ended.get("exitCode")
    if not isinstance(code, int):
        return ""
    restarts = _number(container, "restartCount", 0)
    return f"ended with {code} ({ended.get('reason') or 'no reason'}), restarted {restarts} times"


def _service(live: Object) -> Ready:
    spec = _map(live, "spec")
    if spec.get("type") == "ExternalName":
        return YES
    if not spec.get("clusterIP"):
        return Ready(False, "the service has no cluster IP yet")
    if spec.get("type") != "LoadBalancer" or spec.get("externalIPs"):
        return YES
    if _list(_map(_map(live, "status"), "loadBalancer"), "ingress"):
        return YES
    return Ready(False, "the load balancer has no address yet")


def _deployment(live: Object) -> Ready:
    spec, status = _map(live, "spec"), _map(live, "status")
    if spec.get("paused") is True:
        return YES
    if unseen := _unobserved(live):
        return unseen
    progress = _condition(live, "Progressing")
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        return Ready(False, str(progress.get("message") or "the progress deadline was exceeded"), failed=True)
    replicas, ready = _number(spec, "replicas", 1), _number(status, "readyReplicas", 0)
    return _enough(ready, replicas - _deployment_slack(spec, replicas), of=replicas, what="replicas are ready")


def _deployment_slack(spec: Object, replicas: int) -> int:
    """How many replicas may be missing, as the deployment controller resolves its fence posts."""
    strategy = _map(spec, "strategy")
    if strategy.get("type") != "RollingUpdate" or replicas == 0:
        return 0
    rolling = _map(strategy, "rollingUpdate")
    surge = _scaled(rolling.get("maxSurge", "25%"), replicas, round_up=True) or 0
    unavailable = _scaled(rolling.get("maxUnavailable", "25%"), replicas, round_up=False) or 0
    if surge == 0 and unavailable == 0:
        return 1
    return min(unavailable, replicas)


def _daemon_set(live: Object) -> Ready:
    strategy, status = _map(_map(live, "spec"), "updateStrategy"), _map(live, "status")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return YES
    if unseen := _unobserved(live):
        return unseen
    desired = _number(status, "desiredNumberScheduled", 0)
    updated = _number(status, "updatedNumberScheduled", 0)
    if updated != desired:
        return Ready(False, f"{updated} of {desired} pods are up to date")
    slack = _scaled(_map(strategy, "rollingUpdate").get("maxUnavailable", 1), desired, round_up=True)
    least = desired - (desired if slack is None else slack)
    return _enough(_number(status, "numberReady", 0), least, of=desired, what="pods are ready")


def _stateful_set(live: Object) -> Ready:
    spec, status = _map(live, "spec"), _map(live, "status")
    strategy = _map(spec, "updateStrategy")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return YES
    if unseen := _unobserved(live):
        return unseen
    replicas = _number(spec, "replicas", 1)
    due = replicas - _number(_map(strategy, "rollingUpdate"), "partition", 0)
    updated, ready = _number(status, "updatedReplicas", 0), _number(status, "readyReplicas", 0)
    if updated < due:
        return Ready(False, f"{updated} of {due} replicas are up to date")
    return Ready(ready == replicas, "" if ready == replicas else f"{ready} of {replicas} replicas are ready")


def _job(live: Object) -> Ready:
    spec, status = _map(live, "spec"), _map(live, "status")
    lost = _condition(live, "Failed")
    failed, limit = _number(status, "failed", 0), _number(spec, "backoffLimit", 6)
    if _condition(live, "Complete").get("status") == "True":
        return YES
    if lost.get("status") == "True":
        return Ready(False, str(lost.get("message") or lost.get("reason") or "the job failed"), failed=True)
    if failed > limit:
        return Ready(False, f"{failed} pods failed, the limit is {limit}", failed=True)
    completions = _number(spec, "completions", 1)
    return _enough(_number(status, "succeeded", 0), completions, of=completions, what="completions are done")


def _replica_set(live: Object) -> Ready:
    if unseen := _unobserved(live):
        return unseen
    failure = _condition(live, "ReplicaFailure")
    if failure.get("status") == "True":
        return Ready(False, _said(failure, "pods cannot be made"))
    replicas = _number(_map(live, "spec"), "replicas", 1)
    return _enough(_number(_map(live, "status"), "readyReplicas", 0), replicas, of=replicas, what="replicas are ready")


def _claim(live: Object) -> Ready:
    phase = _map(live, "status").get("phase")
    if phase == "Lost":
        return Ready(False, "the volume of the claim is lost", failed=True)
    return YES if phase in ("Bound", None) else Ready(False, "the claim has no volume yet")


def _definition(live: Object) -> Ready:
    names = _condition(live, "NamesAccepted")
    if names.get("status") == "False":
        return Ready(False, _said(names, "its names are taken"), failed=True)
    if _condition(live, "Established").get("status") == "True":
        return YES
    return Ready(False, "the definition is not established yet")


def _any_kind(live: Object) -> Ready:
    """By what well-made kinds have in common; a status that says nothing of it is no objection."""
    if not live.get("status"):
        return YES  # most of what an app brings
    if "observedGeneration" in _map(live, "status") and (unseen := _unobserved(live)):
        return unseen
    stalled, busy, ready = (_condition(live, name) for name in ("Stalled", "Reconciling", "Ready"))
    if stalled.get("status") == "True":
        return Ready(False, _said(stalled, "it is stalled"), failed=True)
    if busy.get("status") == "True":
        return Ready(False, _said(busy, "it is being reconciled"))
    if ready.get("status") in ("False", "Unknown"):
        return Ready(False, _said(ready, "it is not ready"))
    return YES


_RULES: Mapping[tuple[str, str], Callable[[Object], Ready]] = {
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("apps", "Deployment"): _deployment,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "PersistentVolumeClaim"): _claim,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def _enough(have: int, least: int, *, of: int, what: str) -> Ready:
    return YES if have >= least else Ready(False, f"{have} of {of} {what}")


def _unobserved(live: Object) -> Ready | None:
    """Refuses a status that speaks of an older specification; objects without a generation are taken as they are."""
    generation = _number(_map(live, "metadata"), "generation", 0)
    observed = _number(_map(live, "status"), "observedGeneration", 0)
    if observed >= generation:
        return None
    return Ready(False, f"generation {generation} is not observed yet")


def _scaled(value: Any, total: int, *, round_up: bool) -> int | None:
    """An absolute number, or a percentage of ``total``; ``None`` if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or _PERCENT.fullmatch(value) is None:
        return None
    part = int(value[:-1]) * total / 100
    return math.ceil(part) if round_up else math.floor(part)


def _condition(live: Object, wanted: str) -> Object:
    found = (c for c in _list(_map(live, "status"), "conditions") if c.get("type") == wanted)
    return next(found, _NOTHING)


def _said(condition: Object, otherwise: str) -> str:
    return str(condition.get("message") or condition.get("reason") or otherwise)


def _map(value: Object, key: str) -> Object:
    inner = value.get(key)
    return inner if isinstance(inner, (dict, Mapping)) else _NOTHING


def _list(value: Object, key: str) -> tuple[Object, ...]:
    inner = value.get(key)
    return tuple(item for item in inner if isinstance(item, Mapping)) if isinstance(inner, list | tuple) else ()


def _number(value: Object, key: str, default: int) -> int:
    inner = value.get(key)
    return inner if isinstance(inner, int) and not isinstance(inner, bool) else default
