"""Pods: scheduled, started, finished and stopped without any machine."""

from __future__ import annotations

from typing import Any

from emco_simcluster.controllers.world import ANNOTATION_OUTCOME, ANNOTATION_READY_AFTER, World, condition
from emco_simcluster.storage import Change, Place

Json = dict[str, Any]


class Pods:
    """Scheduler and kubelet of a simulated cluster."""

    def __init__(self, world: World) -> None:
        self._world = world

    def changed(self, change: Change) -> None:
        metadata = change.entry.obj["metadata"]
        if change.type == "DELETED" or change.place[0] != ("", "pods"):
            return
        if metadata.get("deletionTimestamp"):
            seconds = min(float(metadata.get("deletionGracePeriodSeconds", 0)), self._world.ready_after)
            self._world.agenda.add(self.stop, change.place, seconds=seconds)
        elif change.type == "ADDED":
            self._world.agenda.add(self.start, change.place, seconds=self._ready_after(change.entry.obj))

    def _ready_after(self, pod: Json) -> float:
        text = (pod["metadata"].get("annotations") or {}).get(ANNOTATION_READY_AFTER)
        try:
            return float(text) if text is not None else self._world.ready_after
        except ValueError:
            return self._world.ready_after

    def start(self, place: Place) -> None:
        """Bind the pod to a node and let its containers run, or fail as its annotation asks."""
        entry, kind = self._world.store.at(place), self._world.kind(place)
        if entry is None or kind is None or entry.obj["metadata"].get("deletionTimestamp"):
            return
        pod, now = entry.obj, self._world.writer.now()
        outcome = (pod["metadata"].get("annotations") or {}).get(ANNOTATION_OUTCOME, "")
        node = pod["spec"].get("nodeName") or self._world.nodes[entry.revision % len(self._world.nodes)]
        spec = {**pod["spec"], "nodeName": node}
        if outcome == "never":
            status = _waiting(pod, now)
        elif outcome == "fail":
            status = _ended(pod, now, code=1)
        else:
            status = _running(pod, now, address=self._world.writer.network.pod_address())
        self._world.store.put(kind, {**pod, "spec": spec, "status": status})
        if outcome == "" and _of_job(pod):
            self._world.agenda.add(self.finish, place, seconds=self._ready_after(pod))

    def finish(self, place: Place) -> None:
        """The pod of a job has done its work."""
        entry = self._world.store.at(place)
        if entry is not None and not entry.obj["metadata"].get("deletionTimestamp"):
            self._world.set_status(place, _ended(entry.obj, self._world.writer.now(), code=0))

    def stop(self, place: Place) -> None:
        """The grace period is over."""
        entry = self._world.store.at(place)
        if entry is None or not entry.obj["metadata"].get("deletionTimestamp"):
            return
        if not entry.obj["metadata"].get("finalizers"):
            self._world.store.remove(place)


def _of_job(pod: Json) -> bool:
    return any(o.get("kind") == "Job" for o in pod["metadata"].get("ownerReferences") or ())


def _containers(pod: Json, state: Json, *, ready: bool) -> list[Json]:
    return [
        {
            "name": c.get("name"),
            "image": c.get("image"),
            "imageID": "",
            "ready": ready,
            "restartCount": 0,
            "started": ready,
            "state": state,
        }
        for c in pod["spec"].get("containers") or ()
    ]


def _conditions(pod: Json, now: str, *, ready: bool, reason: str = "") -> list[Json]:
    status = pod.get("status") or {}
    return [
        condition(status, name, ready or name in ("PodScheduled", "Initialized"), now=now, reason=reason)
        for name in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]


def _running(pod: Json, now: str, *, address: str) -> Json:
    return {
        "phase": "Running",
        "qosClass": "BestEffort",
        "conditions": _conditions(pod, now, ready=True),
        "containerStatuses": _containers(pod, {"running": {"startedAt": now}}, ready=True),
        "hostIP": "192.0.2.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
    }


def _waiting(pod: Json, now: str) -> Json:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "simulated: the image cannot be pulled"}}
    return {
        "phase": "Pending",
        "qosClass": "BestEffort",
        "conditions": _conditions(pod, now, ready=False, reason="ContainersNotReady"),
        "containerStatuses": _containers(pod, waiting, ready=False),
        "startTime": now,
    }


def _ended(pod: Json, now: str, *, code: int) -> Json:
    reason = "Completed" if code == 0 else "Error"
    ended = {"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}}
    return {
        **(pod.get("status") or {}),
        "phase": "Succeeded" if code == 0 else "Failed",
        "conditions": _conditions(pod, now, ready=False, reason="PodCompleted"),
        "containerStatuses": _containers(pod, ended, ready=False),
        "startTime": (pod.get("status") or {}).get("startTime", now),
    }
