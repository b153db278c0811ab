"""How far the access of a cloud's user to one cluster is, and what is to be done about it (spec dcm 8). Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from emco_common.appcontext import Cluster, ContextStatus, ResourceState, keys
from emco_common.cloudconfig import CLOUD_LEVEL, IMPERSONATED, Access
from emco_common.kube.kubeconfig import BadKubeconfig
from emco_common.operations import Subject
from emco_dcm.blueprint import APP, object_name, request_of
from emco_dcm.clouds import ClusterReference
from emco_dcm.issued import Certificate, Observed, Stage, best, observed
from emco_dcm.kubeconfig import Credentials, Json, certificate_in, dump, user_kubeconfig, way_of
from emco_dcm.manifests import AGENT, CSR_KIND
from emco_dcm.privatekey import PublicKey

LOST_AFTER = timedelta(hours=1)
"""Clusters tidy up answered requests after an hour; one that is missing since then will not be answered any more."""

UNUSABLE_AFTER = timedelta(minutes=1)
"""Lets clocks disagree, and keeps a cluster that answers with nonsense from being asked all the time."""

_NOTHING_SEEN = Observed(Stage.NO_STATUS)


@dataclass(frozen=True, slots=True)
class View:
    """One cluster of a cloud. ``problem`` says what its access waits for, empty when there is nothing.

    ``request`` is the object name of the signing request, empty on a GitOps cluster. ``present`` is the access record,
    ``wanted`` what it should be, ``None`` while that cannot be made. ``pending``: an answer to the request is still to
    come. ``renew`` asks for a new one.
    """

    cluster: str
    request: str = ""
    seen: Observed = _NOTHING_SEEN
    reference: ClusterReference | None = None
    certificate: Certificate | None = None
    kubeconfig: Json | None = field(default=None, repr=False)
    present: Access | None = None
    wanted: Access | None = None
    problem: str = ""
    pending: bool = False
    renew: bool = False

    @property
    def is_news(self) -> bool:
        """Whether the certificate is one that the reference does not know yet."""
        if self.certificate is None or self.reference is None or self.seen.certificate != self.certificate.pem:
            return False
        return (self.reference.certificate, self.reference.request) != (_encoded(self.certificate.pem), self.request)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a cloud. References and records (its own, and those of registration) are by cluster.

    ``registered`` may lack clusters that have a record: what they should have is then not worked out again.
    """

    cloud: Subject
    key: bytes = field(repr=False)
    public: PublicKey | None
    status: ContextStatus
    references: Mapping[str, ClusterReference]
    records: Mapping[str, Access]
    registered: Mapping[str, Access]
    now: datetime

    def view(self, cluster: Cluster) -> View:
        resource = request_of(cluster)
        view = View(cluster.name, reference=self.references.get(cluster.name), present=self.records.get(cluster.name))
        registered = self.registered.get(cluster.name)
        if registered is None and view.present is None:
            return replace(view, problem="the cluster is not registered any more")
        if resource is None:
            wanted = self._record(cluster.name, gitops=self._own(registered.gitops)) if registered else view.present
            return replace(view, wanted=wanted)
        request = object_name(resource)
        seen = observed(self.status.cluster(APP, cluster.name).status, request)
        return self._direct(replace(view, request=request, seen=seen), registered)

    def _direct(self, view: View, registered: Access | None) -> View:
        certificate, lost = self._certificate(view), self._is_lost(view)
        view = replace(view, pending=not lost and not self._is_answered(view))
        if certificate is None:
            return replace(view, problem=f"waiting for the certificate: {view.seen}", renew=lost)
        problem, renew = self._renewal(view, certificate)
        view = replace(view, certificate=certificate, problem=problem, renew=renew)
        if registered is None:
            return replace(view, wanted=view.present)
        return self._assembled(view, certificate, registered)

    def _assembled(self, view: View, certificate: Certificate, registered: Access) -> View:
        if view.reference is None:
            return replace(view, wanted=view.present, problem="the cluster has no Cluster Reference any more")
        user, namespace = self.cloud.spec["user"]["userName"], self.cloud.spec["namespace"]
        credentials = Credentials(user, certificate.pem, self.key)
        try:
            way = way_of(registered.kubeconfig)
        except BadKubeconfig as error:
            return replace(view, problem=f"the registered kubeconfig cannot be used: {error}")
        made = user_kubeconfig(way, credentials, reference=view.reference.name, namespace=namespace)
        return replace(view, kubeconfig=made, wanted=self._record(view.cluster, kubeconfig=dump(made)))

    def _certificate(self, view: View) -> Certificate | None:
        """That of the present request if there is one, else the one from before."""
        candidates = [view.seen.certificate]
        if view.reference is not None:
            candidates.append(_decoded(view.reference.certificate))
        found = best(candidates, key=self.public, now=self.now)
        if found is None and view.present is not None and view.present.kubeconfig:
            return best([certificate_in(view.present.kubeconfig)], key=self.public, now=self.now)
        return found

    def _renewal(self, view: View, certificate: Certificate) -> tuple[str, bool]:
        if not certificate.is_due(self.now):
            return "", False
        ends = f"the certificate ends at {certificate.until:%Y-%m-%dT%H:%M:%SZ}"
        if self._is_answered(view):
            return f"{ends}, a new one is asked for", True
        return f"{ends}, waiting for the next: {view.seen}", self._is_lost(view)

    def _is_answered(self, view: View) -> bool:
        """Whether the present request has brought its certificate, which the cluster need not remember."""
        known = view.reference.request if view.reference is not None else ""
        return view.seen.stage is Stage.ISSUED or known == view.request

    def _is_lost(self, view: View) -> bool:
        """Whether no usable answer can come any more to a request that was sent."""
        sent = self.status.resource(APP, view.cluster, f"{view.request}+{CSR_KIND}").status == ResourceState.APPLIED
        patience = {Stage.NO_REQUEST: LOST_AFTER, Stage.ISSUED: UNUSABLE_AFTER}.get(view.seen.stage)
        return sent and patience is not None and self.now - self.cloud.state.actions[-1].time > patience

    def _own(self, gitops: Mapping[str, str]) -> Mapping[str, str]:
        """The way of registration for this cloud: an agent is told whose rights its calls have."""
        if gitops.get("gitOpsType") != AGENT:
            return gitops
        return {**gitops, IMPERSONATED: self.cloud.spec["user"]["userName"]}

    def _record(self, cluster: str, *, kubeconfig: bytes = b"", gitops: Mapping[str, str] = {}) -> Access:  # read only
        provider, name = keys.split_cluster_name(cluster)
        namespace = self.cloud.spec["namespace"]
        return Access(provider, name, CLOUD_LEVEL, namespace, kubeconfig, gitops, dict(self.cloud.key))


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
