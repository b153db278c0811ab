"""The status of a deployment intent group (spec orchestrator-lifecycle 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest
from emco_common.lifecycle import NoStateInformation
from emco_common.operations import Subjects
from emco_common.status import (
    DEPLOYMENT_INTENT_GROUP,
    ContextGone,
    Manifests,
    head_of,
    parse_query,
    read_contexts,
    status_answer,
)
from emco_common.store.api import Key


class GroupStatus:
    """Answers status queries."""

    def __init__(self, groups: Subjects, contexts: AppContextStore) -> None:
        self._groups = groups
        self._contexts = contexts
        self._manifests = Manifests()

    async def answer(self, key: Key, parameters: Iterable[tuple[str, str]]) -> Any:
        """Raises ``NotFound`` for an unknown group and ``BadRequest`` for a query that cannot be answered."""
        query = parse_query(parameters, DEPLOYMENT_INTENT_GROUP)
        group = await self._groups.read(key)
        try:
            contexts = await read_contexts(self._contexts, group.state, query, manifests=self._manifests)
        except (NoStateInformation, ContextGone) as error:
            raise BadRequest(str(error)) from error
        head = head_of(
            project=group.key["project"],
            compositeApp=group.key["compositeApp"],
            compositeAppVersion=group.key["compositeAppVersion"],
            compositeProfile=group.spec["compositeProfile"],
            name=group.name,
        )
        return await asyncio.to_thread(status_answer, head, group.state, contexts, query)
