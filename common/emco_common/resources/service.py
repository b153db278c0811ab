"""What happens to a resource: create, read, list, replace, delete, in the one order that all resources share.

names agree → schema → ancestors exist → admit → prepare → references exist → write → after-hooks. It knows no HTTP
and no particular resource; what is special about one comes in as its ``Hooks``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from emco_common.errors import (
    BadRequest,
    Conflict,
    EmcoError,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unprocessable,
)
from emco_common.resources.declaration import Body, Resource
from emco_common.resources.model import EmptyBody, InvalidInput, Undecodable, decode, names_nothing
from emco_common.resources.paging import WHOLE, Page, Piece, cut
from emco_common.store.api import (
    AlreadyExists,
    BodyText,
    Document,
    DocumentMissing,
    DocumentStore,
    Key,
    ListText,
    ParentMissing,
    StaleRevision,
)
from emco_common.web.conditions import NO_CONDITIONS, Conditions

T = TypeVar("T")
_ATTEMPTS = 5
Write = Literal["create", "replace", "delete"]
_NO_QUERY: Mapping[str, str] = MappingProxyType({})
PARENT_MISSING = "Cannot perform requested operation. Parent resource not found"


@dataclass(frozen=True, slots=True)
class Draft:
    """A document about to be written. ``present`` is what it replaces, if anything; ``file`` the upload, if any."""

    document: Document
    file: bytes | None = None
    present: Document | None = None


class Hooks:
    """What a resource does beyond its declaration. Every method is optional."""

    async def admit(self, key: Key, write: Write, query: Mapping[str, str]) -> None:
        """Refuse a write by raising, before anything is known of the document: where what stands above it forbids it.

        ``replace`` is a PUT, whether or not there is something to replace.
        """

    async def prepare(self, draft: Draft) -> Draft:
        """Refuse the write by raising, or answer the draft to write instead."""
        return draft

    def shown(self, document: Document) -> Document:
        """The document as it is answered, where ``prepare`` sealed a part of it."""
        return document

    async def abandoned(self, draft: Draft) -> None:
        """The store refused a draft that was prepared: take back what that left behind."""

    async def unfinished(self, document: Document) -> bool:
        """Whether ``document`` is left of a creation that was cut off; it then gives way to a new one of its name."""
        return False

    async def written(self, draft: Draft, document: Document) -> None:
        """After a successful write. Raising undoes a creation."""

    async def deleting(self, document: Document) -> None:
        """Refuse a deletion by raising; nothing may be changed here."""

    async def deleted(self, document: Document) -> None:
        """After a successful deletion; must succeed when run again."""

    async def file(self, document: Document) -> bytes | None:
        """The file that was uploaded with the document."""
        return None

    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        """The answer of the collection: the bodies, unless a query asks for something else."""
        return [document.body for document in documents]

    async def single(self, document: Document, query: Mapping[str, str]) -> Any:
        """The answer of one item: its body, unless a query asks for something else."""
        return document.body


class StoredFile(Hooks):
    """Keeps the upload as a blob of the store, named by its digest in the tag ``content``."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def prepare(self, draft: Draft) -> Draft:
        if draft.file is None:
            return draft
        content = {"digest": await self._store.put_blob(draft.file), "size": len(draft.file)}
        document = draft.document
        return replace(draft, document=replace(document, tags={**document.tags, "content": content}))

    async def abandoned(self, draft: Draft) -> None:
        await self._forget(draft.document)

    async def written(self, draft: Draft, document: Document) -> None:
        if draft.present is not None:
            await self._forget(draft.present)

    async def deleted(self, document: Document) -> None:
        await self._forget(document)

    async def file(self, document: Document) -> bytes | None:
        return await self._store.get_blob(document.tags["content"]["digest"])

    async def _forget(self, document: Document) -> None:
        await self._store.delete_blob(document.tags["content"]["digest"])


