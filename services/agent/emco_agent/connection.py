"""The agent's one connection: outwards, to rsync; kept, and made anew whenever it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc import aio

from emco_agent.answering import Answering, Cluster
from emco_common.errors import EmcoError, Unavailable
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswers, AgentHello, AgentOrders, AgentWelcome

_log = structlog.get_logger()

CONNECT_SECONDS = 20.0
"""From the first byte to the welcome."""
LONGEST_PAUSE = 60.0
FIRST_PAUSE = 0.5
STEADY_SECONDS = 30.0
"""A connection that held so long was a good one: the next is tried at once."""
PATIENCE = {
    grpc.StatusCode.ABORTED: 30.0,  # another agent of the cluster took over: two that fight do so slowly
    grpc.StatusCode.UNAUTHENTICATED: 10.0,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 30.0,
}
"""Seconds at least before the next attempt."""
FINISH_SECONDS = 2.0
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),  # a new attempt is a new connection, and not gRPC's own back-off
)


@dataclass(frozen=True, slots=True)
class Place:
    """``credentials`` is ``None`` without TLS; ``name`` is what the certificate must be for, if not the host."""

    server: str
    credentials: grpc.ChannelCredentials | None = None
    name: str = ""

    def channel(self) -> aio.Channel:
        options = [*_OPTIONS, *([("grpc.ssl_target_name_override", self.name)] if self.name else [])]
        if self.credentials is None:
            return aio.insecure_channel(self.server, options=options)
        return aio.secure_channel(self.server, self.credentials, options=options)


class NotConnected(Unavailable):
    """There is no connection to rsync."""


class _Ended(Exception):
    def __init__(self, why: str, *, at_least: float = 0.0) -> None:
        super().__init__(why)
        self.at_least = at_least


class Connection:
    """``token`` is asked for at each attempt: ``OSError``. ``random`` answers numbers in [0, 1)."""

    def __init__(
        self,
        place: Place,
        cluster: Cluster,
        *,
        name: str,
        token: Callable[[], str],
        version: str,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._place = place
        self._cluster = cluster
        self._name = name
        self._token = token
        self._version = version
        self._random = random
        self._sleep = sleep
        self._answering: Answering | None = None
        self._why = "it has not connected yet"

    async def ready(self) -> None:
        """``NotConnected``, with the reason."""
        if self._answering is None:
            raise NotConnected(f"not connected to {self._place.server}: {self._why}")

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            at_least = 0.0
            try:
                await self._once()
            except _Ended as ended:
                self._why, at_least = str(ended), ended.at_least
            except (OSError, EmcoError) as error:
                self._why = str(error)
            failures = 1 if loop.time() - began > STEADY_SECONDS else failures + 1
            pause = max(at_least, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20)))
            pause *= 0.5 + self._random() / 2
            _log.warning("not_connected", server=self._place.server, why=self._why, next_try_in=round(pause, 1))
            await self._sleep(pause)

    async def finish(self) -> None:
        """Before the process stops: what is under way comes to its end."""
        if self._answering is not None:
            await self._answering.finish(seconds=FINISH_SECONDS)

    async def _once(self) -> None:
        hello = AgentHello(cluster=self._name, token=self._token(), version=self._version)
        async with self._place.channel() as channel:
            stream = agents_pb2_grpc.emcoagentStub(channel).Connect()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await stream.write(AgentAnswers(hello=hello))
                    welcome = _welcome(await stream.read())
                if welcome is None:
                    raise await _end_of(stream)
                await self._serve(stream, welcome)
            except TimeoutError:
                raise _Ended(f"no welcome within {CONNECT_SECONDS:g} s") from None
            except (grpc.RpcError, aio.UsageError, asyncio.InvalidStateError):
                raise await _end_of(stream) from None
            finally:
                stream.cancel()

    async def _serve(self, stream: Any, welcome: AgentWelcome) -> None:
        answering = self._answering = Answering(self._cluster, welcome)
        _log.info("connected", server=self._place.server, cluster=self._name)
        sending = asyncio.create_task(_send(stream, answering), name="answers")
        try:
            while True:
                try:
                    async with asyncio.timeout(welcome.silence):
                        orders = await stream.read()
                except TimeoutError:
                    raise _Ended(f"silent for {welcome.silence} s") from None
                if not isinstance(orders, AgentOrders):
                    raise await _end_of(stream)
                for order in orders.orders:
                    answering.take(order)
        finally:
            self._answering = None
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await answering.close()


async def _send(stream: Any, answering: Answering) -> None:
    with suppress(grpc.RpcError, aio.UsageError, asyncio.InvalidStateError):  # who reads hears of it
        while True:
            await stream.write(await answering.outbox.batch())


def _welcome(orders: Any) -> AgentWelcome | None:
    if isinstance(orders, AgentOrders) and orders.orders and orders.orders[0].HasField("welcome"):
        return orders.orders[0].welcome
    return None


async def _end_of(stream: Any) -> _Ended:
    """Why the other side has ended the stream."""
    try:
        async with asyncio.timeout(1.0):
            code, details = await stream.code(), await stream.details()
    except TimeoutError:
        return _Ended("the server said something else than welcome")
    return _Ended(f"{code.name}: {details}", at_least=PATIENCE.get(code, 0.0))
