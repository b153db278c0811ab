"""Wiring of dcm."""

from __future__ import annotations

from emco_common import __version__
from emco_common.appcontext import AppContextStore
from emco_common.cloudconfig import CloudConfigs
from emco_common.resources.router import build_router
from emco_common.rsyncclient import RsyncClient
from emco_common.runtime import Deps, Service
from emco_common.web.app import create_app
from emco_dcm import resources
from emco_dcm.clouds import Clouds
from emco_dcm.handover import Handover
from emco_dcm.hooks import ClusterQuotaHooks, ClusterReferenceHooks, LogicalCloudHooks
from emco_dcm.operations import LogicalClouds
from emco_dcm.routes import lifecycle_router, references_router
from emco_dcm.settings import DcmSettings
from emco_dcm.status import CloudStatus

NAME = "dcm"


def create_service(settings: DcmSettings, deps: Deps) -> Service:
    """Logical clouds over their dependencies."""
    contexts = AppContextStore(deps.bus)
    clouds = Clouds(deps.store, contexts)
    handover = Handover(clouds, contexts, RsyncClient(deps.store, deps.channels, timeout=settings.rsync_timeout))
    operations = LogicalClouds(
        clouds,
        contexts,
        CloudConfigs(deps.store, deps.sealer),
        handover,
        clock=deps.clock,
        randbelow=deps.randbelow,
    )
    hooks = LogicalCloudHooks(deps.store, clouds, contexts, deps.clock)
    app = create_app(
        NAME,
        [
            build_router(resources.LOGICAL_CLOUD, deps.store, hooks),
            references_router(deps.store, clouds, ClusterReferenceHooks(deps.store, clouds)),
            build_router(resources.USER_PERMISSION, deps.store),
            build_router(resources.CLUSTER_QUOTA, deps.store, ClusterQuotaHooks(clouds)),
            build_router(resources.KEY_VALUES, deps.store),
            lifecycle_router(operations, CloudStatus(clouds, contexts)),
        ],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
    )
    return Service(NAME, app, settings.host, settings.http_port, background=(handover.resume,))