class ResourceService:
    """The operations of one resource over one store."""

    def __init__(self, resource: Resource, store: DocumentStore, hooks: Hooks) -> None:
        self.resource = resource
        self._store = store
        self._hooks = hooks
        as_stored = not _does(hooks, "shown")
        self.item_is_stored = as_stored and not _does(hooks, "single")
        self.list_is_stored = as_stored and not _does(hooks, "listing")
        self._looks_before_creating = _does(hooks, "prepare", "unfinished")
        self._looks_before_deleting = _does(hooks, "deleting", "deleted")

    async def create(
        self,
        path: Mapping[str, str],
        raw: bytes,
        file: bytes | None = None,
        *,
        query: Mapping[str, str] = _NO_QUERY,
    ) -> Document:
        """Raises ``Conflict`` if the name is taken or the parent missing, and what decoding and hooks raise."""
        body = self._decode(raw)
        await self._check_file(body, file)
        key = self._key_of(body, path)
        await self._ancestors(path, self.resource.requires)
        await self._hooks.admit(key, "create", query)
        return self._hooks.shown(await self._create(Draft(self._document(key, body), file)))

    async def put(
        self,
        path: Mapping[str, str],
        raw: bytes,
        file: bytes | None = None,
        *,
        conditions: Conditions = NO_CONDITIONS,
        query: Mapping[str, str] = _NO_QUERY,
    ) -> tuple[Document, bool]:
        """Replace or create; the flag says whether it was created."""

        async def attempt() -> tuple[Document, bool]:
            return await self._put(path, raw, file, conditions, query)

        return await self._against_others(attempt)

    async def _put(
        self,
        path: Mapping[str, str],
        raw: bytes,
        file: bytes | None,
        conditions: Conditions,
        query: Mapping[str, str],
    ) -> tuple[Document, bool]:
        key = self.resource.key(path)
        present = await self._store.get(key)
        if present is None and self.resource.put == "replace":
            raise NotFound(self.resource.not_found)
        body = self._decode_put(raw)
        if self._key_of(body, path) != key:
            raise self.resource.texts.mismatch_error(self.resource.texts.mismatch)
        await self._check_file(body, file)
        await self._ancestors(path, self.resource.requires)
        await self._hooks.admit(key, "replace", query)
        self._require(conditions, present)
        draft = Draft(self._document(key, body), file, present)
        if present is None:
            return self._hooks.shown(await self._create(draft)), True
        draft = await self._hooks.prepare(replace(draft, document=replace(draft.document, tags=present.tags)))
        document = await self._write(draft, self._store.replace(draft.document, expected=present.revision))
        await self._hooks.written(draft, document)
        return self._hooks.shown(document), False

    async def get(self, path: Mapping[str, str]) -> Document:
        document = await self._store.get(self.resource.key(path))
        return self._hooks.shown(await self._there(document, path))

    async def get_text(self, path: Mapping[str, str]) -> BodyText:
        """The body as it lies; for resources of which ``item_is_stored``."""
        return await self._there(await self._store.get_text(self.resource.key(path)), path)

    async def _there(self, found: T | None, path: Mapping[str, str]) -> T:
        if found is not None:
            return found
        if self.resource.get_requires:
            await self._ancestors(path, self.resource.requires)
        raise NotFound(self.resource.not_found)

    async def answer(self, document: Document, query: Mapping[str, str]) -> Any:
        return await self._hooks.single(document, query)

    async def file(self, document: Document) -> bytes | None:
        return await self._hooks.file(document)

    async def list(self, path: Mapping[str, str], query: Mapping[str, str], page: Page = WHOLE) -> Piece[Any]:
        """The one item of the piece is the answer of the collection: JSON, or a document."""
        within = self.resource.within(path)
        limit = None if page.limit is None else page.limit + 1  # one more shows whether there is more
        found = await self._store.list(self.resource.key_names, within, limit=limit, after=page.after)
        if not found:
            await self._above_nothing(path)
        piece = cut(found, page, lambda document: document.place)
        documents = [self._hooks.shown(document) for document in piece.items]
        return Piece([await self._hooks.listing(documents, within, query)], piece.next)

    async def list_texts(self, path: Mapping[str, str], page: Page = WHOLE) -> ListText:
        """The bodies as they lie; for resources of which ``list_is_stored``."""
        names, within = self.resource.key_names, self.resource.within(path)
        found = await self._store.list_texts(names, within, limit=page.limit, after=page.after)
        if not found.count:
            await self._above_nothing(path)
        return found

    async def _above_nothing(self, path: Mapping[str, str]) -> None:
        """What stands below a document shows that it is there, so ancestors are looked for only above nothing."""
        await self._ancestors(path, (*self.resource.requires, *self.resource.list_requires))

    async def delete(
        self,
        path: Mapping[str, str],
        *,
        conditions: Conditions = NO_CONDITIONS,
        query: Mapping[str, str] = _NO_QUERY,
    ) -> None:
        """Raises ``NotFound``, ``HasChildren`` or ``IsReferenced``, and what hooks raise."""

        async def attempt() -> None:
            await self._delete(path, conditions, query)

        await self._against_others(attempt)

    async def _against_others(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What was read is what is written over: repeated while others write in between, conditions included."""
        for _ in range(_ATTEMPTS):
            with suppress(StaleRevision):
                return await attempt()
        raise Conflict(f"{self.resource.title} is being changed by others; try again")

    async def _delete(self, path: Mapping[str, str], conditions: Conditions, query: Mapping[str, str]) -> None:
        key = self.resource.key(path)
        await self._ancestors(path, tuple(r for r in self.resource.requires if r is not self.resource))
        await self._hooks.admit(key, "delete", query)
        try:
            if conditions or self._looks_before_deleting:
                await self._look_and_delete(key, conditions)
            else:
                await self._store.delete(key)
        except DocumentMissing as error:
            raise NotFound(self.resource.texts.delete_not_found) from error

    async def _look_and_delete(self, key: Key, conditions: Conditions) -> None:
        document = await self._store.get(key)
        if document is None:
            raise NotFound(self.resource.texts.delete_not_found)
        self._require(conditions, document)
        await self._hooks.deleting(document)
        await self._store.delete(key, expected=document.revision)
        await self._hooks.deleted(document)

    async def _create(self, draft: Draft) -> Document:
        """Whose hooks may refuse is looked for first, so that a name that is taken is what a user hears of."""
        if self._looks_before_creating:
            await self._make_room(draft.document.key)
        prepared = await self._hooks.prepare(draft)
        parent = self.resource.ancestor(prepared.document.key)
        try:
            document = await self._write(prepared, self._store.create(prepared.document, parent=parent))
        except AlreadyExists as error:
            raise Conflict(self.resource.exists) from error
        except ParentMissing as error:
            raise Conflict(PARENT_MISSING) from error
        try:
            await self._hooks.written(prepared, document)
        except BaseException:
            await self._store.delete(document.key)
            await self._hooks.deleted(document)
            raise
        return document

    async def _write(self, draft: Draft, write: Awaitable[Document]) -> Document:
        try:
            return await write
        except EmcoError:
            with suppress(Unavailable):
                await self._hooks.abandoned(draft)
            raise

    async def _make_room(self, key: Key) -> None:
        """Raises ``Conflict`` if the name is taken; what is left of a creation that was cut off goes."""
        present = await self._store.get(key)
        if present is None:
            return
        if not await self._hooks.unfinished(present):
            raise Conflict(self.resource.exists)
        await self._store.delete(present.key, expected=present.revision)
        await self._hooks.deleted(present)

    def _require(self, conditions: Conditions, present: Document | None) -> None:
        tag = None if present is None else tag_of(present)
        if conditions.match is not None and not conditions.match.hold(tag):
            if present is None:
                raise PreconditionFailed(f"{self.resource.not_found}, so If-Match cannot hold")
            raise PreconditionFailed(f"{self.resource.title} was changed: its ETag is {tag}, not that of If-Match")
        if conditions.none_match is not None and conditions.none_match.hold(tag):
            raise PreconditionFailed(f"{self.resource.title} is there with ETag {tag}, which If-None-Match rules out")

    def _decode(self, raw: bytes) -> Body:
        texts = self.resource.texts
        try:
            return decode(self.resource.model, raw).as_body()
        except EmptyBody as error:
            raise EmptyBody(texts.empty) from error
        except Undecodable as error:
            raise Undecodable(texts.undecodable or str(error)) from error

    def _decode_put(self, raw: bytes) -> Body:
        try:
            return self._decode(raw)
        except InvalidInput as error:
            if self.resource.texts.unnamed and names_nothing(raw):
                raise BadRequest(self.resource.texts.unnamed, detail=error.detail) from error
            raise

    async def _check_file(self, body: Body, file: bytes | None) -> None:
        upload = self.resource.upload
        if upload is None or not upload.needed(body):
            return
        if file is None:
            raise Unprocessable("Unable to process file")
        await asyncio.to_thread(upload.check, file)

    def _key_of(self, body: Body, path: Mapping[str, str]) -> Key:
        own = dict(zip(self.resource.elements, self.resource.names(body), strict=True))
        return {
            **{k: v for k, v in self.resource.within(path).items() if k not in self.resource.fixed},
            **own,
            **self.resource.fixed,
        }

    def _document(self, key: Key, body: Body) -> Document:
        references = tuple(target for reference in self.resource.references for target in reference.pick(body, key))
        return Document(key=key, body=dict(body), references=references, alias=self.resource.alias(body))

    async def _ancestors(self, path: Mapping[str, str], required: Sequence[Resource]) -> None:
        for ancestor in required:
            if await self._store.get_text(ancestor.key(path)) is None:
                raise NotFound(ancestor.not_found)


def tag_of(document: Document | BodyText) -> str:
    """The entity tag of a state of a document: of this one, not of a later one of its name."""
    return f"{document.place}.{document.revision}"


def _does(hooks: Hooks, *names: str) -> bool:
    """Whether ``hooks`` do anything of their own there."""
    return any(getattr(type(hooks), name) is not getattr(Hooks, name) for name in names)
