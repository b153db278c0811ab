"""The door to the document store: what a service may ask of it. Adapters: ``sqlite`` (embedded) and ``mongo``.

A document is one resource. Its key is the set of path names that lead to it (spec orchestrator-api 7.1), e.g.
``{"project": "p", "compositeApp": "a", "compositeAppVersion": "v1"}``; its kind is the sorted names of that set,
written ``{compositeApp,compositeAppVersion,project}``. Two documents of different kind never match each other, even
where the names of one contain those of the other. Bodies are kept in their API form.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emco_common.errors import BadRequest, Conflict, LoginRefused, NotFound, PreconditionFailed, Unavailable

Json = dict[str, Any]
Key = Mapping[str, str]


def kind_of(names: Iterable[str]) -> str:
    """The kind (``keyId``) of a key: its element names in byte order, ``{a,b,c}``."""
    return "{" + ",".join(sorted(names)) + "}"


@dataclass(frozen=True, slots=True)
class Document:
    """One stored resource as it was read.

    ``body`` is the API form; ``tags`` are parts that are not shown with it (``stateInfo``, ``content``, …).
    ``alias`` are top-level names outside the key by which the document also counts as a child (``app`` of a profile).
    ``revision`` grows with every write of the document, starting at 1. ``place`` is where it stands among all documents
    in order of creation: opaque, never given twice, known only of what came from a store.
    """

    key: Key
    body: Json
    tags: Json = field(default_factory=dict)
    references: tuple[Key, ...] = ()
    alias: Key = field(default_factory=dict)
    revision: int = 0
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class BodyText:
    """A stored body as it lies, in JSON, for answers that show it unchanged; the rest is as in ``Document``."""

    text: bytes
    revision: int
    place: str


@dataclass(frozen=True, slots=True)
class ListText:
    """The bodies of a list as they lie, as one JSON array. ``next`` is the place behind which there is more, if any."""

    text: bytes
    count: int
    next: str | None = None


class AlreadyExists(Conflict):
    """A document of this key is already there."""


class ParentMissing(Conflict):
    """The parent named at creation does not exist (W1)."""


def described(key: Key) -> str:
    """A key in words."""
    return ", ".join(f"{name} {value}" for name, value in key.items())


class ReferenceMissing(Conflict):
    """A document named by a reference does not exist. ``reference`` is its key."""

    def __init__(self, reference: Key) -> None:
        super().__init__(f"Referenced resource not found: {described(reference)}")
        self.reference = reference


class DocumentMissing(NotFound):
    """No document of this key (D1)."""


class HasChildren(Conflict):
    """Other documents stand below this one (D2). ``child`` is the key of one such document."""

    def __init__(self, *, child: Key) -> None:
        super().__init__(
            "Cannot delete parent without deleting child references first", detail=f"Below it is {described(child)}"
        )
        self.child = child


class IsReferenced(Conflict):
    """Another document refers to this one (D3). ``by`` is the key of one such document."""

    def __init__(self, *, by: Key) -> None:
        super().__init__(
            "Cannot delete without deleting or updating referencing resources first",
            detail=f"It is referred to by {described(by)}",
        )
        self.by = by


class StaleRevision(PreconditionFailed):
    """The document was written since the caller read it."""


class BadPlace(BadRequest):
    """``after`` is no place of this store."""

    def __init__(self) -> None:
        super().__init__("This is no place in a list of this store")


class StoreUnavailable(Unavailable):
    """The store cannot be reached or cannot write."""


class StoreLoginRefused(StoreUnavailable, LoginRefused):
    """The store does not take our credentials, or they give no right to what is needed."""


class BlobMissing(Unavailable):
    """The bytes a document names in ``tags["content"]["digest"]`` are not there.

    They were forgotten between ``put_blob`` and the write, by the deletion of another document that named them: putting
    both again heals it.
    """

    def __init__(self, digest: str) -> None:
        super().__init__(f"The content {digest[:12]}… was removed meanwhile; send it again")
        self.digest = digest


class DocumentStore(Protocol):
    """All methods are safe under any number of concurrent callers and processes; each write is atomic and durable.

    Raises ``StoreUnavailable`` from any method when the store is away.
    """

    async def create(self, document: Document, *, parent: Key | None = None) -> Document:
        """Store a new document; its ``revision`` is ignored and the stored one (1) comes back.

        ``AlreadyExists``; ``ParentMissing`` if ``parent`` is given and absent; ``ReferenceMissing``; ``BlobMissing``.
        Concurrent with the deletion of its parent or of what it refers to, exactly one of the two succeeds.
        """
        ...

    async def get(self, key: Key) -> Document | None: ...

    async def get_text(self, key: Key) -> BodyText | None:
        """The body alone, where it need not be looked into: the quickest way to an answer."""
        ...

    async def list(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> Sequence[Document]:
        """All documents of the kind ``names`` whose key (or alias) agrees with ``within``, in creation order.

        At most ``limit``, and only those behind the place ``after``, which may be that of a document that is gone. So a
        list read in pieces shows each document once that was there all the time, whatever comes and goes meanwhile.
        ``BadPlace`` if ``after`` is none.
        """
        ...

    async def list_texts(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> ListText:
        """The same, bodies alone: the quickest way to an answer."""
        ...

    async def referrers(self, names: Iterable[str], target: Key) -> Sequence[Document]:
        """All documents of the kind ``names`` that refer to ``target``, in creation order: found by an index, however
        many there are of the kind."""
        ...

    async def replace(self, document: Document, *, expected: int | None = None) -> Document:
        """Write body, tags, references and alias of an existing document in one step.

        ``DocumentMissing``; ``ReferenceMissing``; ``BlobMissing``; ``StaleRevision`` if ``expected`` is given and is
        not the present one.
        """
        ...

    async def delete(self, key: Key, *, expected: int | None = None) -> None:
        """``DocumentMissing``; then ``HasChildren``; then ``IsReferenced``; ``StaleRevision``. Deletes nothing else.

        A child is any other document whose key and alias together contain every name and value of ``key``.
        """
        ...

    async def put_blob(self, content: bytes) -> str:
        """Keep bytes (at most 1 GiB) by content; answers their SHA-256 in hex. The same bytes are kept once."""
        ...

    async def get_blob(self, digest: str) -> bytes:
        """``DocumentMissing`` if there is none."""
        ...

    async def delete_blob(self, digest: str) -> None:
        """Forget a blob unless some document still names it in ``tags["content"]["digest"]``; absent is fine."""
        ...

    def snapshot(self) -> AsyncGenerator[Sequence[Document], None]:
        """Every document as of one moment, in order of creation, in pieces.

        Closed with ``contextlib.aclosing``. ``StoreUnavailable`` where the documents are never at rest for long enough.
        """
        ...

    async def clear(self) -> None:
        """Forget every document and every blob of EMCO's. Nothing else may be at work in the store meanwhile."""
        ...

    async def ping(self) -> None:
        """Raises ``StoreUnavailable`` unless the store answers within two seconds."""
        ...

    async def close(self) -> None: ...
