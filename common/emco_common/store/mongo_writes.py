"""Create, replace and delete in MongoDB, under the protocol of ``mongo_marks``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from emco_common.errors import EmcoError
from emco_common.store import api
from emco_common.store import mongo_marks as marks
from emco_common.store.api import Document, Key
from emco_common.store.encoding import path_of, targets_of
from emco_common.store.mongo_documents import OWN, Stored, fields_of, numbered, own_fields_of, place_of, targets_in
from emco_common.store.mongo_looks import Looks
from emco_common.store.mongo_marks import Collection, Mark, Patience

WHO = {"keyId": 1, OWN: 1}  # enough to tell what a document is and which marks are on it


@dataclass(frozen=True, slots=True)
class Writes:
    """The writing half of the store. ``patience`` makes the waiting of one operation; ``order`` numbers creations."""

    resources: Collection
    blobs: Collection
    looks: Looks
    patience: Callable[[], Patience]
    order: Callable[[], int]

    async def create(self, document: Document, *, parent: str | None) -> Document:
        fields, own, targets = fields_of(document), own_fields_of(document), targets_of(document)
        own["revision"] = 1
        unconfirmed = {name: value for name, value in own.items() if name != "kind"}
        patience = self.patience()
        alone = parent is None and not targets
        while True:
            token = numbered(self.order())
            new = {"_id": token, **fields, OWN: own if alone else {**unconfirmed, "pending": token}}
            try:
                await self.resources.insert_one(new)
            except DuplicateKeyError:
                await self._wait_for_namesake(own["path"], patience)
                continue
            if alone or await self._confirmed(token, own["kind"], parent, targets, patience):
                return changed(document, revision=1, place=place_of(new))
            patience.check()

    async def _wait_for_namesake(self, path: str, patience: Patience) -> None:
        found = await self.resources.find_one({"emco.path": path}, WHO)
        if found is None:
            return
        mark = marks.pending(self.resources, found)
        if mark is None:
            raise api.AlreadyExists("The resource already exists")
        await patience.wait([mark])

    async def _confirmed(
        self, token: ObjectId, kind: str, parent: str | None, targets: dict[str, Key | None], patience: Patience
    ) -> bool:
        own = {"_id": token, "emco.pending": token}
        try:
            await self._require(parent, targets, patience)
        except EmcoError:
            await self.resources.delete_one(own)
            raise
        confirmed = await self.resources.update_one(own, {"$set": {"emco.kind": kind}, "$unset": {"emco.pending": ""}})
        return confirmed.matched_count == 1

    async def _require(self, parent: str | None, targets: dict[str, Key | None], patience: Patience) -> None:
        """Return once parent and targets are there and nobody deletes them; raise for the first that is missing."""
        while True:
            present, busy = await self._present([*([parent] if parent is not None else []), *targets])
            if not busy:
                break
            await patience.wait(busy)
        if parent is not None and parent not in present:
            raise api.ParentMissing("Cannot perform requested operation. Parent resource not found")
        for target, reference in targets.items():
            if target not in present:
                raise (
                    api.BlobMissing(target.removeprefix("blob:"))
                    if reference is None
                    else api.ReferenceMissing(reference)
                )

    async def _present(self, paths: Sequence[str]) -> tuple[set[str], list[Mark]]:
        """Which of ``paths`` exist, and the deletions under way among them."""
        blobs = [path for path in paths if path.startswith("blob:")]
        present: set[str] = set()
        busy: list[Mark] = []
        for collection, wanted in ((self.resources, [p for p in paths if p not in blobs]), (self.blobs, blobs)):
            if not wanted:
                continue
            async for found in collection.find({"emco.path": {"$in": wanted}}, WHO):
                if marks.pending(collection, found) is None:
                    present.add(found[OWN]["path"])
                mark = marks.deleting(collection, found)
                busy += [mark] if mark is not None else []
        return present, busy

    async def replace(self, document: Document, *, expected: int | None) -> Document:
        fields, own, targets = fields_of(document), own_fields_of(document), targets_of(document)
        patience = self.patience()
        while True:
            patience.check()
            present = await self._existing(own["path"], projection=None)
            added = {target: targets[target] for target in targets.keys() - targets_in(present).keys()}
            token = ObjectId()
            if added:
                await marks.claim(self.resources, present["_id"], token=token, targets=added)
            try:
                if added:
                    await self._require(None, added, patience)
                _require_revision(present, expected)
                written = await self._write_over(present, fields, own, token=token if added else None)
            except EmcoError:
                if added:
                    await marks.unclaim(self.resources, present["_id"], token=token)
                raise
            if written:
                return changed(document, revision=present[OWN]["revision"] + 1, place=place_of(present))
            if added:
                await marks.unclaim(self.resources, present["_id"], token=token)

    async def _existing(self, path: str, *, projection: Any = WHO) -> dict[str, Any]:
        found = await self.resources.find_one({"emco.path": path}, projection)
        if found is None or marks.pending(self.resources, found) is not None:
            raise api.DocumentMissing("The requested resource not found")
        return found

    async def _write_over(self, present: Stored, fields: Stored, own: Stored, *, token: ObjectId | None) -> bool:
        """Write if nobody wrote since ``present`` was read and, with ``token``, the claim is still there."""
        condition = {"_id": present["_id"], "emco.revision": present[OWN]["revision"]}
        update: dict[str, Any] = {
            "$set": {**fields, **{f"emco.{name}": value for name, value in own.items()}},
            "$inc": {"emco.revision": 1},
        }
        gone = present.keys() - fields.keys() - {"_id", OWN}
        if gone:
            update["$unset"] = dict.fromkeys(gone, "")
        if token is not None:
            condition["emco.claims.token"] = token
            update["$pull"] = {"emco.claims": {"token": token}}
        return (await self.resources.update_one(condition, update)).matched_count == 1

    async def delete(self, key: Key, *, expected: int | None) -> None:
        path, patience = path_of(key), self.patience()
        own = {"emco.path": path}
        while True:
            patience.check()
            token = ObjectId()
            free = {**own, "emco.pending": None, "emco.deleting": None}
            if (await self.resources.update_one(free, {"$set": {"emco.deleting": token}})).matched_count == 0:
                other = marks.deleting(self.resources, await self._existing(path))
                await patience.wait([other] if other is not None else [])
                continue
            unchanged = {} if expected is None else {"emco.revision": expected}
            try:
                busy = await self.looks.at_document(key)
                if not busy:
                    marked = {**own, "emco.deleting": token, **unchanged}
                    if (await self.resources.delete_one(marked)).deleted_count == 1:
                        return
                    _require_revision(await self._existing(path), expected)
            except EmcoError:
                await marks.unmark(self.resources, own, token=token)
                raise
            await marks.unmark(self.resources, own, token=token)
            while busy:  # looking without a mark lets the others finish
                await patience.wait(busy)
                busy = await self.looks.at_document(key)

    async def delete_blob(self, digest: str, *, before: Callable[[Stored], Any]) -> Stored | None:
        """Remove the blob's header unless a document names it; answers the header, after ``before`` was awaited."""
        target, patience = f"blob:{digest}", self.patience()
        while True:
            patience.check()
            present = await self.blobs.find_one({"_id": digest})
            if present is None:
                return None
            token = await self._marked(self.blobs, present, patience)
            if token is None:
                continue
            found = await self.looks.at_blob(target)
            if found.referrer is None and not found.busy:
                await before(present)
                if (await self.blobs.delete_one({"_id": digest, "emco.deleting": token})).deleted_count == 1:
                    return present
            await marks.unmark(self.blobs, {"_id": digest}, token=token)
            if found.referrer is not None:
                return None
            while found.busy:
                await patience.wait(found.busy)
                found = await self.looks.at_blob(target)

    async def _marked(self, collection: Collection, present: Stored, patience: Patience) -> ObjectId | None:
        """Mark as being deleted; None, after a pause, if another deletes it."""
        other = marks.deleting(collection, present)
        if other is not None:
            await patience.wait([other])
            return None
        token = ObjectId()
        condition = {"_id": present["_id"], "emco.deleting": None}
        marked = await collection.update_one(condition, {"$set": {"emco.deleting": token}})
        return token if marked.matched_count == 1 else None


def _require_revision(present: Stored, expected: int | None) -> None:
    revision = present[OWN]["revision"]
    if expected is not None and expected != revision:
        raise api.StaleRevision(f"The resource was changed: revision is {revision}, expected {expected}")
