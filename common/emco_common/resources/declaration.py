"""The declaration of a resource: all that distinguishes one from another, in one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from emco_common.errors import BadRequest, EmcoError
from emco_common.resources.model import Wire
from emco_common.store.api import Key, kind_of

Body = Mapping[str, Any]


def by_metadata_name(body: Body) -> tuple[str, ...]:
    return (body["metadata"]["name"],)


@dataclass(frozen=True, slots=True)
class Reference:
    """``pick`` answers the keys that a body refers to, given the body and the resource's own key."""

    pick: Callable[[Body, Key], Iterable[Key]]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes with the body as ``multipart/form-data`` (spec orchestrator-api 5.3).

    ``check`` refuses a bad file by raising; ``needed`` says whether this body needs one. ``filename`` is the name under
    which the file goes out again, empty for none. With ``json_allowed`` a plain JSON body may come without a file. With
    ``put_form_only`` a PUT that is no form is answered with 405, where clients of the original know of no PUT.
    """

    check: Callable[[bytes], object]
    needed: Callable[[Body], bool] = lambda _body: True
    filename: str = ""
    json_allowed: bool = False
    put_form_only: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter: what it means, and the type of the answer it asks for, where that is another than usual.

    ``answer`` is a model or a plain type such as ``list[str]``; it is described, the hooks make it.
    """

    text: str
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Words clients match on. Empty means: made from the resource's title.

    ``unnamed`` answers a PUT whose body has no name, where that is told apart from a name that cannot be one.
    """

    not_found: str = ""
    exists: str = ""
    mismatch: str = "Mismatched name in PUT request"
    mismatch_error: type[EmcoError] = BadRequest
    unnamed: str = ""
    empty: str = "Empty body"
    undecodable: str = ""
    delete_not_found: str = "The requested resource not found"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind of resource of the REST API.

    ``elements`` are the key elements that its own part of the path adds, ``fixed`` those that no path names.
    ``names`` reads the same elements from a body, in the same order. ``requires`` are ancestors whose absence is a 404
    on create, replace, delete and list, with ``get_requires`` also on reading one; ``list_requires`` on list only.
    ``put`` is what PUT may do. ``queries`` are the query parameters of its list that its hooks understand,
    ``item_queries`` those of one item, each with a description or a ``Query``; ``write_queries`` those of POST, PUT and
    DELETE. ``listed`` is the type of the list's answer, where hooks make another than a list of bodies of it.
    ``slashed`` collections answer with a trailing slash too.
    """

    path: str
    elements: tuple[str, ...]
    model: type[Wire]
    title: str
    parent: Resource | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    names: Callable[[Body], tuple[str, ...]] = by_metadata_name
    references: tuple[Reference, ...] = ()
    alias: Callable[[Body], Mapping[str, str]] = lambda _body: {}
    upload: Upload | None = None
    requires: tuple[Resource, ...] = ()
    get_requires: bool = False
    list_requires: tuple[Resource, ...] = ()
    put: Literal["upsert", "replace", "none"] = "upsert"
    put_created: int = 201
    put_replaced: int = 200
    queries: Mapping[str, str | Query] = field(default_factory=dict)
    item_queries: Mapping[str, str | Query] = field(default_factory=dict)
    listed: Any = None
    write_queries: Mapping[str, str] = field(default_factory=dict)
    slashed: bool = False
    texts: Texts = Texts()

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """All key elements, outermost first."""
        inherited = self.parent.key_names if self.parent else ()
        return (*inherited, *self.elements, *self.fixed)

    @property
    def kind(self) -> str:
        return kind_of(self.key_names)

    @cached_property
    def collection_path(self) -> str:
        return f"{self.parent.item_path if self.parent else '/v2'}/{self.path}"

    @cached_property
    def item_path(self) -> str:
        return self.collection_path + "".join(f"/{{{element}}}" for element in self.elements)

    @property
    def not_found(self) -> str:
        return self.texts.not_found or f"{self.title} not found"

    @property
    def exists(self) -> str:
        return self.texts.exists or f"{self.title} already exists"

    def key(self, path: Mapping[str, str]) -> Key:
        """The key of the item that path parameters name."""
        return {**{name: path[name] for name in self.key_names if name not in self.fixed}, **self.fixed}

    def within(self, path: Mapping[str, str]) -> Key:
        """The part of the key that the collection's path names."""
        inherited = self.parent.key_names if self.parent else ()
        return {**{name: path[name] for name in inherited}, **self.fixed}

    def ancestor(self, key: Key) -> Key | None:
        """The key of the parent of the item ``key``."""
        return {name: key[name] for name in self.parent.key_names} if self.parent else None
