"""What stands in the way of a deletion in MongoDB: children, referrers, and unfinished writes that may become one.

One look finds them all, by what documents hold (``mongo_documents``); why one is enough is told in ``mongo_marks``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emco_common.store import api
from emco_common.store import mongo_marks as marks
from emco_common.store.api import Key
from emco_common.store.encoding import path_of, tokens_of
from emco_common.store.mongo_documents import OWN, Stored, all_of, key_of, targets_in
from emco_common.store.mongo_foreign import Foreign
from emco_common.store.mongo_marks import Collection, Mark


@dataclass(slots=True)
class Found:
    """What a look found: it ends with the first child or referrer that is certain."""

    child: Stored | None = None
    referrer: Stored | None = None
    busy: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Looks:
    resources: Collection
    foreign: Foreign

    async def at_document(self, key: Key) -> list[Mark]:
        """Raises for a child or a referrer; answers the unfinished writes that might become one."""
        path = path_of(key)
        others = {"emco.path": {"$ne": path}}
        holding = {"emco.holds": all_of(key), **others}
        found = await self._look(holding, key, target=path)
        foreign_child, foreign_referrer = await self.foreign.hindering(key)
        child, referrer = found.child or foreign_child, found.referrer or foreign_referrer
        if child is None and found.referrer is not None:  # the look ended there, but a child is told first
            child = (await self._look({"emco.tokens": all_of(key), **others}, key, target=None)).child
        if child is not None:
            raise api.HasChildren(child=key_of(child))
        if referrer is not None:
            raise api.IsReferenced(by=key_of(referrer))
        return found.busy

    async def at_blob(self, target: str) -> Found:
        """Who names a blob; other makers' programs do not."""
        return await self._look({"emco.holds": target}, None, target=target)

    async def _look(self, condition: Stored, above: Key | None, *, target: str | None) -> Found:
        found = Found()
        async with self.resources.find(condition, {"data": 0}) as documents:
            async for document in documents:
                self._sort(document, above, target, found)
                if found.child is not None or found.referrer is not None:
                    break
        return found

    def _sort(self, document: Stored, above: Key | None, target: str | None, found: Found) -> None:
        """Put ``document`` where it belongs; nowhere, if it holds a descendant or what its claim was taken back for."""
        child = above is not None and set(tokens_of(above)).issubset(document[OWN]["tokens"])
        pending = marks.pending(self.resources, document)
        if not child and target not in targets_in(document):
            found.busy += [] if target is None else marks.claims(self.resources, document, target=target)
        elif pending is not None:
            found.busy.append(pending)
        elif child:
            found.child = document
        else:
            found.referrer = document
