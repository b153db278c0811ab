"""Routes of a resource, made from its declaration; each is a typed function, so that OpenAPI describes it in full."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from emco_common.errors import BadRequest
from emco_common.resources.declaration import Resource
from emco_common.resources.forms import read_form
from emco_common.resources.negotiation import Form, accepted, choices, multipart
from emco_common.resources.service import Hooks, ResourceService
from emco_common.store.api import Document, DocumentStore
from emco_common.web.answers import empty, encoded

Endpoint = Callable[..., Awaitable[Response]]
_REFUSALS = {
    400: "The body is empty or breaks its schema",
    409: "Name taken, parent missing, or a referenced object missing",
    412: "Stale If-Match",
    413: "The body is too large",
    422: "Not JSON, a wrong type, or an unusable file",
}


def build_router(resource: Resource, store: DocumentStore, hooks: Hooks | None = None) -> APIRouter:
    """POST and GET on the collection; PUT, GET and DELETE on the item."""
    routes = _Routes(resource, ResourceService(resource, store, hooks or Hooks()))
    router = APIRouter(tags=[resource.title])
    answer: dict[str, Any] = {"response_model": resource.model, "responses": _described(_REFUSALS)}
    body = {"requestBody": _request_body(resource)}
    missing = _described({404: resource.not_found})
    collection, item = resource.collection_path, resource.item_path
    router.post(collection, status_code=201, openapi_extra=body, summary=f"Create {resource.title}", **answer)(
        routes.create
    )
    listed = f"List {resource.title}"
    router.get(collection, response_model=list[resource.model], summary=listed)(routes.list)  # type: ignore[name-defined]
    if resource.slashed:
        router.get(f"{collection}/", include_in_schema=False)(routes.list)
        router.post(f"{collection}/", include_in_schema=False)(routes.create)
    if resource.put != "none":
        router.put(item, openapi_extra=body, summary=f"Replace or create {resource.title}", **answer)(routes.put)
    router.get(item, response_model=resource.model, responses=missing, summary=f"Read {resource.title}")(routes.get)
    router.delete(
        item,
        status_code=204,
        responses=_described({404: resource.texts.delete_not_found, 409: "Children or references are in the way"}),
        summary=f"Delete {resource.title}",
    )(routes.delete)
    return router


class _Routes:
    """The five endpoints of one resource; they parse, call one method and serialise."""

    def __init__(self, resource: Resource, service: ResourceService) -> None:
        own = (
            resource.key_names
            if not resource.fixed
            else tuple(n for n in resource.key_names if n not in resource.fixed)
        )
        above = tuple(name for name in own if name not in resource.elements)
        self._resource = resource
        self._service = service
        self.create = _typed(self._create, above, resource.write_queries)
        self.list = _typed(self._list, above, resource.queries)
        self.put = _typed(self._put, own, resource.write_queries)
        self.get = _typed(self._get, own)
        self.delete = _typed(self._delete, own, resource.write_queries)

    async def _create(self, request: Request, path: Mapping[str, str]) -> Response:
        raw, file = await self._body(request)
        return _shown(await self._service.create(path, raw, file, query=_query(request)), 201)

    async def _list(self, request: Request, path: Mapping[str, str]) -> Response:
        query = _query(request)
        if self._resource.upload is not None and query:
            accepted(request.headers.get("accept", ""))
        answer = await self._service.list(path, query)
        return await self._item(request, answer, {}) if isinstance(answer, Document) else encoded(answer)

    async def _put(self, request: Request, path: Mapping[str, str]) -> Response:
        expected = _if_match(request)
        raw, file = await self._body(request)
        document, created = await self._service.put(path, raw, file, expected=expected, query=_query(request))
        return _shown(document, self._resource.put_created if created else self._resource.put_replaced)

    async def _get(self, request: Request, path: Mapping[str, str]) -> Response:
        if self._resource.upload is not None:
            accepted(request.headers.get("accept", ""))
        return await self._item(request, await self._service.get(path), _query(request))

    async def _delete(self, request: Request, path: Mapping[str, str]) -> Response:
        await self._service.delete(path, expected=_if_match(request), query=_query(request))
        return empty(204)

    async def _body(self, request: Request) -> tuple[bytes, bytes | None]:
        if self._resource.upload is None:
            return await request.body(), None
        form = await read_form(request, json_allowed=self._resource.upload.json_allowed)
        return form.metadata, form.file

    async def _item(self, request: Request, document: Document, query: Mapping[str, str]) -> Response:
        if self._resource.upload is None:
            return encoded(await self._service.answer(document, query), headers=_etag(document))
        wanted = accepted(request.headers.get("accept", ""))
        file = None if wanted is Form.JSON else await self._service.file(document)
        if wanted is Form.JSON or file is None:
            return encoded(await self._service.answer(document, query), headers=_etag(document))
        if wanted is None:
            raise choices()
        if wanted is Form.FILE:
            return Response(file, media_type=Form.FILE, headers=_etag(document))
        return multipart(document.body, file, self._resource.upload.filename)


def _query(request: Request) -> Mapping[str, str]:
    """The query parameters; of one given several times the first counts, as in the original."""
    return dict(reversed(request.query_params.multi_items()))


def _typed(
    handle: Callable[[Request, Mapping[str, str]], Awaitable[Response]],
    names: tuple[str, ...],
    queries: Mapping[str, str] | None = None,
) -> Endpoint:
    """``handle`` as a function whose signature names every path and query parameter."""

    async def endpoint(request: Request, **given: str) -> Response:
        return await handle(request, {name: given[name] for name in names})

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("request", kind, annotation=Request)]
    parameters += [inspect.Parameter(name, kind, annotation=Annotated[str, Path()]) for name in names]
    parameters += [
        inspect.Parameter(
            f"query_{index}", kind, default=None, annotation=Annotated[str | None, Query(alias=alias, description=text)]
        )
        for index, (alias, text) in enumerate((queries or {}).items())
    ]
    endpoint.__signature__ = inspect.Signature(parameters, return_annotation=Response)  # type: ignore[attr-defined]
    return endpoint


def _shown(document: Document, status: int) -> Response:
    return encoded(document.body, status, headers=_etag(document))


def _etag(document: Document) -> Mapping[str, str]:
    return {"ETag": f'"{document.revision}"'}


def _if_match(request: Request) -> int | None:
    header = request.headers.get("if-match", "").strip()
    if header in ("", "*"):
        return None
    text = header.removeprefix("W/").strip('"')
    if not text.isdigit():
        raise BadRequest(f"If-Match {header[:64]} is no ETag of this service; send the ETag of your last GET")
    return int(text)


def _described(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": text, "content": {"text/plain": {}}} for status, text in texts.items()}


def _request_body(resource: Resource) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{resource.model.__name__}"}
    if resource.upload is None:
        return {"required": True, "content": {"application/json": {"schema": schema}}}
    form = {
        "type": "object",
        "required": ["metadata"],
        "properties": {"metadata": schema, "file": {"type": "string", "format": "binary"}},
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
