"""Wiring of clm."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry

from emco_clm import resources
from emco_clm.events import ClusterEvents
from emco_clm.keyvalues import KeyValueHooks, SyncObjectHooks
from emco_clm.metrics import GAUGES
from emco_clm.registration import ClusterHooks
from emco_clm.settings import ClmSettings
from emco_clm.users import ClusterUsers
from emco_common import __version__
from emco_common.appcontext.io import AppContextStore
from emco_common.cloudconfig import CloudConfigs
from emco_common.kube.kubeconfig import parse_kubeconfig
from emco_common.metrics import PeerCalls, measured
from emco_common.resources.declaration import Resource
from emco_common.resources.router import build_router
from emco_common.resources.service import Hooks
from emco_common.runtime import Deps, Service
from emco_common.web.app import create_app
from emco_common.web.gauges import StoreGauges, build_gauge

NAME = "clm"


def create_service(settings: ClmSettings, deps: Deps) -> Service:
    """Cluster registration over its dependencies."""
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    deps = measured(deps, metrics)
    events = ClusterEvents(
        deps.store,
        deps.channels,
        timeout=settings.event_timeout,
        every=settings.event_retry,
        calls=PeerCalls(metrics),
    )
    access = CloudConfigs(deps.store, deps.sealer)
    contexts = AppContextStore(deps.bus)
    users = ClusterUsers(deps.store, contexts)
    clusters = ClusterHooks(deps.store, access, contexts, events, users, deps.clock)
    served: list[tuple[Resource, Hooks]] = [
        (resources.PROVIDER, Hooks()),
        (_cluster(settings), clusters),
        (resources.LABEL, Hooks()),
        (resources.KEY_VALUES, KeyValueHooks("Cluster KV pair key value not found")),
        (resources.SYNC_OBJECT, SyncObjectHooks(deps.store, deps.sealer, masked=settings.mask_sync_objects)),
        (resources.CONTROLLER, Hooks()),
    ]
    app = create_app(
        NAME,
        [build_router(resource, deps.store, hooks) for resource, hooks in served],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=deps.tracing,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
        metrics=metrics,
        before_scrape=[StoreGauges(metrics, deps.store, GAUGES).refresh],
    )
    return Service(NAME, app, settings.host, settings.http_port, background=(clusters.sweep, events.run))


def _cluster(settings: ClmSettings) -> Resource:
    """The declaration of clusters with the operator's word on which kubeconfigs are acceptable."""
    declared = resources.CLUSTER.upload
    assert declared is not None

    def check(kubeconfig: bytes) -> object:
        return parse_kubeconfig(kubeconfig, policy=settings.kubeconfigs)

    return replace(resources.CLUSTER, upload=replace(declared, check=check))
