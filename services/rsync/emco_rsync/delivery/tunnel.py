"""Requests to the API server of a cluster, exchanged over the cluster's agent instead of the network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emco_common.kube.api import Carrier
from emco_common.kube.errors import Invalid, NoRoom, Unreachable, clean
from emco_common.kube.exchange import Exchange, Request
from emco_common.kube.transport import Transport
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentRequest
from emco_rsync.delivery.session import Pieces

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one request; an API server takes less than half of it."""

Begin = Callable[[str, AgentRequest], Awaitable[Pieces]]
"""Begins a call at the agent of a cluster. ``Unreachable`` if there is none, with since when."""


def through_agent(cluster: str, begin: Begin, *, user: str, timeout: float) -> Carrier:
    """Carries requests to the API server of ``cluster`` with the rights of ``user``; empty: those of the agent.

    ``timeout`` is the default deadline of a call in seconds.
    """
    name = f"agent of {cluster}"
    return Transport(name, _Exchanges(name, cluster, begin, user), timeout=timeout)


class _Exchanges:
    """``Exchanges`` over the agent, connected or not: each call finds its present stream."""

    def __init__(self, name: str, cluster: str, begin: Begin, user: str) -> None:
        self.closed = ""
        self.lapses = 0  # an agent is known by its token, whichever stream it comes on
        self._name = name
        self._cluster = cluster
        self._begin = begin
        self._user = user
        self._open: set[_Answer] = set()

    async def call(self, request: Request) -> Exchange:
        return await self._exchange(request, lasting=False)

    async def watch(self, request: Request) -> Exchange:
        return await self._exchange(request, lasting=True)

    async def close(self, reason: str) -> None:
        self.closed = reason
        for answer in tuple(self._open):
            answer.close()  # who reads it hears of it at once

    def short_of_descriptors(self) -> NoRoom | None:
        return None

    async def _exchange(self, request: Request, *, lasting: bool) -> Exchange:
        if self.closed:
            raise Unreachable(self.closed, reason="Closed")
        if request.body is not None and len(request.body) > MAX_BODY:
            raise Invalid(f"the object is larger than {MAX_BODY} bytes")
        asked = AgentRequest(
            method=request.method,
            target=request.target,
            body=request.body or b"",
            content_type=request.content_type if request.body is not None else "",
            accept=request.accept,
            user=self._user,
            lasting=lasting,
        )
        answer = _Answer(self._name, await self._begin(self._cluster, asked), self._open.discard)
        self._open.add(answer)
        try:
            await answer.begun()
        except BaseException:
            answer.close()
            raise
        return answer


class _Answer:
    """An ``Exchange``, once it has ``begun``."""

    __slots__ = ("_after", "_finished", "_name", "_pieces", "_unread", "retry_after", "status")

    def __init__(self, name: str, pieces: Pieces, after: Callable[[_Answer], None]) -> None:
        self.status = 0
        self.retry_after: str | None = None
        self._name = name
        self._pieces = pieces
        self._after = after
        self._unread: AgentAnswer | None = None
        self._finished = False

    async def begun(self) -> None:
        first = self._unread = await self._next()
        self.status, self.retry_after = first.status, first.retry_after or None

    async def read(self) -> bytes:
        """What has come of the body; nothing at its end."""
        while not self._finished:
            piece = self._unread or await self._next()
            self._unread = None
            self._finished = piece.last
            self._pieces.read(piece)
            if piece.body:
                return piece.body
        return b""

    def close(self) -> None:
        self._pieces.close()
        self._after(self)

    async def _next(self) -> AgentAnswer:
        piece = await self._pieces.piece()
        if piece.failure:
            raise Unreachable(f"{self._name}: {clean(piece.failure, limit=300)}")
        return piece
