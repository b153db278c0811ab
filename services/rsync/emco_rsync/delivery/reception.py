"""Receives agents: who is it, may it come in, and may it stay. Every answer to that is in the log (robustness 26, 35).

Its port is open to the world, so nothing but this is served on it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc
import structlog

from emco_common.errors import EmcoError
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswers, AgentHello, AgentOrder, AgentOrders, AgentWelcome
from emco_rsync.delivery.admission import MAX_NAME, Admission, Admitted, Denied, SharedToken, TooManyAttempts
from emco_rsync.delivery.agents import REPLACED, Agents
from emco_rsync.delivery.carrying import SILENCE_SECONDS, carry
from emco_rsync.delivery.session import CHARGE, WINDOW, Session
from emco_rsync.reach.links import Sleep

_log = structlog.get_logger()

HELLO_SECONDS = 10.0
"""How long a stranger may take to say who it is."""
MAX_STRANGERS = 256
"""Streams that have not said yet who they are."""
CONFIRM_SECONDS = 3.0
"""Within so long an agent whose token or cluster is gone is shown out,"""
CONFIRMS_PER_SECOND = 200.0
"""unless there are so many agents that looking at all of them would cost more than this."""
REVOKED = "not admitted any more"
_CODES = {REPLACED: grpc.StatusCode.ABORTED, REVOKED: grpc.StatusCode.UNAUTHENTICATED}


class Reception(agents_pb2_grpc.emcoagentServicer):
    """``confirm`` is to be run beside the server. ``denied`` is told the reason whenever somebody is not let in.

    ``behind_proxy``: nobody else can connect than a proxy that says for whom (``x-forwarded-for``).
    """

    def __init__(
        self,
        agents: Agents,
        admission: Admission,
        *,
        denied: Callable[[str], None] = lambda _: None,
        behind_proxy: bool = False,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._agents = agents
        self._admission = admission
        self._denied = denied
        self._behind_proxy = behind_proxy
        self._sleep = sleep
        self._strangers = 0
        self._admitted: dict[Session, Admitted] = {}
        self._by_token: defaultdict[bytes, set[Session]] = defaultdict(set)

    async def Connect(self, requests: Any, context: Any) -> None:
        forwarded = _forwarded(context) if self._behind_proxy else ""
        peer = forwarded or _address(context.peer())
        if self._strangers >= MAX_STRANGERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many agents are connecting; try again")
        self._strangers += 1
        try:
            hello = await _hello(context)
            admitted = await self._admit(hello, context, peer=peer)
        finally:
            self._strangers -= 1
        cluster = admitted.cluster
        session = Session(f"the agent of {cluster}")
        welcome = AgentWelcome(window=WINDOW, charge=CHARGE, silence=int(SILENCE_SECONDS))
        self._keep(session, admitted)
        try:
            await context.write(AgentOrders(orders=[AgentOrder(welcome=welcome)]))
            _log.info("agent_accepted", audit=True, cluster=cluster, peer=peer, version=_word(hello.version))
            self._agents.enter(cluster, session)
            await carry(session, context.read, context.write, pings=True)
        finally:
            session.end("the connection has ended")
            self._agents.leave(cluster, session)
            self._forget(session)
            _log.info("agent_left", audit=True, cluster=cluster, peer=peer, why=session.why)
        await context.abort(_CODES.get(session.why, grpc.StatusCode.UNAVAILABLE), session.why)

    async def confirm(self) -> None:
        """Until cancelled: agents that would not be let in any more go. What cannot be read changes nothing."""
        while True:
            await self._sleep(CONFIRM_SECONDS)
            for session, admitted in list(self._admitted.items()):
                try:
                    await self._admission.confirm(admitted)
                except Denied as error:
                    _log.warning("agent_revoked", audit=True, cluster=admitted.cluster, why=str(error))
                    self._agents.refused(admitted.cluster, str(error))
                    session.end(REVOKED)
                except EmcoError as error:
                    _log.warning("agent_not_confirmed", cluster=admitted.cluster, why=str(error))
                if len(self._admitted) > CONFIRM_SECONDS * CONFIRMS_PER_SECOND:
                    await self._sleep(1.0 / CONFIRMS_PER_SECOND)

    async def _admit(self, hello: AgentHello, context: Any, *, peer: str) -> Admitted:
        try:
            admitted = await self._admission.admit(hello.cluster, hello.token, peer=peer)
            self._refuse_shared(admitted)
            return admitted
        except Denied as error:
            self._denied(error.reason)
            _log.warning("agent_denied", audit=True, cluster=_word(hello.cluster), peer=peer, why=str(error))
            if isinstance(error, TooManyAttempts):
                await _refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
            self._agents.refused(hello.cluster[:MAX_NAME], str(error))
            await _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "no agent of this name and token is expected")
        except EmcoError as error:
            _log.warning("agent_not_admitted", cluster=_word(hello.cluster), peer=peer, why=str(error))
            await _refuse(context, grpc.StatusCode.UNAVAILABLE, "it cannot be looked up now who you are; try again")

    def _refuse_shared(self, admitted: Admitted) -> None:
        """Two sync objects may hold the same token; which are in use here is known."""
        for session in self._by_token.get(admitted.proof, ()):
            other = self._admitted[session].cluster
            if other != admitted.cluster:
                raise SharedToken(f"the agent of {other} has connected with the same token; give each one of its own")

    def _keep(self, session: Session, admitted: Admitted) -> None:
        self._admitted[session] = admitted
        self._by_token[admitted.proof].add(session)

    def _forget(self, session: Session) -> None:
        proof = self._admitted.pop(session).proof
        self._by_token[proof].discard(session)
        if not self._by_token[proof]:
            del self._by_token[proof]


async def _hello(context: Any) -> AgentHello:
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            first = await context.read()
    except TimeoutError:
        first = None
    if not isinstance(first, AgentAnswers) or not first.HasField("hello"):
        await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "say who you are")
    return first.hello


async def _refuse(context: Any, code: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("abort raises")


def _address(peer: str) -> str:
    """``ipv4:10.0.0.7:4711`` without the port, which changes with each connection."""
    return unquote(peer).rpartition(":")[0] or peer


def _forwarded(context: Any) -> str:
    """The address that the proxy has added, the last: those before it are what the client said. ``""`` if none."""
    found = [value for name, value in context.invocation_metadata() or () if name == "x-forwarded-for"]
    last = str(found[-1]).rpartition(",")[2].strip() if found else ""
    try:
        return str(ip_address(last))
    except ValueError:
        return ""


def _word(text: str) -> str:
    """A stranger's word, fit for a log."""
    return "".join(character for character in text[:100] if character.isprintable())
