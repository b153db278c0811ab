"""Deployments, replica sets, stateful sets, daemon sets and jobs: the objects below them, and their status."""

from __future__ import annotations

import hashlib
from typing import Any

from emco_simcluster.controllers.world import World, condition, owned
from emco_simcluster.parts import IN_USE
from emco_simcluster.storage import Change, Entry, Place, encode

Json = dict[str, Any]

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


class Workloads:
    """The workload controllers of a simulated cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._works = {
            ("apps", "deployments"): self.deployment,
            ("apps", "replicasets"): self.replica_set,
            ("", "replicationcontrollers"): self.replica_set,
            ("apps", "statefulsets"): self.stateful_set,
            ("apps", "daemonsets"): self.daemon_set,
            ("batch", "jobs"): self.job,
        }

    def plan(self, place: Place) -> None:
        """Look at a workload soon, if it is one."""
        work = self._works.get(place[0])
        if work is not None:
            self._world.agenda.add(work, place)

    def changed(self, change: Change) -> None:
        if change.type != "DELETED":
            self.plan(change.place)

    def _live(self, place: Place) -> Json | None:
        entry = self._world.store.at(place)
        if entry is None or entry.obj["metadata"].get("deletionTimestamp"):
            return None
        return entry.obj

    def deployment(self, place: Place) -> None:
        """One replica set per template; the old ones go when the new one is ready."""
        obj = self._live(place)
        if obj is None:
            return
        uid, wanted = obj["metadata"]["uid"], int(obj["spec"].get("replicas", 1))
        sets = self._world.children(uid, "replicasets")
        mark = _fingerprint(obj["spec"]["template"])
        current = next((s for s in sets if s.obj["metadata"]["labels"].get(_HASH) == mark), None)
        if current is None:
            revision = 1 + max((int(_annotation(s.obj, _REVISION) or 0) for s in sets), default=0)
            current = self._world.create("apps", "replicasets", _replica_set(obj, mark, revision, wanted))
            if current is None:
                return
        elif current.obj["spec"].get("replicas") != wanted:
            self._world.set_spec(_place(("apps", "replicasets"), current), replicas=wanted)
        ready = int((current.obj.get("status") or {}).get("readyReplicas", 0))
        at_once = ready >= wanted or obj["spec"]["strategy"].get("type") == "Recreate"
        for old in sets:
            idle = not (old.obj.get("status") or {}).get("readyReplicas")
            if old.obj["metadata"]["name"] != current.obj["metadata"]["name"] and (at_once or idle):
                self._world.set_spec(_place(("apps", "replicasets"), old), replicas=0)
        revision_text = {_REVISION: _annotation(current.obj, _REVISION)}
        self._world.set_status(place, self._deployment_status(obj, current, sets), annotations=revision_text)

    def _deployment_status(self, obj: Json, current: Entry, sets: list[Entry]) -> Json:
        before, now = obj.get("status") or {}, self._world.writer.now()
        wanted = int(obj["spec"].get("replicas", 1))
        updated = current.obj.get("status") or {}
        statuses = [updated, *(s.obj.get("status") or {} for s in sets if s.obj["metadata"] != current.obj["metadata"])]
        total = sum(int(s.get("replicas", 0)) for s in statuses)
        ready = sum(int(s.get("readyReplicas", 0)) for s in statuses)
        done = int(updated.get("readyReplicas", 0)) >= wanted
        available = ready >= wanted
        name = current.obj["metadata"]["name"]
        progress = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        status: Json = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "conditions": [
                condition(
                    before,
                    "Available",
                    available,
                    now=now,
                    reason="MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                    message=f"Deployment {'has' if available else 'does not have'} minimum availability.",
                ),
                condition(
                    before,
                    "Progressing",
                    True,
                    now=now,
                    reason=progress,
                    message=f'ReplicaSet "{name}" {"has successfully progressed" if done else "is progressing"}.',
                ),
            ],
        }
        counts = {"replicas": total, "updatedReplicas": int(updated.get("replicas", 0)), "readyReplicas": ready}
        counts |= {"availableReplicas": ready, "unavailableReplicas": max(0, wanted - ready)}
        return status | {k: v for k, v in counts.items() if v}

    def replica_set(self, place: Place) -> None:
        """As many pods as wanted."""
        obj = self._live(place)
        if obj is None:
            return
        wanted = int(obj["spec"].get("replicas", 1))
        pods = self._active(obj)
        for _ in range(wanted - len(pods)):
            name = f"{obj['metadata']['name'][:240]}-{self._world.writer.suffix()}"
            self._pod(obj, obj["spec"]["template"], name)
        for surplus in pods[wanted:] if wanted < len(pods) else ():
            self._world.delete(_place(("", "pods"), surplus))
        pods = self._active(obj)
        ready = sum(_ready(p.obj) for p in pods)
        counts = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
        status: Json = {"replicas": len(pods), "observedGeneration": obj["metadata"].get("generation", 1)}
        self._world.set_status(place, status | {k: v for k, v in counts.items() if v})

    def stateful_set(self, place: Place) -> None:
        """Pods with stable names, and their volume claims; all at once, which is the one liberty taken here."""
        obj = self._live(place)
        if obj is None:
            return
        name, wanted = obj["metadata"]["name"], int(obj["spec"].get("replicas", 1))
        revision = f"{name}-{_fingerprint(obj['spec']['template'])}"
        names = {f"{name}-{i}": i for i in range(wanted)}
        label = "controller-revision-hash"
        for pod in self._active(obj):
            stale = (pod.obj["metadata"].get("labels") or {}).get(label) != revision
            if pod.obj["metadata"]["name"] not in names or stale:
                self._world.delete(_place(("", "pods"), pod))
        for pod_name, number in names.items():
            self._claims(obj, number)
            labels = {label: revision, "statefulset.kubernetes.io/pod-name": pod_name}
            labels |= {"apps.kubernetes.io/pod-index": str(number)}
            self._pod(obj, _with_claims(obj, pod_name), pod_name, labels=labels)
        pods = self._active(obj)
        ready = sum(_ready(p.obj) for p in pods)
        counts = {"readyReplicas": ready, "currentReplicas": len(pods), "updatedReplicas": len(pods)}
        status: Json = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "replicas": len(pods),
            "availableReplicas": ready,
            "currentRevision": revision,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        self._world.set_status(place, status | {k: v for k, v in counts.items() if v})

    def _claims(self, obj: Json, number: int) -> None:
        for template in obj["spec"].get("volumeClaimTemplates") or ():
            metadata = {**template.get("metadata", {}), "namespace": obj["metadata"]["namespace"]}
            metadata["finalizers"] = [IN_USE]
            metadata["name"] = f"{template['metadata']['name']}-{obj['metadata']['name']}-{number}"
            claim = {"metadata": metadata, "spec": template.get("spec") or {}, "status": {"phase": "Pending"}}
            self._world.create("", "persistentvolumeclaims", claim)

    def daemon_set(self, place: Place) -> None:
        """One pod per node."""
        obj = self._live(place)
        if obj is None:
            return
        mark = _fingerprint(obj["spec"]["template"])
        pods = self._active(obj)
        covered = set()
        for pod in pods:
            if (pod.obj["metadata"].get("labels") or {}).get("controller-revision-hash") == mark:
                covered.add(pod.obj["spec"].get("nodeName"))
            else:
                self._world.delete(_place(("", "pods"), pod))
        for node in self._world.nodes:
            if node not in covered:
                name = f"{obj['metadata']['name'][:240]}-{self._world.writer.suffix()}"
                self._pod(obj, obj["spec"]["template"], name, labels={"controller-revision-hash": mark}, node=node)
        pods = self._active(obj)
        ready, wanted = sum(_ready(p.obj) for p in pods), len(self._world.nodes)
        status: Json = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": wanted,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": len(pods),
        }
        counts = {"numberAvailable": ready, "numberUnavailable": wanted - ready}
        self._world.set_status(place, status | {k: v for k, v in counts.items() if v > 0})

    def job(self, place: Place) -> None:
        """Pods until enough have succeeded, or one has failed for good."""
        obj = self._live(place)
        if obj is None or obj["spec"].get("suspend") or _finished(obj):
            return
        uid, spec = obj["metadata"]["uid"], obj["spec"]
        wanted = int(spec.get("completions") or 1)
        phases = [str((p.obj.get("status") or {}).get("phase", "")) for p in self._world.children(uid, "pods")]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active = len(phases) - succeeded - failed
        give_up = failed > 0
        missing = 0 if give_up else min(int(spec.get("parallelism", 1)), wanted - succeeded) - active
        for _ in range(missing):
            self._pod(obj, spec["template"], f"{obj['metadata']['name'][:240]}-{self._world.writer.suffix()}")
        now, before = self._world.writer.now(), obj.get("status") or {}
        status: Json = {"startTime": before.get("startTime", now), "ready": phases.count("Running")}
        counts = {"active": active + max(0, missing), "succeeded": succeeded, "failed": failed}
        status |= {k: v for k, v in counts.items() if v}
        if succeeded >= wanted:
            ended = {
                "lastProbeTime": now,
                "reason": "CompletionsReached",
                "message": "Reached expected number of succeeded pods",
            }
            types = ("SuccessCriteriaMet", "Complete")
            status |= {"completionTime": now}
            status["conditions"] = [{"type": t, "status": "True", "lastTransitionTime": now, **ended} for t in types]
        elif give_up and not active:
            ended = {"lastProbeTime": now, "reason": "BackoffLimitExceeded"}
            ended["message"] = "Job has reached the specified backoff limit"
            types = ("FailureTarget", "Failed")
            status["conditions"] = [{"type": t, "status": "True", "lastTransitionTime": now, **ended} for t in types]
        self._world.set_status(place, status)

    def _active(self, owner: Json) -> list[Entry]:
        """The pods an owner counts: neither going nor ended."""
        return [
            p
            for p in self._world.children(owner["metadata"]["uid"], "pods")
            if not p.obj["metadata"].get("deletionTimestamp")
            and (p.obj.get("status") or {}).get("phase") not in ("Failed", "Succeeded")
        ]

    def _pod(
        self, owner: Json, template: Json, name: str, *, labels: dict[str, str] | None = None, node: str = ""
    ) -> None:
        given = template.get("metadata") or {}
        metadata = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": owned(owner)}
        metadata["labels"] = {**(given.get("labels") or {}), **(labels or {})}
        if given.get("annotations"):
            metadata["annotations"] = given["annotations"]
        defaults = {"enableServiceLinks": True, "serviceAccountName": "default", "serviceAccount": "default"}
        spec = {**defaults, **template["spec"]}
        if node:
            spec["nodeName"] = node
        self._world.create("", "pods", {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})


def _with_claims(stateful_set: Json, pod_name: str) -> Json:
    """The pod template with the volume claims of one pod."""
    template: Json = stateful_set["spec"]["template"]
    names = [t["metadata"]["name"] for t in stateful_set["spec"].get("volumeClaimTemplates") or ()]
    if not names:
        return template
    claimed = [{"name": n, "persistentVolumeClaim": {"claimName": f"{n}-{pod_name}"}} for n in names]
    kept = [v for v in template["spec"].get("volumes") or () if v.get("name") not in names]
    return {**template, "spec": {**template["spec"], "volumes": kept + claimed}}


def _fingerprint(template: Json) -> str:
    return hashlib.blake2b(encode(template), digest_size=5).hexdigest()


def _annotation(obj: Json, name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def _place(key: tuple[str, str], entry: Entry) -> Place:
    return key, entry.obj["metadata"].get("namespace", ""), entry.obj["metadata"]["name"]


def _ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _finished(job: Json) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in conditions)


def _replica_set(deployment: Json, mark: str, revision: int, replicas: int) -> Json:
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    labels = {**(template["metadata"].get("labels") or {}), _HASH: mark}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), _HASH: mark}}
    return {
        "metadata": {
            "name": f"{metadata['name'][:240]}-{mark}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": owned(deployment),
        },
        "spec": {
            "replicas": replicas,
            "selector": selector,
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        },
    }
