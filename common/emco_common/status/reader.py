"""The status of the objects of one service: how it is read and answered, once for requests and for streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest, EmcoError
from emco_common.lifecycle import NoStateInformation, StateInfo
from emco_common.status.contexts import ContextGone, Contexts, read_contexts
from emco_common.status.manifests import Manifests
from emco_common.status.query import Dialect, StatusQuery, parse_query
from emco_common.status.readiness import Ready
from emco_common.status.render import status_answer
from emco_common.store.api import Key


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store says of an object: the head of its answers, and its history."""

    head: Mapping[str, str]
    info: StateInfo


Look = Callable[[Key], Awaitable[Standing]]
"""Reads one object. Raises ``NotFound``."""
Verdicts = Mapping[tuple[str, str, str], Ready]
"""By (app, cluster, resource)."""
Judge = Callable[[Key, StatusQuery], Awaitable[Verdicts]]
"""What the service knows of the readiness of resources beyond what their clusters report."""


class StatusReader:
    """Answers status queries; ``gone`` is what a context that is not on the bus any more is answered with."""

    def __init__(
        self,
        look: Look,
        contexts: AppContextStore,
        dialect: Dialect,
        *,
        gone: type[EmcoError] = ContextGone,
        judge: Judge | None = None,
    ) -> None:
        self.look = look
        self.dialect = dialect
        self._contexts = contexts
        self._gone = gone
        self._judge = judge
        self._manifests = Manifests()

    def query(self, parameters: Iterable[tuple[str, str]]) -> StatusQuery:
        """Raises ``BadRequest`` with the text that clients know."""
        return parse_query(parameters, self.dialect)

    async def answer(self, key: Key, parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Raises ``NotFound`` for an unknown object, ``BadRequest`` for a query that cannot be answered."""
        query = self.query(parameters)
        standing = await self.look(key)
        try:
            contexts = await self.read(key, standing, query)
        except (NoStateInformation, ContextGone) as error:
            raise self.refusal(error) from error
        # A large answer takes a good part of a second; others are served meanwhile.
        return await asyncio.to_thread(status_answer, standing.head, standing.info, contexts, query)

    def refusal(self, error: NoStateInformation | ContextGone) -> EmcoError:
        """How it is told that what was asked for cannot be read."""
        return BadRequest(str(error)) if isinstance(error, NoStateInformation) else self._gone(str(error))

    async def read(self, key: Key, standing: Standing, query: StatusQuery) -> Contexts | None:
        """What ``query`` looks at. Raises ``NoStateInformation`` and ``ContextGone``."""
        contexts = await read_contexts(self._contexts, standing.info, query, manifests=self._manifests)
        if self._judge is None or contexts is None or contexts.past or not query.form.of_clusters:
            return contexts
        return replace(contexts, verdicts=await self._judge(key, query))
