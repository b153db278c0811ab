"""Calls between replicas of rsync, for agents whose streams end at another one: one stream for each pair.

Whoever asks proves that it has the data key, by sealing the holder's challenge: nobody else on the network can make
calls to a cluster. What is in the calls is as safe as the network between the replicas.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from grpc import RpcError

from emco_common.errors import EmcoError
from emco_common.kube.errors import KubeError, Unreachable
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentOrder, AgentOrders, AgentRequest
from emco_common.rpc.channels import Channels, PeerUntrusted
from emco_common.secrets import SealBroken, Sealer
from emco_rsync.delivery.carrying import carry
from emco_rsync.delivery.session import BATCH, MAX_RELAYED, Call, Session

_log = structlog.get_logger()

CHALLENGE_BYTES = 32
INTRODUCTION_SECONDS = 5.0
"""How long the other side may take to challenge, or to prove."""
Address = Callable[[str], Awaitable[tuple[str, int] | None]]
"""Where a replica serves the others; ``None`` if it is gone."""


class Relays:
    """The streams to other replicas, made when they are needed."""

    def __init__(self, *, address: Address, channels: Channels, sealer: Sealer) -> None:
        self._address = address
        self._channels = channels
        self._sealer = sealer
        self._making: dict[str, asyncio.Task[Session]] = {}
        self._sessions: dict[str, Session] = {}
        self._carriers: set[asyncio.Task[None]] = set()

    async def session(self, replica: str) -> Session:
        """With a replica. ``Unreachable``."""
        session = self._sessions.get(replica)
        if session is not None and not session.why:
            return session
        making = self._making.get(replica)
        if making is None:
            making = self._making[replica] = asyncio.create_task(self._connect(replica), name=f"relay to {replica}")
            making.add_done_callback(
                lambda done: (self._making.pop(replica, None), done.cancelled() or done.exception())
            )
        return await asyncio.shield(making)

    def _made(self, replica: str, done: asyncio.Task[Session]) -> None:
        del self._making[replica]
        _ = done.cancelled() or done.exception()  # perhaps nobody waits for it any more

    async def close(self) -> None:
        for task in (*self._making.values(), *self._carriers):
            task.cancel()
        await asyncio.gather(*self._making.values(), *self._carriers, return_exceptions=True)

    async def _connect(self, replica: str) -> Session:
        try:
            async with asyncio.timeout(INTRODUCTION_SECONDS):
                address = await self._address(replica)
                if address is None:
                    raise Unreachable(f"the replica {replica}, which has the agent, is gone", reason="AgentAway")
                channel = await self._channels.ready(*address)
                stream = agents_pb2_grpc.emcoagentrelayStub(channel).Relay()
                first = await stream.read()
                if not isinstance(first, AgentAnswers) or not first.challenge:
                    raise Unreachable(f"the replica {replica} does not relay", reason="AgentAway")
                proof = self._sealer.seal(first.challenge, record=_record(replica))
                await stream.write(AgentOrders(proof=proof))
        except TimeoutError:
            raise Unreachable(f"the replica {replica} does not answer", reason="AgentAway") from None
        except KubeError:
            raise
        except PeerUntrusted as error:
            raise Unreachable(f"the replica {replica} cannot be reached: {error}", reason="AgentAway") from error
        except (EmcoError, RpcError) as error:
            raise Unreachable(f"the replica {replica} cannot be reached", reason="AgentAway") from error
        session = self._sessions[replica] = Session(f"replica {replica}", calls=MAX_RELAYED)
        carrier = asyncio.create_task(self._carry(replica, session, stream), name=f"relay to {replica}")
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)
        return session

    async def _carry(self, replica: str, session: Session, stream: Any) -> None:
        try:
            await carry(session, stream.read, stream.write, pings=False)
        finally:
            stream.cancel()
            if self._sessions.get(replica) is session:
                del self._sessions[replica]


class Relay(agents_pb2_grpc.emcoagentrelayServicer):
    """Serves other replicas. ``begin`` begins a call at an agent whose stream is here: ``KubeError``."""

    def __init__(self, *, replica: str, begin: Callable[[AgentRequest], Call], sealer: Sealer) -> None:
        self._replica = replica
        self._begin = begin
        self._sealer = sealer

    async def Relay(self, requests: Any, context: Any) -> None:
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        await context.write(AgentAnswers(challenge=challenge))
        try:
            async with asyncio.timeout(INTRODUCTION_SECONDS):
                first = await context.read()
        except TimeoutError:
            first = None
        if not isinstance(first, AgentOrders) or not self._proves(first.proof, challenge):
            _log.warning("relay_denied", peer=context.peer())
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this is for the replicas of rsync")
        await _Holder(self._begin, context).serve()

    def _proves(self, proof: str, challenge: bytes) -> bool:
        try:
            return hmac.compare_digest(self._sealer.open(proof, record=_record(self._replica)), challenge)
        except SealBroken:
            return False


class _Holder:
    """The calls of one other replica. Only what that one has room for is read of an answer."""

    def __init__(self, begin: Callable[[AgentRequest], Call], context: Any) -> None:
        self._begin = begin
        self._context = context
        self._calls: dict[int, Call] = {}
        self._pumps: dict[int, asyncio.Task[None]] = {}
        self._answers: deque[AgentAnswer] = deque()
        self._due = asyncio.Event()

    async def serve(self) -> None:
        sending = asyncio.create_task(self._send(), name="relayed answers")
        try:
            while isinstance(orders := await self._context.read(), AgentOrders):
                for order in orders.orders:
                    self._take(order)
        finally:
            for call in self._calls.values():
                call.close()
            tasks = (sending, *self._pumps.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, order: AgentOrder) -> None:
        number = order.call
        match order.WhichOneof("what"):
            case "request":
                self._begun(number, order.request)
            case "credit" if number in self._calls:
                self._calls[number].grant(order.credit)
            case "cancel" if number in self._calls:
                self._calls.pop(number).close()

    def _begun(self, number: int, request: AgentRequest) -> None:
        try:
            call = self._calls[number] = self._begin(request)
        except KubeError as error:
            self._answer(AgentAnswer(call=number, failure=str(error), last=True))
        else:
            self._pumps[number] = asyncio.create_task(self._pump(number, call), name="relayed call")

    async def _pump(self, number: int, call: Call) -> None:
        try:
            last = False
            while not last:
                piece = await call.piece()
                last = piece.last
                passed = AgentAnswer()
                passed.CopyFrom(piece)
                passed.call = number
                self._answer(passed)
        except KubeError as error:
            if number in self._calls:  # else nobody waits for it any more
                self._answer(AgentAnswer(call=number, failure=str(error), last=True))
        finally:
            call.close()
            self._calls.pop(number, None)
            self._pumps.pop(number, None)

    def _answer(self, piece: AgentAnswer) -> None:
        self._answers.append(piece)
        self._due.set()

    async def _send(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._answers:
                batch, weight = AgentAnswers(), 0
                while self._answers and weight < BATCH:
                    piece = self._answers.popleft()
                    weight += len(piece.body)
                    batch.answers.append(piece)
                await self._context.write(batch)


def _record(replica: str) -> str:
    return f"relay of agents by replica {replica}"
