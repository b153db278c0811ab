"""Which agent may be heard: it names its cluster and proves it with the token of the cluster's sync object.

A cluster says so by being registered with ``gitOpsType`` ``agent``. Whoever guesses is slowed down (robustness 26, 35).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emco_common.appcontext import keys
from emco_common.cloudconfig import ADMIN_LEVEL, AccessMissing, CloudConfigs
from emco_common.errors import EmcoError
from emco_common.syncobjects import SyncObjectMissing, SyncObjects
from emco_rsync.reach.ways import AGENT

TOKEN = "agentToken"
"""The token's key in the sync object."""
MIN_TOKEN = 16
"""Characters of a token at least: one that can be guessed in a lifetime is none."""
FREE_ATTEMPTS = 5
"""Wrong attempts of one peer for one cluster before it has to wait."""
FREE_ATTEMPTS_OF_A_PEER = 50
"""Of one address for any clusters. Many agents may be behind one address."""
MAX_WAIT = 60.0
"""Seconds."""
MAX_NAME = 300
MAX_REMEMBERED = 10_000


class Denied(EmcoError):
    """The agent is not let in. The text is for the audit log; the agent is not told which of its words was wrong.

    ``reason`` in a word, for what counts them.
    """

    reason = "cluster"


class WrongToken(Denied):
    """It does not prove that it is of the cluster."""

    reason = "token"


class SharedToken(Denied):
    """Its token is that of another cluster as well, so it proves nothing."""

    reason = "shared"


class TooManyAttempts(Denied):
    """It has to wait before it may try again."""

    reason = "attempts"


@dataclass(frozen=True, slots=True)
class Admitted:
    """``proof`` tells the token again without keeping it."""

    cluster: str
    proof: bytes = field(repr=False)


class Attempts:
    """Who has failed how often, and until when it has to wait. ``clock`` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def check(self, peer: str, cluster: str) -> None:
        """``TooManyAttempts``."""
        now = self._clock()
        for who in ((peer, cluster), (peer, "")):
            _, until = self._failed.get(who, (0, now))
            if until > now:
                raise TooManyAttempts(f"too many attempts; the next may be made in {until - now:.0f} s")

    def failed(self, peer: str, cluster: str) -> None:
        now = self._clock()
        for who, free in (((peer, cluster), FREE_ATTEMPTS), ((peer, ""), FREE_ATTEMPTS_OF_A_PEER)):
            count = self._failed.pop(who, (0, now))[0] + 1
            wait = min(MAX_WAIT, 2.0 ** min(count - free, 10)) if count > free else 0.0
            self._failed[who] = (count, now + wait)
        while len(self._failed) > MAX_REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, peer: str, cluster: str) -> None:
        self._failed.pop((peer, cluster), None)


class Admission:
    """Reads clusters and tokens anew each time, so that a change counts from then on."""

    def __init__(self, records: CloudConfigs, tokens: SyncObjects, attempts: Attempts) -> None:
        self._records = records
        self._tokens = tokens
        self._attempts = attempts

    async def admit(self, cluster: str, token: str, *, peer: str) -> Admitted:
        """``Denied`` with the reason; ``Unavailable`` if the store cannot say."""
        if len(cluster) > MAX_NAME:
            raise Denied("the name of the cluster is too long")
        self._attempts.check(peer, cluster)
        proof = _proof(token)
        try:
            await self._compare(cluster, proof)
        except Denied:
            self._attempts.failed(peer, cluster)
            raise
        self._attempts.succeeded(peer, cluster)
        return Admitted(cluster, proof)

    async def confirm(self, admitted: Admitted) -> None:
        """``Denied`` if it would not be let in any more."""
        await self._compare(admitted.cluster, admitted.proof)

    async def _compare(self, cluster: str, proof: bytes) -> None:
        if not hmac.compare_digest(_proof(await self._expected(cluster)), proof):
            raise WrongToken("the token is not that of the cluster")

    async def _expected(self, cluster: str) -> str:
        try:
            provider, name = keys.split_cluster_name(cluster)
        except ValueError:
            raise Denied("the cluster is not named provider+cluster") from None
        try:
            gitops = (await self._records.get(provider, name, level=ADMIN_LEVEL)).gitops
            opened = await self._tokens.opened(provider, reference_of(gitops))
        except (AccessMissing, SyncObjectMissing) as error:
            raise Denied(str(error)) from None
        if opened.agent_of != name:
            raise SharedToken(_not_its_own(reference_of(gitops), name, holder=opened.agent_of))
        expected = opened.values.get(TOKEN, "")
        if len(expected) < MIN_TOKEN:
            raise Denied(f"the sync object {reference_of(gitops)} has no {TOKEN} of {MIN_TOKEN} characters or more")
        return expected


def reference_of(gitops: Mapping[str, str]) -> str:
    """The sync object with the token. ``Denied`` if the cluster is reached another way."""
    if gitops.get("gitOpsType") != AGENT:
        raise Denied(f"the cluster is not registered with gitOpsType {AGENT}")
    return gitops.get("gitOpsReferenceObject", "")


def _not_its_own(reference: str, cluster: str, *, holder: str) -> str:
    if not holder:
        return f"the sync object {reference} is no cluster's yet; write the cluster {cluster} once more (PUT)"
    return f"the sync object {reference} holds the token of cluster {holder}; give {cluster} one of its own"


def _proof(token: str) -> bytes:
    return hashlib.sha256(b"emco agent token\0" + token.encode()).digest()
