"""The status of a logical cloud (spec dcm 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest
from emco_common.lifecycle import NoStateInformation
from emco_common.status import LOGICAL_CLOUD, head_of, parse_query, read_contexts, status_answer
from emco_common.store.api import Key
from emco_dcm.clouds import Clouds


class CloudStatus:
    """Answers status queries."""

    def __init__(self, clouds: Clouds, contexts: AppContextStore) -> None:
        self._clouds = clouds
        self._contexts = contexts

    async def answer(self, key: Key, parameters: Iterable[tuple[str, str]]) -> Any:
        """Raises ``NotFound`` for an unknown cloud or a context that is gone, ``BadRequest`` for a bad query."""
        query = parse_query(parameters, LOGICAL_CLOUD)
        cloud = await self._clouds.read(key)
        try:
            contexts = await read_contexts(self._contexts, cloud.info, query)
        except NoStateInformation as error:
            raise BadRequest(str(error)) from error
        return status_answer(head_of(project=cloud.key["project"], name=cloud.name), cloud.info, contexts, query)
