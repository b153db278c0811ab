"""The revisions of a group, as users see them: what each was made from and what has become of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.operations import Subjects
from emco_common.store.api import Key
from emco_orchestrator.origins import Entry, revisions_of
from emco_orchestrator.schemas import Revision


class Revisions:
    """Raises ``NotFound`` for an unknown group."""

    def __init__(self, groups: Subjects, contexts: AppContextStore) -> None:
        self._groups = groups
        self._contexts = contexts

    async def of(self, key: Key) -> Sequence[Mapping[str, Any]]:
        """Oldest first."""
        entries = revisions_of((await self._groups.read(key)).state)
        return [found.as_body() for found in await asyncio.gather(*(self._shown(entry) for entry in entries))]

    async def _shown(self, entry: Entry) -> Revision:
        action = entry.action
        said: dict[str, Any] = {
            "revision": action.revision,
            "time": action.as_json()["time"],
            "verb": entry.verb,
            "instance": action.instance,
            "current": entry.current,
            "reachable": entry.reachable,
            "reason": action.reason,
        }
        try:
            status = await self._contexts.get_status(action.instance)
        except ContextNotFound:
            return Revision(**(said | {"reachable": False}))
        failed, origin = await asyncio.gather(
            self._contexts.get_reason(action.instance), self._contexts.read_origin(action.instance)
        )
        made = {name: value for name, value in origin.items() if name != "verb"}
        if entry.verb != "rollback" and origin.get("verb"):
            made["verb"] = origin["verb"]
        return Revision.model_validate(
            said | made | {"deployedStatus": status or "", "reason": failed or action.reason}
        )
