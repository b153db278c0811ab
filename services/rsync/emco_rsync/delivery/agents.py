"""The agents that can be spoken to: those whose streams end here, and those of other replicas.

A cluster whose agent is not connected is away, like one whose API server does not answer; everything waits for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import structlog

from emco_common.kube.errors import Unreachable
from emco_common.rpc.agents_pb2 import AgentRequest
from emco_common.runtime import Clock
from emco_rsync.delivery.session import Call, Pieces, Session

_log = structlog.get_logger()

REPLACED = "another agent of the cluster has connected"
MAX_REFUSED = 10_000
"""Clusters of which it is known why their agents were refused. Anybody can name one."""
Arrived = Callable[[str], None]
"""Told of a cluster whose agent has connected, here or elsewhere."""
Elsewhere = Callable[[str], Awaitable[Session]]
"""A session with a replica. ``Unreachable``."""


class Claims(Protocol):
    """How the other replicas hear of it, and this one of them; see ``directory``."""

    @property
    def replica(self) -> str: ...

    def holder(self, cluster: str) -> str: ...

    def claim(self, cluster: str) -> None: ...

    def release(self, cluster: str) -> None: ...


class Agents:
    """One per process. ``arrived`` need not wait for the next attempt to reach a cluster."""

    def __init__(self, *, claims: Claims, elsewhere: Elsewhere, arrived: Arrived, clock: Clock) -> None:
        self._claims = claims
        self._elsewhere = elsewhere
        self._arrived = arrived
        self._clock = clock
        self._here: dict[str, Session] = {}
        self._begun = clock()
        self._left: dict[str, datetime] = {}
        self._refused: OrderedDict[str, str] = OrderedDict()

    def enter(self, cluster: str, session: Session) -> None:
        """The agent of a cluster has connected here. The newer one counts: what is left of a stream that broke is
        noticed later than the agent is back."""
        self._refused.pop(cluster, None)
        former = self._here.get(cluster)
        self._here[cluster] = session
        if former is not None:
            former.end(REPLACED)
        self._claims.claim(cluster)
        self._arrived(cluster)

    def leave(self, cluster: str, session: Session) -> None:
        if self._here.get(cluster) is session:
            del self._here[cluster]
            self._left[cluster] = self._clock()
            self._claims.release(cluster)

    def refused(self, cluster: str, why: str) -> None:
        """Somebody came as the agent of a cluster and was not let in: said where it is said that there is none."""
        self._refused.pop(cluster, None)
        self._refused[cluster] = why
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def moved(self, cluster: str, replica: str) -> None:
        """A replica other than this has the agent's stream now; ``""``: none has."""
        if not replica:
            self._left[cluster] = self._clock()
            return
        self._refused.pop(cluster, None)
        former = self._here.pop(cluster, None)
        if former is not None:
            self._claims.release(cluster)
            former.end(REPLACED)
        self._arrived(cluster)

    def here(self) -> dict[str, Session]:
        return dict(self._here)

    async def begin(self, cluster: str, request: AgentRequest) -> Pieces:
        """A call at the agent of a cluster. ``Unreachable`` if there is none, with since when."""
        session = self._here.get(cluster)
        if session is not None and session.why:
            self.leave(cluster, session)
        elif session is not None:
            return session.begin(request)
        replica = self._claims.holder(cluster)
        if replica in ("", self._claims.replica):
            raise Unreachable(self._absence(cluster), reason="AgentAway")
        request.cluster = cluster
        return (await self._elsewhere(replica)).begin(request)

    def begin_here(self, request: AgentRequest) -> Call:
        """For another replica, which thinks that the agent's stream is here. ``Unreachable``."""
        session = self._here.get(request.cluster)
        if session is None:
            raise Unreachable(f"the agent of {request.cluster} has left", reason="AgentAway")
        request.cluster = ""
        return session.begin(request)

    def close(self, why: str) -> None:
        """End every stream; agents connect elsewhere, or here when it is back."""
        for session in self.here().values():
            session.end(why)

    def _absence(self, cluster: str) -> str:
        refused = self._refused.get(cluster)
        tried = f"; the last that tried was refused: {refused}" if refused else ""
        left = self._left.get(cluster)
        if left is None:
            return f"no agent of {cluster} has connected since rsync started at {_told(self._begun)}{tried}"
        return f"no agent of {cluster} is connected since {_told(left)}{tried}"


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
