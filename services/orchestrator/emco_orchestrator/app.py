"""Wiring of the orchestrator."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry

from emco_common import __version__
from emco_common.appcontext.io import AppContextStore
from emco_common.controllerclient import ControllerClient
from emco_common.helm.api import Renderer
from emco_common.helm.factory import make_renderer
from emco_common.helm.pool import PooledRenderer
from emco_common.metrics import MeasuredRpc, PeerCalls, measured
from emco_common.operations import Subjects
from emco_common.presence import Presence
from emco_common.resources.router import build_router
from emco_common.resources.service import Hooks
from emco_common.rsyncclient import RsyncClient
from emco_common.runtime import Deps, Service
from emco_common.status.notify import Bell, Notifier, StatusStreams
from emco_common.tracing.grpc import serving
from emco_common.web.app import create_app
from emco_common.web.gauges import StoreGauges, build_gauge
from emco_orchestrator import hooks, resources
from emco_orchestrator.building import Builder
from emco_orchestrator.dependencyhooks import AppDependencyHooks
from emco_orchestrator.deployment import Deployments
from emco_orchestrator.groups import groups_in
from emco_orchestrator.grpc import status_server
from emco_orchestrator.history import Revisions
from emco_orchestrator.inputs import InputReader
from emco_orchestrator.keeping import Keeper
from emco_orchestrator.metrics import COUNTS, GAUGES, Steps
from emco_orchestrator.planning import Planner
from emco_orchestrator.planroutes import plan_router
from emco_orchestrator.removalguard import RemovalGuard
from emco_orchestrator.rendering import Renderings
from emco_orchestrator.routes import lifecycle_router
from emco_orchestrator.settings import OrchestratorSettings
from emco_orchestrator.status import group_status
from emco_orchestrator.tools import Tools

NAME = "orchestrator"


def create_service(settings: OrchestratorSettings, deps: Deps, *, renderer: Renderer | None = None) -> Service:
    """The orchestrator over its dependencies; ``renderer`` replaces the one that the settings ask for."""
    renderer = renderer or renderer_of(settings)
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    deps = measured(deps, metrics)
    contexts = AppContextStore(deps.bus)
    presence = Presence(deps.bus, NAME)
    bell = Bell(deps.bus, NAME)
    groups = replace(groups_in(deps.store, deps.clock, presence), changed=bell.ring)
    status = group_status(groups, contexts)
    notifier = Notifier(status, deps.bus, bell, window=settings.status_window, metrics=metrics)
    tools = make_tools(settings, deps, groups, renderer=renderer, steps=Steps(metrics), calls=PeerCalls(metrics))
    deployments = Deployments(groups, tools)
    routers = [
        build_router(resource, deps.store, hook)
        for resource, hook in zip(resources.RESOURCES, _hooks(deps, contexts, tools.keeper, bell), strict=True)
    ]
    streams = StatusStreams(notifier, limit=settings.status_streams)
    planner = Planner(groups, tools, timeout=settings.plan_timeout)
    routes = lifecycle_router(deployments, status, streams, Revisions(groups, contexts)), plan_router(planner)
    app = create_app(
        NAME,
        [*routers, *routes],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=deps.tracing,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
        metrics=metrics,
        before_scrape=[StoreGauges(metrics, deps.store, GAUGES, COUNTS).refresh],
    )
    return Service(
        NAME,
        app,
        settings.host,
        settings.http_port,
        grpc=status_server(settings, notifier, interceptors=[MeasuredRpc(metrics), *serving(deps.tracing)]),
        background=(presence.run, deployments.resume, renderer.warm, notifier.run),
        leaving=notifier.leave,
        closing=renderer.close,
    )


def renderer_of(settings: OrchestratorSettings) -> PooledRenderer:
    """The renderer that the settings ask for."""
    return make_renderer(engine=settings.helm, kube_version=settings.kube_version)


def make_tools(
    settings: OrchestratorSettings,
    deps: Deps,
    groups: Subjects,
    *,
    renderer: Renderer,
    steps: Steps,
    calls: PeerCalls | None = None,
) -> Tools:
    """What the lifecycle of ``groups`` works with; ``calls`` are told how each call to another service goes."""
    contexts = AppContextStore(deps.bus)
    inputs = InputReader(deps.store, contexts)
    controllers = ControllerClient(deps.channels, timeout=settings.grpc_call_timeout, calls=calls)
    return Tools(
        groups=groups,
        inputs=inputs,
        builder=Builder(inputs, Renderings(deps.store, renderer), contexts, controllers, steps),
        contexts=contexts,
        controllers=controllers,
        rsync=RsyncClient(deps.store, deps.channels, timeout=settings.rsync_timeout, calls=calls),
        keeper=Keeper(deps.store, contexts, revisions=settings.revisions_kept),
        guard=RemovalGuard(settings.removal_guard),
        steps=steps,
        randbelow=deps.randbelow,
    )


def _hooks(deps: Deps, contexts: AppContextStore, keeper: Keeper, bell: Bell) -> list[Hooks]:
    special: dict[str, Hooks] = {
        resources.APP.kind: hooks.AppHooks(deps.store),
        resources.APP_DEPENDENCY.kind: AppDependencyHooks(deps.store),
        resources.APP_PROFILE.kind: hooks.AppProfileHooks(deps.store),
        resources.GROUP.kind: hooks.GroupHooks(deps.store, contexts, deps.clock, keeper=keeper, gone=bell.ring),
        resources.GROUP_INTENT.kind: hooks.GroupIntentHooks(),
        resources.APP_PLACEMENT.kind: hooks.AppPlacementHooks(),
        resources.CONTROLLER.kind: hooks.ControllerHooks(deps.store, deps.channels),
    }
    return [special.get(resource.kind, Hooks()) for resource in resources.RESOURCES]
