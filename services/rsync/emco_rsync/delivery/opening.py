"""From what is written down about a GitOps cluster to what speaks to it (rsync 11.3, 14)."""

from __future__ import annotations

from emco_common.kube import KubeApi
from emco_rsync.delivery.azure import AzureArc, AzureSettings
from emco_rsync.delivery.cluster import GitCluster
from emco_rsync.delivery.git.remote import remote_of
from emco_rsync.delivery.layout import AZURE, TYPES, Layout
from emco_rsync.delivery.repositories import Repositories
from emco_rsync.delivery.timing import BadResourceObject, timing_of
from emco_rsync.reach.ways import Identity, Open, Way


def open_by_git(repositories: Repositories, azure: AzureSettings) -> Open:
    """For clusters of all types that follow a repository. ``BadRemote`` or ``BadResourceObject`` says what is missing
    in their sync objects."""

    def make(identity: Identity, way: Way) -> KubeApi:
        if way.type not in TYPES:
            raise BadResourceObject(f"Invalid GitOps type: {way.type}")
        timing_of(way.options)
        arc = AzureArc(way.options, azure) if way.type == AZURE else None
        remote = remote_of(way.reference, allow_http=repositories.settings.allow_http)
        repository = repositories.use(remote)
        layout = Layout(way.type, identity.cluster)
        return GitCluster(layout, repository, options=way.options, azure=arc, release=repositories.release)

    return make
