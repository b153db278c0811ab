"""Wiring of ncm."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry

from emco_common import __version__
from emco_common.appcontext import AppContextStore
from emco_common.controllerclient import ControllerClient
from emco_common.metrics import MeasuredRpc, PeerCalls, measured
from emco_common.presence import Presence
from emco_common.resources.router import build_router
from emco_common.rsyncclient import RsyncClient
from emco_common.runtime import Deps, Service
from emco_common.status.notify import Bell, Notifier, StatusStreams
from emco_common.tracing.grpc import serving
from emco_common.web.app import create_app
from emco_common.web.gauges import StoreGauges, build_gauge
from emco_ncm import resources
from emco_ncm.clusters import NetworkSets, clusters_in
from emco_ncm.grpc import status_server
from emco_ncm.hooks import IntentHooks
from emco_ncm.metrics import GAUGES
from emco_ncm.networks import Networks
from emco_ncm.procedures import Tools
from emco_ncm.routes import lifecycle_router
from emco_ncm.settings import NcmSettings
from emco_ncm.status import network_status

NAME = "ncm"


def create_service(settings: NcmSettings, deps: Deps) -> Service:
    """Networks of clusters over their dependencies."""
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    deps, calls = measured(deps, metrics), PeerCalls(metrics)
    contexts = AppContextStore(deps.bus)
    presence = Presence(deps.bus, NAME)
    bell = Bell(deps.bus, NAME)
    clusters = replace(clusters_in(deps.store, deps.clock, presence), changed=bell.ring)
    status = network_status(clusters, contexts)
    notifier = Notifier(status, deps.bus, bell, window=settings.status_window, metrics=metrics)
    tools = Tools(
        NetworkSets(deps.store, contexts),
        contexts,
        ControllerClient(deps.channels, timeout=settings.grpc_call_timeout, calls=calls),
        RsyncClient(deps.store, deps.channels, timeout=settings.rsync_timeout, calls=calls),
        deps.randbelow,
    )
    networks = Networks(clusters, tools)
    of_networks = IntentHooks(clusters, what="network", twin=resources.PROVIDER_NETWORK)
    of_provider_networks = IntentHooks(clusters, what="provider network", twin=resources.NETWORK)
    app = create_app(
        NAME,
        [
            build_router(resources.NETWORK, deps.store, of_networks),
            build_router(resources.PROVIDER_NETWORK, deps.store, of_provider_networks),
            build_router(resources.CONTROLLER, deps.store),
            lifecycle_router(networks, status, StatusStreams(notifier, limit=settings.status_streams)),
        ],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=deps.tracing,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
        metrics=metrics,
        before_scrape=[StoreGauges(metrics, deps.store, GAUGES).refresh],
    )
    return Service(
        NAME,
        app,
        settings.host,
        settings.http_port,
        grpc=status_server(settings, notifier, interceptors=[MeasuredRpc(metrics), *serving(deps.tracing)]),
        background=(presence.run, networks.resume, notifier.run),
        leaving=notifier.leave,
    )
