"""What OpenAPI says of a resource's five operations. Pure: from the declaration alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from fastapi import Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from emco_common.resources import paging
from emco_common.resources.declaration import Query as Declared
from emco_common.resources.declaration import Resource
from emco_common.resources.negotiation import Form
from emco_common.web.description import refusals, tag_header

Json = dict[str, Any]
Responses = dict[int | str, Json]
Parameters = Mapping[str, str | Declared]

_WRITE = {
    400: "The body is empty or breaks its schema",
    404: "Something the path names, or asks to be there, is not",
    409: "Name taken, parent missing, or a referenced object missing",
    412: "If-Match or If-None-Match does not hold",
    413: "The body is too large",
    415: "The body is compressed",
    422: "Not JSON, a wrong type, or an unusable file",
}
IF_MATCH = {"If-Match": "Only if the item still has one of these ETags; `*`: only if it is there"}
IF_NONE_MATCH = {"If-None-Match": "Only if the item has none of these ETags; `*`: only if it is not there"}
NOT_MODIFIED = {"If-None-Match": "Answer 304 if the item still has one of these ETags"}
_TAG = tag_header("Names this state of the item, for `If-Match` and `If-None-Match`")
_BYTES = {"type": "string", "format": "binary"}


def signature(
    names: Iterable[str], *, queries: Parameters | None = None, headers: Mapping[str, str] | None = None
) -> inspect.Signature:
    """Of an endpoint with these path parameters, query parameters and request headers."""
    kind = inspect.Parameter.KEYWORD_ONLY
    annotations: dict[str, Any] = {"request": Request}
    annotations |= {name: Annotated[str, Path()] for name in names}
    annotations |= {
        f"query_{number}": Annotated[str | None, Query(alias=alias, description=_text(query))]
        for number, (alias, query) in enumerate((queries or {}).items())
    }
    annotations |= {
        f"header_{number}": Annotated[str | None, Header(alias=alias, description=text)]
        for number, (alias, text) in enumerate((headers or {}).items())
    }
    optional = ("query_", "header_")
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, annotation=annotation, default=None if name.startswith(optional) else empty)
            for name, annotation in annotations.items()
        ],
        return_annotation=Response,
    )


def listing_parameters(resource: Resource) -> dict[str, str | Declared]:
    return {**resource.queries, **paging.MEANINGS}


def list_answer(resource: Resource) -> Any:
    """The type of the collection's answer, whatever is asked."""
    usual = list[resource.model] if resource.listed is None else resource.listed  # type: ignore[name-defined]
    return _any_of(usual, resource.queries)


def item_answer(resource: Resource) -> Any:
    return _any_of(resource.model, resource.item_queries)


def of_create(resource: Resource) -> Responses:
    return {201: {"headers": _TAG}, **refusals(_WRITE)}


def of_put(resource: Resource) -> Responses:
    answered = {resource.put_created: "It was created", resource.put_replaced: "It was replaced"}
    if resource.put == "replace":
        del answered[resource.put_created]
        answered[resource.put_replaced] = "It was replaced"
    made: Responses = {
        status: {"description": text, "model": resource.model, "headers": _TAG} for status, text in answered.items()
    }
    if resource.upload is not None and resource.upload.put_form_only:
        made[405] = {"description": "The body is no form"}
    return made | refusals(_WRITE)


def of_list(resource: Resource) -> Responses:
    more = {
        paging.HEADER: {"description": "There is more: send it as `continue`", "schema": {"type": "string"}},
        "Link": {"description": 'Where the next piece is, `rel="next"`', "schema": {"type": "string"}},
    }
    missing = {404: "What the list stands below is not there"}
    return {200: {"headers": more}, **refusals({400: "A query parameter is wrong", **missing})}


def of_get(resource: Resource) -> Responses:
    whole: Json = {"headers": _TAG}
    refused = {404: resource.not_found}
    if resource.item_queries:
        refused[400] = "A query parameter is wrong"
    if resource.upload is not None:
        whole["content"] = {Form.FILE: {"schema": _BYTES}, Form.BOTH: {"schema": _form(resource, needed=True)}}
        refused |= {300: "None of the media types is on offer", 406: "Accept is no list of media types"}
    unchanged: Responses = {304: {"description": "The item is as the client knows it", "headers": _TAG}}
    return {200: whole, **unchanged, **refusals(refused)}


def of_delete(resource: Resource) -> Responses:
    return refusals(
        {
            404: resource.texts.delete_not_found,
            409: "Children or references are in the way, or its state",
            412: _WRITE[412],
        }
    )


def request_body(resource: Resource) -> Json:
    content: Json = {}
    if resource.upload is not None:
        content[Form.BOTH] = {"schema": _form(resource, needed=False)}
    if resource.upload is None or resource.upload.json_allowed:
        content[Form.JSON] = {"schema": _reference(resource)}
    return {"required": True, "content": content}


def _form(resource: Resource, *, needed: bool) -> Json:
    return {
        "type": "object",
        "required": ["metadata", "file"] if needed else ["metadata"],
        "properties": {"metadata": _reference(resource), "file": _BYTES},
    }


def _reference(resource: Resource) -> Json:
    return {"$ref": f"#/components/schemas/{resource.model.__name__}"}


def _any_of(usual: Any, queries: Parameters) -> Any:
    others = [query.answer for query in queries.values() if isinstance(query, Declared) and query.answer is not None]
    return reduce(or_, others, usual)


def _text(query: str | Declared) -> str:
    return query if isinstance(query, str) else query.text
