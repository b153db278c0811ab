"""A watch that outlives its streams: it goes on after the last event it saw, whatever ended the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import structlog
from grpc import aio

from emco_common.contextbus.api import BusUnavailable, Event
from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.etcd.connection import Attempt, Connection
from emco_common.contextbus.etcd.convert import event_of, span_of
from emco_common.contextbus.etcd.failures import Remedy, remedy_of, remedy_of_cancelled_watch
from emco_common.contextbus.etcd.methods import Stream, send
from emco_common.errors import EmcoError

_log = structlog.get_logger()

_Stream = Stream[pb.WatchRequest, pb.WatchResponse]


class _Interrupted(Exception):
    """The stream has ended; the watch has not."""

    def __init__(self, reason: str, remedy: Remedy) -> None:
        super().__init__(reason)
        self.remedy = remedy


async def watch(connection: Connection, prefix: str, *, start_revision: int) -> AsyncGenerator[Sequence[Event], None]:
    """See ``api.ContextBus.watch``."""
    loop = asyncio.get_running_loop()
    in_force_by = loop.time() + connection.deadline
    position, in_force, failures = start_revision, False, 0
    while True:
        attempt = stream = None
        try:
            attempt = await connection.attempt(in_force_by if not in_force else loop.time() + connection.deadline)
            stream = attempt.methods.watch(metadata=attempt.metadata, wait_for_ready=True)
            created = await _create(connection, stream, prefix, position)
            # Resuming counts from events; a header's revision is ahead of them while the server catches up, except
            # the first one's, before which there was nothing to see.
            position = position or created.header.revision + 1
            if not in_force:
                in_force = True
                yield ()
            while True:
                response = await _read(connection, stream)
                failures = 0
                if response.events:
                    position = response.events[-1].kv.mod_revision + 1
                    yield [event_of(event) for event in response.events]
        except (_Interrupted, BusUnavailable) as error:
            if connection.closed or (not in_force and isinstance(error, BusUnavailable)):
                raise
            failure: Exception = error
        finally:
            if stream is not None:
                stream.cancel()
        _log.warning("etcd_watch_interrupted", prefix=prefix, position=position, reason=str(failure))
        await _recover(connection, attempt, failure, failures, before=None if in_force else in_force_by)
        failures += 1


async def _create(connection: Connection, stream: _Stream, prefix: str, position: int) -> pb.WatchResponse:
    key, end = span_of(prefix)
    request = pb.WatchCreateRequest(key=key, range_end=end, start_revision=position, progress_notify=True)
    try:
        async with asyncio.timeout(connection.deadline):
            await send(stream, pb.WatchRequest(create_request=request))
            return await _read(connection, stream)
    except TimeoutError:
        raise _Interrupted("etcd did not confirm the watch in time", Remedy.RETRY) from None


async def _read(connection: Connection, stream: _Stream) -> pb.WatchResponse:
    """The next response that is neither the end nor an error."""
    try:
        response = await connection.unless_closed(stream.read())
    except aio.AioRpcError as error:
        remedy = remedy_of(error)
        if isinstance(remedy, BusUnavailable):
            remedy = Remedy.RETRY
        raise _because(str(error.details()), remedy) from error
    if response is aio.EOF:
        raise _Interrupted("etcd closed the stream", Remedy.RETRY)
    if response.canceled:
        reason = response.cancel_reason or "etcd cancelled the watch"
        raise _because(reason, remedy_of_cancelled_watch(reason, compact_revision=response.compact_revision))
    return response


def _because(reason: str, remedy: Remedy | EmcoError) -> Exception:
    return remedy if isinstance(remedy, EmcoError) else _Interrupted(reason, remedy)


async def _recover(
    connection: Connection, attempt: Attempt | None, failure: Exception, failures: int, *, before: float | None
) -> None:
    """Log in again or turn to another server, and wait a little. Past ``before`` raises ``BusUnavailable``."""
    await connection.pause(failures, before=before if before is not None else float("inf"), cause=failure)
    if attempt is None:
        return
    if isinstance(failure, _Interrupted) and failure.remedy is Remedy.LOGIN:
        try:
            await connection.renew_login(attempt)
        except BusUnavailable:
            if before is not None:
                raise
    else:
        connection.turn_away_from(attempt.methods)
