"""What makes Flux follow a deployment (rsync 14.3): pure."""

from __future__ import annotations

from collections.abc import Mapping

from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.layout import ADMIN_LEVEL, Consignment, Json, Layout, go_duration, text_of
from emco_rsync.delivery.timing import timing_of

SYSTEM = "flux-system"
"""Name and namespace of what Flux was bootstrapped with."""
_BETA = ("source.toolkit.fluxcd.io/v1beta1", "kustomize.toolkit.fluxcd.io/v1beta2")
_STABLE = ("source.toolkit.fluxcd.io/v1", "kustomize.toolkit.fluxcd.io/v1")


def configuration(layout: Layout, of: Consignment, remote: Remote, options: Mapping[str, str]) -> dict[str, bytes]:
    """Path and content of the files beside the deployment's own. A logical cloud's objects come by way of the
    repository that Flux was bootstrapped with. ``options`` are the pairs of the resource object."""
    source_api, kustomize_api = _STABLE if options.get("fluxApi") == "v1" else _BETA
    source, kustomization = paths(layout, of)
    found: dict[str, Json] = {}
    if not of.is_cloud:
        spec: Json = {"url": remote.url, "interval": "30s", "ref": {"branch": remote.branch}}
        if options.get("secretRef"):
            spec["secretRef"] = {"name": options["secretRef"]}
        found[source] = {
            "apiVersion": source_api,
            "kind": "GitRepository",
            "metadata": {"name": of.context, "namespace": of.namespace},
            "spec": spec,
        }
    found[kustomization] = {
        "apiVersion": kustomize_api,
        "kind": "Kustomization",
        "metadata": {"name": f"kust{of.context}", "namespace": SYSTEM if of.is_cloud else of.namespace},
        "spec": _kustomization(layout, of, options),
    }
    return {path: text_of(obj) for path, obj in found.items()}


def paths(layout: Layout, of: Consignment) -> tuple[str, str]:
    """Of the GitRepository and the Kustomization."""
    return f"clusters/{layout.cluster}/{of.context}.yaml", f"clusters/{layout.cluster}/kust{of.context}.yaml"


def _kustomization(layout: Layout, of: Consignment, options: Mapping[str, str]) -> Json:
    timing = timing_of(options)
    spec: Json = {
        "interval": go_duration(timing.sync),
        "retryInterval": go_duration(timing.retry),
        "timeout": go_duration(timing.timeout),
        "path": layout.deployment(of).rstrip("/"),
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": SYSTEM if of.is_cloud else of.context},
    }
    if of.level != ADMIN_LEVEL:
        spec["serviceAccountName"] = f"{of.namespace}-sa"
    return spec
