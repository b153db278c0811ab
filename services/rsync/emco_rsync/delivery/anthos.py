"""What makes Anthos Config Sync follow a deployment (rsync 14.5): pure."""

from __future__ import annotations

import struct

from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.layout import Consignment, Json, Layout, text_of


def configuration(layout: Layout, of: Consignment, remote: Remote) -> dict[str, bytes]:
    """Path and content of the files beside the deployment's own: for a logical cloud of level 1, what syncs its
    namespace from then on."""
    if not (of.is_cloud and of.cloud_level == "1"):
        return {}
    name = f"repo-sync-{of.cloud}"
    obj: Json = {
        "apiVersion": "configsync.gke.io/v1beta1",
        "kind": "RepoSync",
        "metadata": {"name": name, "namespace": of.cloud_namespace},
        "spec": {
            "git": {
                "repo": remote.url,
                "revision": "HEAD",
                "branch": remote.branch,
                "dir": f"/namespaces/{of.cloud_namespace}/{layout.cluster}",
                "auth": "none",
                "noSSLVerify": False,
            }
        },
    }
    return {paths(layout, of)[0]: text_of(obj)}


def paths(layout: Layout, of: Consignment) -> tuple[str, ...]:
    return (f"{layout.app(of)}repo-sync-{of.cloud}+RepoSync.json",) if of.cloud else ()


def deployed(layout: Layout, of: Consignment) -> str:
    """The file that says since when the deployment is there."""
    return f"{layout.deployment(of)}deployed"


def stamp(seconds: float) -> bytes:
    """Unix time, four bytes, little endian."""
    return struct.pack("<I", int(seconds) & 0xFFFFFFFF)
