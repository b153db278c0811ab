"""Calls to one of several etcd servers: deadlines, retries, the login, and turning to another server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import structlog
from grpc import aio

from emco_common.contextbus.api import BusLoginRefused, BusUnavailable
from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.etcd.failures import Remedy, is_refusal, remedy_of, without_login
from emco_common.contextbus.etcd.methods import Metadata, Methods
from emco_common.errors import EmcoError

T = TypeVar("T")

_log = structlog.get_logger()

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # a range of 10,000 keys is more than the 4 MB gRPC allows by default
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),  # etcd ends a connection that pings without a call
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
]

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_OBSTACLE_SECONDS = 0.5
_MAX_LOGINS = 3
"""Logins in one call before the server's refusal is believed."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts. Without ``ca`` the system's authorities count; ``certificate`` and ``key`` tell who we are."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try of a call is given. ``timeout`` is in seconds."""

    methods: Methods
    metadata: Metadata
    timeout: float


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """``repeated``: an earlier try may have reached the server too, and may have been carried out."""

    value: T
    repeated: bool


class Connection:
    """One channel at a time, to the server that answered last."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: Tls | None,
        user: str,
        password: str,
        deadline: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.deadline = deadline
        self.closed = False
        self._channels = [_channel(endpoint, tls) for endpoint in endpoints]
        self._methods = [Methods(channel) for channel in self._channels]
        self._current = 0
        self._user = user
        self._password = password
        self._token: str | None = None if user else ""
        self._login_turn = asyncio.Lock()
        self._jitter = jitter

    async def call(self, work: Callable[[Attempt], Awaitable[T]]) -> Reply[T]:
        """Do ``work``, again while that can help, until the deadline.

        What is called must be idempotent or guarded by a comparison. Raises ``BusUnavailable``, or what the server's
        refusal means.
        """
        end = asyncio.get_running_loop().time() + self.deadline
        repeated, failures, logins = False, 0, 0
        while True:
            attempt = await self.attempt(end)
            try:
                return Reply(await self.unless_closed(work(attempt)), repeated)
            except aio.AioRpcError as error:
                remedy = remedy_of(error)
                reason = error
            if isinstance(remedy, EmcoError):
                raise remedy from reason
            if remedy is Remedy.LOGIN:
                logins += 1
                if logins > _MAX_LOGINS:
                    raise BusLoginRefused(f"etcd does not accept our login: {reason.details()}") from reason
                await self.renew_login(attempt)
            else:
                repeated = True
                self.turn_away_from(attempt.methods)
                await self.pause(failures, before=end, cause=reason)
                failures += 1

    async def attempt(self, end: float) -> Attempt:
        """A connected server and a valid login, before the loop's time ``end``."""
        methods = await self._connected(end)
        if self._token is None:
            await self._login(methods, end, stale=None)
        metadata = [("hasleader", "true")]
        if self._token:
            metadata.append(("token", self._token))
        return Attempt(methods, metadata, self._share_of(end))

    async def renew_login(self, attempt: Attempt) -> None:
        """Log in again unless someone has done so since ``attempt`` was made."""
        if not self._user:
            raise BusLoginRefused("etcd asks for a login, but no user is configured")
        stale = dict(attempt.metadata).get("token", "")
        await self._login(attempt.methods, asyncio.get_running_loop().time() + self.deadline, stale=stale)

    def turn_away_from(self, methods: Methods) -> None:
        """Try the next server from now on, unless that was done already."""
        if self._methods[self._current] is methods:
            self._current = (self._current + 1) % len(self._methods)

    async def pause(self, failures: int, *, before: float, cause: BaseException | None = None) -> None:
        """Wait longer after each failure, with jitter. ``BusUnavailable`` when the time ``before`` is reached."""
        pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE) * (0.5 + self._jitter() / 2)
        if asyncio.get_running_loop().time() + pause >= before:
            raise self._late() from cause
        await asyncio.sleep(pause)

    async def close(self) -> None:
        self.closed = True
        for channel in self._channels:
            await channel.close()

    async def _connected(self, end: float) -> Methods:
        while True:
            if self.closed:
                raise BusUnavailable("the context bus is closed")
            current = self._current
            try:
                async with asyncio.timeout(self._share_of(end)):
                    if await self._is_ready(self._channels[current]):
                        return self._methods[current]
                    await asyncio.sleep(_FIRST_PAUSE)
            except TimeoutError:
                if asyncio.get_running_loop().time() >= end:
                    raise self._late(await self._obstacle(self._methods[current])) from None
            except aio.UsageError as error:  # closed while we waited
                raise BusUnavailable("the context bus is closed") from error
            self.turn_away_from(self._methods[current])

    async def _is_ready(self, channel: aio.Channel) -> bool:
        """Wait for the connection; where there are other servers, only until it is known to fail."""
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and len(self._channels) > 1:
                return False
            await channel.wait_for_state_change(state)
            state = channel.get_state(try_to_connect=True)
        return True

    def _share_of(self, end: float) -> float:
        """With several servers no single one may use up the deadline."""
        left = max(end - asyncio.get_running_loop().time(), 0.0)
        return left if len(self._channels) == 1 else min(left, self.deadline / (len(self._channels) + 1))

    async def _login(self, methods: Methods, end: float, *, stale: str | None) -> None:
        async with self._login_turn:
            if self._token != stale:
                return
            request = pb.AuthenticateRequest(name=self._user, password=self._password)
            try:
                response = await methods.authenticate(
                    request, timeout=self._share_of(end), metadata=(), wait_for_ready=True
                )
                self._token = response.token
                _log.info("etcd_login_renewed" if stale else "etcd_logged_in", user=self._user)
            except aio.AioRpcError as error:
                if without_login(error):
                    self._token = ""
                    return
                kind = BusLoginRefused if is_refusal(error) else BusUnavailable
                raise kind(f"the login at etcd as {self._user} failed: {error.details()}") from error

    async def unless_closed(self, work: Awaitable[T]) -> T:
        """Closing a channel cancels its calls; the caller is told so instead of being cancelled."""
        try:
            return await work
        except asyncio.CancelledError as error:
            if self.closed and not _is_cancelled():
                raise BusUnavailable("the context bus is closed") from error
            raise

    async def _obstacle(self, methods: Methods) -> str:
        """Why there is no connection, if that is known: a call that does not wait for one fails with the reason."""
        try:
            await methods.range(
                pb.RangeRequest(key=b"\0"), timeout=_OBSTACLE_SECONDS, metadata=(), wait_for_ready=False
            )
        except aio.AioRpcError as error:
            known = error.code() is grpc.StatusCode.UNAVAILABLE
            return str(error.details() or "").rpartition("last error: ")[2][:200] if known else ""
        except aio.UsageError:  # closed while we waited
            return ""
        return ""

    def _late(self, why: str = "") -> BusUnavailable:
        return BusUnavailable(f"etcd did not answer within {self.deadline:g} s" + (f": {why}" if why else ""))


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _channel(endpoint: str, tls: Tls | None) -> aio.Channel:
    if tls is None:
        return aio.insecure_channel(endpoint, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    return aio.secure_channel(endpoint, credentials, options=_OPTIONS)
