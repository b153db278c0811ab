"""Wiring of the resource synchronizer."""

from __future__ import annotations

import asyncio
import random
import socket
import uuid

from grpc import aio
from prometheus_client import CollectorRegistry

from emco_common import __version__
from emco_common.cloudconfig import CloudConfigs
from emco_common.kube.descriptors import descriptors_of_process
from emco_common.kube.network import Network
from emco_common.metrics import MeasuredRpc, measured
from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import server_credentials
from emco_common.runtime import Deps, Service
from emco_common.syncobjects import SyncObjects
from emco_common.tidying import keep_tidy
from emco_common.tracing.grpc import serving
from emco_common.web.app import create_app
from emco_common.web.gauges import build_gauge
from emco_rsync.apply.executor import Executor
from emco_rsync.apply.site import Pace
from emco_rsync.delivery.hosting import AgentHost
from emco_rsync.delivery.layout import TYPES as GIT_TYPES
from emco_rsync.delivery.opening import open_by_git
from emco_rsync.delivery.repositories import Repositories
from emco_rsync.events.ownership import Ownership
from emco_rsync.events.queue import Queue
from emco_rsync.events.supervisor import Supervisor
from emco_rsync.events.worker import Workshop
from emco_rsync.foresight.grpc import register_plans
from emco_rsync.foresight.looking import Foresight
from emco_rsync.grpc import register
from emco_rsync.metrics import Metrics
from emco_rsync.notify import Subscriptions
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.links import Links
from emco_rsync.reach.sameness import remembered
from emco_rsync.reach.ways import AGENT, access_from, by_type, open_directly
from emco_rsync.record.journal import Journal
from emco_rsync.record.manifests import manifests_on
from emco_rsync.settings import RsyncSettings
from emco_rsync.watch.inspection import Inspector
from emco_rsync.watch.tracker import Tracker

NAME = "rsync"
STOP_GRACE = 2.0
"""Seconds that calls to clusters may still take when the process stops. A cluster that is well needs a fraction."""


def create_service(settings: RsyncSettings, deps: Deps, *, network: Network | None = None) -> Service:
    """The resource synchronizer over its dependencies. ``network`` bounds the connections to clusters, by default as
    the process's limit of open files does."""
    network = network or Network(descriptors_of_process())
    registry = CollectorRegistry()
    build_gauge(registry, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    deps = measured(deps, registry)
    metrics = Metrics(registry, descriptors=network.descriptors)
    pace = Pace(
        Backoff(random.random, longest=settings.max_backoff), bus_backoff=Backoff(random.random, first=0.1, longest=5.0)
    )
    repositories = Repositories(settings.git, random=random.random)
    by_git = open_by_git(repositories, settings.azure)
    access = access_from(CloudConfigs(deps.store, deps.sealer), SyncObjects(deps.store, deps.sealer))
    open_way = by_type(
        {
            "": open_directly(settings.direct, network=network),
            AGENT: lambda identity, way: agents.open(identity, way),
            **dict.fromkeys(GIT_TYPES, by_git),
        }
    )
    same = remembered(deps.bus, access, open_way)
    links = Links(access, open_way, same=same, settings=settings.link, backoff=pace.backoff, measures=metrics.measures)
    subscriptions = Subscriptions(deps.bus, backoff=pace.bus_backoff)
    journal = Journal(deps.bus, backoff=pace.bus_backoff, gone=lambda context: tracker.abandon(context))
    tracker = Tracker(
        links,
        resync=settings.watch_resync,
        pace=pace,
        inspector=Inspector(manifests=manifests_on(deps.bus), leave_alone=settings.apply.leave_alone),
        heal=lambda *what: supervisor.heal(*what),
        monitor=settings.monitor == "auto",
        measures=metrics.measures,
    )
    executor = Executor(links, tracker, settings=settings.apply, pace=pace)
    queue = Queue(deps.bus)
    shop = Workshop(
        bus=deps.bus,
        queue=queue,
        journal=journal,
        executor=executor,
        pace=pace,
        finished=metrics.finished,
        heal=executor.heal,
        tracing=deps.tracing,
    )
    ownership = Ownership(
        deps.bus,
        replica=uuid.uuid4().hex,
        address=lambda: settings.advertise or f"{_name_of(settings.host)}:{server.port}",
        ttl=settings.lease,
        backoff=pace.bus_backoff,
    )
    supervisor = Supervisor(shop, ownership)
    metrics.shows(reach=links, watched=tracker, lease=ownership, shared=supervisor)
    agents = AgentHost(
        settings.agents,
        deps,
        replica=ownership.replica,
        lease=lambda: ownership.lease,
        arrived=links.hurry,
        denied=metrics.denied,
        backoff=pace.bus_backoff,
    )
    metrics.hosts(agents.agents.here)

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(journal.run(), name="journal")
            tasks.create_task(tracker.run(), name="tracker")
            tasks.create_task(repositories.run(), name="repositories")
            tasks.create_task(agents.run(), name="agents")
            tasks.create_task(supervisor.run(), name="supervisor")
            tasks.create_task(keep_tidy(), name="tidying")
            last_calls = tasks.create_task(links.last_calls(grace=STOP_GRACE), name="last calls")
            try:
                await asyncio.Event().wait()
            finally:  # what is written down, and only then what belongs to others
                last_calls.cancel()
                await asyncio.gather(supervisor.pause(), last_calls, return_exceptions=True)

    app = create_app(
        NAME,
        [],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=deps.tracing,
        ready={"store": deps.store.ping, "bus": deps.bus.ping},
        metrics=registry,
        before_scrape=[metrics.refresh],
    )

    def serve(aio_server: aio.Server) -> None:
        register(aio_server, supervisor=supervisor, subscriptions=subscriptions)
        register_plans(aio_server, Foresight(deps.bus, links, settings=settings.apply))
        agents.register_relay(aio_server)

    server = GrpcServer(
        settings.host,
        settings.grpc_port,
        serve,
        interceptors=[MeasuredRpc(registry), *serving(deps.tracing)],
        credentials=server_credentials(settings),
    )
    return Service(
        NAME,
        app,
        settings.host,
        settings.http_port,
        grpc=server,
        further=agents.servers,
        background=(work,),
        closing=tracker.close,
    )


def _name_of(host: str) -> str:
    """How others may call an address to listen on. Within a pod its own name is known to itself alone."""
    if host not in ("", "0.0.0.0", "::"):
        return host
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return socket.gethostname()
