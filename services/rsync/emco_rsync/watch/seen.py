"""A live object as it is remembered: what its health means, who owns what of it, and what is reported of it. Pure.

An idle cluster costs what is remembered of its objects, so that is packed: texts are compressed with the words that all
Kubernetes objects share, and what many objects have in common is kept once.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from enum import IntFlag
from typing import Any, NamedTuple

from emco_common.status.readiness import readiness
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL
from emco_rsync.watch.alike import NOTHING_ALIKE, Alike, ObjectKey
from emco_rsync.watch.drift import digest_of
from emco_rsync.watch.health import counts, runs_to_completion_aside
from emco_rsync.watch.statusdata import entry_of, folded, trim, unfolded

Json = dict[str, Any]

_WORDS = (
    b'"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent'
    b'","restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},'
    b'"schedulerName":"default-scheduler"}}"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%",'
    b'"maxSurge":"25%"}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600},"status":{"observedGeneration":1,'
    b'"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"conditions":[{"type":"Available",'
    b'"status":"True","lastUpdateTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z","reason":'
    b'"MinimumReplicasAvailable","message":"Deployment has minimum availability."},{"type":"Progressing","status":"True'
    b'","reason":"NewReplicaSetAvailable","message":"ReplicaSet has successfully progressed."}]}"podIP":"10.0.0.1",'
    b'"hostIP":"10.0.0.1","qosClass":"BestEffort","containerStatuses":[{"name":"","state":{"running":{"startedAt":'
    b'"lastState":{},"ready":true,"restartCount":0,"image":"imageID":"containerID":"containerd://","started":true'
    b'"phase":"Running","Initialized","ContainersReady","PodScheduled","lastProbeTime":null"serviceAccountName":'
    b'"default","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute",'
    b'"tolerationSeconds":300}"clusterIP":"10.","clusterIPs":["10."],"sessionAffinity":"None","ipFamilies":["IPv4"],'
    b'"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}"ports":[{"name":'
    b'"http","protocol":"TCP","port":80,"targetPort":8080}]"selector":{"matchLabels":{"app":"template":{"metadata":{'
    b'"creationTimestamp":null,"labels":{"app":"containers":[{"name":"image":"resources":{"limits":{"cpu":"memory":'
    b'{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1{"apiVersion":"v1","kind":"ConfigMap","metadata"'
    b':{"name":"","namespace":"default","labels":{"app.kubernetes.io/name":"app.kubernetes.io/managed-by":"Helm",'
    b'"emco/deployment-id":"'
)
_PACKING = zlib.DEFLATED, -13, 6


class Health(IntFlag):
    """What an object means for its app."""

    NONE = 0
    COUNTS = 1
    """It decides whether the app is ready."""
    ASIDE = 2
    """A hook that runs to completion, or the pod of a job."""
    READY = 4
    LEAVING = 8


class Stamp(NamedTuple):
    """Which state of which object. ``uid`` is a hash of it, 0 for none: half as large, and only compared."""

    uid: int
    generation: object
    revision: object

    def is_later_than(self, other: Stamp) -> bool:
        """Is this certainly a later state of what goes by one name than the other?

        Revisions are numbers that grow within a kind, as Kubernetes has them; where they are something else,
        generations grow with each change of the specification. Neither says anything across two incarnations.
        """
        revisions = self.revision, other.revision
        if isinstance(revisions[0], int) and isinstance(revisions[1], int):
            return revisions[0] > revisions[1]
        generations = self.generation, other.generation
        whole = isinstance(generations[0], int) and isinstance(generations[1], int)
        return bool(self.uid) and self.uid == other.uid and whole and generations[0] > generations[1]  # type: ignore[operator]


class Seen:
    """One state of one object. Equal are those of which the same is to be told."""

    __slots__ = ("_packed", "_stamp", "digest", "health", "label")

    def __init__(self, key: ObjectKey, obj: Mapping[str, Any], *, label: str, alike: Alike = NOTHING_ALIKE) -> None:
        whole = {**obj, "apiVersion": key[0].api_version, "kind": key[0].kind}
        self.label = sys.intern(label)
        stamp = stamp_of(obj)
        self._stamp = stamp.revision if isinstance(stamp.revision, int) else stamp
        self.digest = sys.intern(digest_of(obj))
        """What of it is ours, see ``drift``."""
        self.health = _health(whole)
        self._packed = alike.text(key, _pack(folded(entry_of(trim(whole)))))

    @property
    def stamp(self) -> Stamp:
        """Where there is a revision the others are not asked for, so it alone is kept."""
        return self._stamp if isinstance(self._stamp, Stamp) else Stamp(0, None, self._stamp)

    @property
    def entry(self) -> bytes:
        """What is reported of it, compact JSON."""
        return unfolded(_unpack(self._packed))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told())

    def _told(self) -> tuple[str, int, str, bytes]:
        return self.label, self.health, self.digest, self._packed


def label_of(obj: Mapping[str, Any]) -> str:
    """The deployment that an object belongs to, however strange the object is; ``""`` for none."""
    metadata = obj.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    label = labels.get(DEPLOYMENT_LABEL) if isinstance(labels, Mapping) else None
    return label if isinstance(label, str) else ""


def stamp_of(obj: Mapping[str, Any]) -> Stamp:
    metadata = obj.get("metadata")
    fields = metadata if isinstance(metadata, Mapping) else {}
    uid = fields.get("uid")
    return Stamp(
        hash(uid) if isinstance(uid, str) and uid else 0,
        fields.get("generation"),
        _number(fields.get("resourceVersion")),
    )


def _number(revision: object) -> object:
    if isinstance(revision, str) and len(revision) < 40 and revision.isascii() and revision.isdigit():
        return int(revision)
    return None


def _health(obj: Json) -> Health:
    ready = Health.READY if readiness(obj).ok else Health.NONE
    if runs_to_completion_aside(obj):
        return Health.ASIDE | ready
    if not counts(obj):
        return Health.NONE
    metadata = obj.get("metadata")
    leaving = isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))
    return Health.COUNTS | ready | (Health.LEAVING if leaving else Health.NONE)


def _pack(text: bytes) -> bytes:
    packer = zlib.compressobj(1, *_PACKING, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return packer.compress(text) + packer.flush()


def _unpack(packed: bytes) -> bytes:
    return zlib.decompressobj(_PACKING[1], _WORDS).decompress(packed)
