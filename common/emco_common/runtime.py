"""What every service is made of and how it lives: its dependencies, its ports, its background work.

A service's ``app`` module builds a ``Service`` from ``Settings`` and ``Deps``; ``emco serve`` runs one of them,
``emco up`` all of them in one process over the same dependencies.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from fastapi import FastAPI

from emco_common.contextbus.api import ContextBus
from emco_common.courtesy import giving_way
from emco_common.errors import Conflict, EmcoError
from emco_common.rpc.channels import Channels
from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import client_tls
from emco_common.secrets import Sealer
from emco_common.settings import BadSettings, Settings
from emco_common.store.api import DocumentStore
from emco_common.tracing.doors import traced_bus, traced_store
from emco_common.tracing.grpc import calling
from emco_common.tracing.opening import tracing_of
from emco_common.tracing.spans import Tracing
from emco_common.waiting import Opening, at_once
from emco_common.web.serving import HttpServer

_log = structlog.get_logger()
Clock = Callable[[], datetime]
Background = Callable[[], Awaitable[None]]
"""Returns when there is nothing more to do, or runs until cancelled; must bear to be begun again."""
STOP_DEADLINE = 7.0
"""Seconds that background work has to end in: with what servers are given, a process ends within ten."""


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Deps:
    """What services share: the doors to the outside, the time and randomness."""

    store: DocumentStore
    bus: ContextBus
    sealer: Sealer
    channels: Channels
    clock: Clock = wall_clock
    randbelow: Callable[[int], int] = secrets.randbelow
    tracing: Tracing | None = None


UNFINISHED_RESTORE = "/restore/unfinished/"
"""A key on the bus that is there while a backup is brought back, and stays when that is cut off."""


@asynccontextmanager
async def open_doors(
    settings: Settings, *, opening: Opening = at_once
) -> AsyncIterator[tuple[DocumentStore, ContextBus]]:
    """Store and bus by their URLs, both at the same time. Raises ``BadRequest`` or ``Unavailable``."""
    from emco_common.contextbus.factory import open_bus
    from emco_common.store.factory import open_store

    async def store_of_settings() -> DocumentStore:
        return await open_store(settings.database_url.get_secret_value())

    async def bus_of_settings() -> ContextBus:
        return await open_bus(
            settings.bus_url.get_secret_value(),
            ca_file=settings.bus_ca_file,
            cert_file=settings.bus_cert_file,
            key_file=settings.bus_key_file,
        )

    async with AsyncExitStack() as closing:

        async def store() -> DocumentStore:
            opened = await opening("store", store_of_settings)
            closing.push_async_callback(opened.close)
            return opened

        async def bus() -> ContextBus:
            opened = await opening("bus", bus_of_settings)
            closing.push_async_callback(opened.close)
            return opened

        try:
            async with asyncio.TaskGroup() as tasks:
                both = tasks.create_task(store(), name="store"), tasks.create_task(bus(), name="bus")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        yield both[0].result(), both[1].result()


def sealer_of(settings: Settings) -> Sealer:
    """Raises ``BadSettings`` without a data key."""
    data_key = settings.data_key.get_secret_value()
    if not data_key:
        raise BadSettings(
            "setting data_key: EMCO_DATA_KEY is empty; kubeconfigs cannot be kept without a key to seal them"
        )
    return Sealer(data_key, retired=tuple(key.get_secret_value() for key in settings.retired_data_keys))


@asynccontextmanager
async def open_deps(settings: Settings, *, opening: Opening = at_once) -> AsyncIterator[Deps]:
    """Everything that services share. Raises ``BadSettings``, ``Unavailable``, or ``Conflict`` where a restore was cut
    off."""
    sealer, tls = sealer_of(settings), client_tls(settings)
    async with tracing_of(settings) as tracing, open_doors(settings, opening=opening) as (store, bus):
        if await bus.get(UNFINISHED_RESTORE) is not None:
            raise Conflict("a restore is not finished: run `emco restore FILE --replace` to its end")
        channels = Channels(connect_timeout=settings.grpc_connect_timeout, interceptors=calling(), credentials=tls)
        try:
            if tracing is not None:
                store, bus = traced_store(store), traced_bus(bus)
            yield Deps(store, bus, sealer, channels, tracing=tracing)
        finally:
            await channels.close()


@dataclass(slots=True)
class Service:
    """One service with its ports. ``background`` work that fails is begun again after ``pause`` seconds.

    ``leaving`` is called before anything is stopped, to end what would not end by itself. ``further`` are gRPC servers
    on ports of their own.
    """

    name: str
    app: FastAPI
    host: str
    http_port: int
    grpc: GrpcServer | None = None
    further: Sequence[GrpcServer] = ()
    background: Sequence[Background] = ()
    leaving: Callable[[], Awaitable[None]] | None = None
    closing: Callable[[], Awaitable[None]] | None = None
    pause: float = 1.0
    _http: HttpServer | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, *, on: HttpServer | None = None) -> None:
        """Returns when every port is served. Raises ``OSError`` naming the port that is taken.

        ``on`` is a server that has answered at this service's port before it was there, and becomes the service's.
        """
        http = on or HttpServer(self.app, self.host, self.http_port, name=self.name)
        try:
            for server in self._servers:
                await server.start()
            if on is None:
                await http.start()
            http.app = self.app
        except BaseException:
            await self._stop_servers()
            raise
        self._http, self.http_port = http, http.port
        self._tasks = [
            asyncio.create_task(self._supervise(work), name=f"{self.name} background", context=giving_way())
            for work in self.background
        ]
        _log.info("service_started", service=self.name, http_port=self.http_port, grpc_port=self.grpc_port)

    async def stop(self) -> None:
        """Stop taking work, let what is in flight finish within its grace, then end. Nothing holds it up for ever."""
        await self.leave()
        if self._http is not None:
            await self._http.stop()
            self._http = None
        await self._stop_background()
        await self._stop_servers()
        if self.closing is not None:
            await self.closing()
        _log.info("service_stopped", service=self.name)

    async def leave(self) -> None:
        """End open streams; harmless when done again. For a port in front of several services, before it is closed."""
        if self.leaving is not None:
            await self.leaving()

    @property
    def grpc_port(self) -> int:
        return self.grpc.port if self.grpc is not None else 0

    @property
    def _servers(self) -> Sequence[GrpcServer]:
        return [*([self.grpc] if self.grpc is not None else []), *self.further]

    async def _stop_servers(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers))

    async def _supervise(self, work: Background) -> None:
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                return await work()
            except EmcoError as error:
                _log.warning("background_work_failed", service=self.name, error=str(error))
            except Exception:
                _log.exception("background_work_failed", service=self.name)
            if task.cancelling():
                return None  # it was to end, and failed on its way there
            await asyncio.sleep(self.pause)

    async def _stop_background(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=STOP_DEADLINE)
            for task in stuck:
                _log.error("background_work_not_stopped", service=self.name, task=repr(task.get_coro()))
        self._tasks = []
