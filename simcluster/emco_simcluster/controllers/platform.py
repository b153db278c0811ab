"""The rest of what a cluster does by itself: load balancers, volumes, accounts, custom kinds, certificates."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from emco_simcluster.controllers.world import World, condition
from emco_simcluster.parts import IN_USE
from emco_simcluster.storage import Change, Entry, Place

Json = dict[str, Any]

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_SIGNERS = frozenset({"kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"})
_A_YEAR = 31_536_000


class Platform:
    """The smaller controllers of a simulated cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._works = {
            ("", "services"): (self.service, world.ready_after),
            ("", "persistentvolumeclaims"): (self.claim, world.ready_after),
            ("", "namespaces"): (self.namespace, 0.0),
            ("certificates.k8s.io", "certificatesigningrequests"): (self.signing_request, 0.0),
            ("apiextensions.k8s.io", "customresourcedefinitions"): (self.definition, 0.0),
        }

    def changed(self, change: Change) -> None:
        work = self._works.get(change.place[0])
        if work is not None and change.type != "DELETED":
            self._world.agenda.add(work[0], change.place, seconds=work[1])
        if change.type != "DELETED":
            return
        if change.place[0] == ("", "pods"):
            for name in _claims(change.entry.obj):
                self._world.agenda.add(self.claim, (("", "persistentvolumeclaims"), change.place[1], name))
        group, plural = change.place[0]
        definition = (("apiextensions.k8s.io", "customresourcedefinitions"), "", f"{plural}.{group}")
        if self._world.store.at(definition) is not None:
            self._world.agenda.add(self.definition, definition)

    def service(self, place: Place) -> None:
        """A load balancer gets its address."""
        entry = self._world.store.at(place)
        if entry is None or entry.obj["spec"].get("type") != "LoadBalancer":
            return
        if not ((entry.obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
            ingress = [{"ip": self._world.writer.network.balancer_address(), "ipMode": "VIP"}]
            self._world.set_status(place, {"loadBalancer": {"ingress": ingress}})

    def claim(self, place: Place) -> None:
        """A volume claim is bound to a volume that needs no disk."""
        entry, kind = self._world.store.at(place), self._world.kind(place)
        if entry is None or kind is None:
            return
        if entry.obj["metadata"].get("deletionTimestamp"):
            self._release_claim(place, entry)
            return
        if (entry.obj.get("status") or {}).get("phase") == "Bound":
            return
        spec = {**entry.obj["spec"], "volumeName": f"pvc-{entry.obj['metadata']['uid']}"}
        capacity = (spec.get("resources") or {}).get("requests") or {}
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": capacity}
        self._world.store.put(kind, {**entry.obj, "spec": spec, "status": status})

    def _release_claim(self, place: Place, entry: Entry) -> None:
        """A claim that is being deleted goes when no pod uses it any more."""
        pods = self._world.store.entries(("", "pods"), place[1])
        if place[2] not in {name for p in pods for name in _claims(p.obj)}:
            self._world.release(place, IN_USE)

    def namespace(self, place: Place) -> None:
        """Every namespace has a default service account and the certificate of the cluster's authority."""
        account = (("", "serviceaccounts"), place[2], "default")
        if self._world.store.at(account) is None:
            self._world.create("", "serviceaccounts", {"metadata": {"name": "default", "namespace": place[2]}})
        root = (("", "configmaps"), place[2], "kube-root-ca.crt")
        if self._world.store.at(root) is None:
            data = {"ca.crt": self._world.authority.certificate.decode()}
            metadata = {"name": "kube-root-ca.crt", "namespace": place[2]}
            self._world.create("", "configmaps", {"metadata": metadata, "data": data})

    def signing_request(self, place: Place) -> None:
        """Sign what was approved, for the signers a cluster signs itself."""
        entry = self._world.store.at(place)
        if entry is None:
            return
        spec, status = entry.obj["spec"], entry.obj.get("status") or {}
        types = {c.get("type") for c in status.get("conditions") or ()}
        if "Approved" not in types or types & {"Denied", "Failed"} or status.get("certificate"):
            return
        if spec.get("signerName") not in _SIGNERS:
            return
        seconds = max(600, int(spec.get("expirationSeconds") or _A_YEAR))
        try:
            pem = self._world.authority.sign(base64.b64decode(spec["request"]), valid=timedelta(seconds=seconds))
        except ValueError as error:
            failed = condition(
                status,
                "Failed",
                True,
                now=self._world.writer.now(),
                reason="SignerValidationFailure",
                message=str(error),
            )
            self._world.set_status(place, {**status, "conditions": [*status["conditions"], failed]})
            return
        self._world.set_status(place, {**status, "certificate": base64.b64encode(pem).decode()})

    def definition(self, place: Place) -> None:
        """A custom kind is served some time after its definition; at its end its objects go first."""
        entry, kind = self._world.store.at(place), self._world.kind(place)
        if entry is None or kind is None:
            return
        obj = entry.obj
        if obj["metadata"].get("deletionTimestamp"):
            self._end_definition(place, obj)
            return
        types = {c.get("type") for c in (obj.get("status") or {}).get("conditions") or ()}
        if "Established" in types:
            self._world.kinds.add(obj)
        elif "NamesAccepted" not in types:
            self._world.set_status(place, self._definition_status(obj, established=False))
            self._world.agenda.add(self.establish, place, seconds=self._world.established_after)

    def establish(self, place: Place) -> None:
        """From now on the kind is served."""
        entry = self._world.store.at(place)
        if entry is not None and not entry.obj["metadata"].get("deletionTimestamp"):
            self._world.kinds.add(entry.obj)
            self._world.set_status(place, self._definition_status(entry.obj, established=True))

    def _definition_status(self, obj: Json, *, established: bool) -> Json:
        now, before = self._world.writer.now(), obj.get("status") or {}
        conditions = [
            condition(before, "NamesAccepted", True, now=now, reason="NoConflicts", message="no conflicts found"),
            condition(
                before,
                "Established",
                established,
                now=now,
                reason="InitialNamesAccepted" if established else "Installing",
                message="the initial names have been accepted",
            ),
        ]
        stored = next(v["name"] for v in obj["spec"]["versions"] if v.get("storage"))
        return {"conditions": conditions, "acceptedNames": obj["spec"]["names"], "storedVersions": [stored]}

    def _end_definition(self, place: Place, obj: Json) -> None:
        plural, _, group = place[2].partition(".")
        key = (group, plural)
        for entry in self._world.store.entries(key):
            metadata = entry.obj["metadata"]
            if not metadata.get("deletionTimestamp"):
                self._world.delete((key, metadata.get("namespace", ""), metadata["name"]))
        if self._world.store.entries(key) or obj["metadata"].get("finalizers") not in (None, [], [CLEANUP]):
            return
        self._world.kinds.drop(key)
        self._world.store.remove(place)


def _claims(pod: Json) -> list[str]:
    """The volume claims a pod uses."""
    volumes = pod["spec"].get("volumes") or ()
    return [str(v["persistentVolumeClaim"].get("claimName", "")) for v in volumes if "persistentVolumeClaim" in v]
