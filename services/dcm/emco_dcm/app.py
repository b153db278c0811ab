"""Wiring of dcm."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from prometheus_client import CollectorRegistry

from emco_common import __version__
from emco_common.appcontext import AppContextStore
from emco_common.cloudconfig import CloudConfigs
from emco_common.metrics import MeasuredRpc, PeerCalls, measured
from emco_common.presence import Presence
from emco_common.resources.router import build_router
from emco_common.rsyncclient import RsyncClient
from emco_common.runtime import Deps, Service
from emco_common.status.notify import Bell, Notifier, StatusStreams
from emco_common.tracing.grpc import serving
from emco_common.web.app import create_app
from emco_common.web.gauges import build_gauge
from emco_dcm import resources
from emco_dcm.access import CloudAccess
from emco_dcm.clouds import Clouds, clouds_in
from emco_dcm.downloads import Downloads
from emco_dcm.drafts import Drafts
from emco_dcm.grpc import status_server
from emco_dcm.hooks import ClusterQuotaHooks, ClusterReferenceHooks, LogicalCloudHooks
from emco_dcm.members import Members
from emco_dcm.metrics import CloudGauge
from emco_dcm.operations import LogicalClouds
from emco_dcm.privatekey import MakeKey, PrivateKeys, new_key
from emco_dcm.procedures import Tools
from emco_dcm.reconciler import Reconciler
from emco_dcm.routes import lifecycle_router, references_router
from emco_dcm.settings import DcmSettings
from emco_dcm.status import cloud_status
from emco_dcm.twins import Twins

NAME = "dcm"


def create_service(settings: DcmSettings, deps: Deps, *, make_key: MakeKey = new_key) -> Service:
    """Logical clouds over their dependencies."""
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    deps = measured(deps, metrics)
    contexts, records = AppContextStore(deps.bus), CloudConfigs(deps.store, deps.sealer)
    presence = Presence(deps.bus, NAME)
    rsync = RsyncClient(deps.store, deps.channels, timeout=settings.rsync_timeout, calls=PeerCalls(metrics))
    bell = Bell(deps.bus, NAME)
    clouds = Clouds(replace(clouds_in(deps.store, deps.clock, presence), changed=bell.ring), contexts)
    twins, members = Twins(clouds, records), Members(deps.store, clouds, contexts)
    keys = PrivateKeys(clouds.subjects, deps.sealer, make=make_key)
    access = CloudAccess(clouds, contexts, records, keys, members)
    reconciler = Reconciler(clouds, access, rsync, client=f"{NAME}-{presence.name}")
    drafts = Drafts(clouds, contexts, records, keys, twins)
    tools = Tools(clouds, contexts, drafts, members, rsync, deps.randbelow, reconciler.changed)
    operations = LogicalClouds(tools)
    status = cloud_status(clouds, contexts, access)
    notifier = Notifier(status, deps.bus, bell, window=settings.status_window, metrics=metrics)
    streams = StatusStreams(notifier, limit=settings.status_streams)
    reference_hooks = ClusterReferenceHooks(deps.store, clouds, twins)
    app = create_app(
        NAME,
        [
            build_router(
                resources.LOGICAL_CLOUD,
                deps.store,
                LogicalCloudHooks(
                    *(deps.store, clouds, contexts, twins, keys, reconciler.changed, deps.clock),
                    level_0=settings.level0 == "allowed",
                ),
            ),
            references_router(deps.store, clouds, reference_hooks),
            build_router(resources.USER_PERMISSION, deps.store),
            build_router(resources.CLUSTER_QUOTA, deps.store, ClusterQuotaHooks(clouds)),
            build_router(resources.KEY_VALUES, deps.store),
            lifecycle_router(operations, status, streams, Downloads(clouds, access)),
        ],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=deps.tracing,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
        metrics=metrics,
        before_scrape=[CloudGauge(metrics, clouds, status).refresh],
    )
    return Service(
        NAME,
        app,
        settings.host,
        settings.http_port,
        grpc=status_server(settings, notifier, interceptors=[MeasuredRpc(metrics), *serving(deps.tracing)]),
        background=(presence.run, operations.resume, partial(reconciler.run, operations.renew), notifier.run),
        leaving=notifier.leave,
    )
