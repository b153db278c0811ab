"""Routes of a resource, made from its declaration; what each takes and answers is in OpenAPI in full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import Signature
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from emco_common import jsontext
from emco_common.errors import BadRequest
from emco_common.resources import described, paging
from emco_common.resources.declaration import Resource
from emco_common.resources.forms import is_form, read_form
from emco_common.resources.negotiation import Form, accepted, choices, multipart
from emco_common.resources.paging import Page
from emco_common.resources.service import Hooks, ResourceService, tag_of
from emco_common.store.api import BadPlace, BodyText, Document, DocumentStore
from emco_common.web.answers import as_it_lies, empty, encoded
from emco_common.web.conditions import NO_CONDITIONS, Conditions, Tags, parse_tags
from emco_common.web.limits import raw_path

Endpoint = Callable[..., Awaitable[Response]]


def build_router(resource: Resource, store: DocumentStore, hooks: Hooks | None = None) -> APIRouter:
    """POST and GET on the collection; PUT, GET and DELETE on the item."""
    routes = _Routes(resource, ResourceService(resource, store, hooks or Hooks()))
    router = APIRouter(tags=[resource.title])
    collection, item = resource.collection_path, resource.item_path
    body = {"requestBody": described.request_body(resource)}
    router.post(
        collection,
        status_code=201,
        response_model=resource.model,
        responses=described.of_create(resource),
        openapi_extra=body,
        summary=f"Create {resource.title}",
    )(routes.create)
    router.get(
        collection,
        response_model=described.list_answer(resource),
        responses=described.of_list(resource),
        summary=f"List {resource.title}",
    )(routes.list)
    if resource.slashed:
        router.get(f"{collection}/", include_in_schema=False)(routes.list)
        router.post(f"{collection}/", include_in_schema=False)(routes.create)
    if resource.put != "none":
        router.put(
            item,
            status_code=resource.put_replaced,
            response_model=resource.model,
            responses=described.of_put(resource),
            openapi_extra=body,
            summary=f"Replace {'' if resource.put == 'replace' else 'or create '}{resource.title}",
        )(routes.put)
    router.get(
        item,
        response_model=described.item_answer(resource),
        responses=described.of_get(resource),
        summary=f"Read {resource.title}",
    )(routes.get)
    router.delete(item, status_code=204, responses=described.of_delete(resource), summary=f"Delete {resource.title}")(
        routes.delete
    )
    return router


class _Routes:
    """The five endpoints of one resource; they parse, call one method and serialise."""

    def __init__(self, resource: Resource, service: ResourceService) -> None:
        self._resource = resource
        self._service = service
        own = tuple(name for name in resource.key_names if name not in resource.fixed)
        above = tuple(name for name in own if name not in resource.elements)
        listing = described.listing_parameters(resource)
        writing = resource.write_queries
        tags = described.IF_MATCH | described.IF_NONE_MATCH
        signature = described.signature
        self.create = _endpoint(self._create, signature(above, queries=writing))
        self.list = _endpoint(self._list, signature(above, queries=listing))
        self.put = _endpoint(self._put, signature(own, queries=writing, headers=tags))
        self.get = _endpoint(self._get, signature(own, queries=resource.item_queries, headers=described.NOT_MODIFIED))
        self.delete = _endpoint(self._delete, signature(own, queries=writing, headers=tags))

    async def _create(self, request: Request, path: Mapping[str, str]) -> Response:
        raw, file = await self._body(request)
        return _shown(await self._service.create(path, raw, file, query=_query(request)), 201)

    async def _list(self, request: Request, path: Mapping[str, str]) -> Response:
        query = _query(request)
        if self._resource.upload is not None and query:
            accepted(request.headers.get("accept", ""))
        page = self._page(query)
        try:
            if self._service.list_is_stored:
                listed = await self._service.list_texts(path, page)
                return as_it_lies(listed.text, headers=_links(request, page, listed.next))
            piece = await self._service.list(path, query, page)
        except BadPlace as error:
            raise paging.bad_token(query[paging.CONTINUE]) from error
        (answer,) = piece.items
        if isinstance(answer, Document):
            return await self._item(request, answer, {})
        return encoded(answer, headers=_links(request, page, piece.next))

    async def _put(self, request: Request, path: Mapping[str, str]) -> Response:
        if self._resource.upload is not None and self._resource.upload.put_form_only and not is_form(request):
            return empty(405, headers={"Allow": "DELETE, GET, PUT"})
        conditions = _conditions(request)
        raw, file = await self._body(request)
        document, created = await self._service.put(path, raw, file, conditions=conditions, query=_query(request))
        return _shown(document, self._resource.put_created if created else self._resource.put_replaced)

    async def _get(self, request: Request, path: Mapping[str, str]) -> Response:
        known = parse_tags(request.headers.get("if-none-match", ""), name="If-None-Match")
        if self._resource.upload is not None:
            accepted(request.headers.get("accept", ""))
        elif self._service.item_is_stored:
            text = await self._service.get_text(path)
            return _unchanged(text, known) or as_it_lies(text.text, headers=_etag(text))
        document = await self._service.get(path)
        return _unchanged(document, known) or await self._item(request, document, _query(request))

    async def _delete(self, request: Request, path: Mapping[str, str]) -> Response:
        await self._service.delete(path, conditions=_conditions(request), query=_query(request))
        return empty(204)

    async def _body(self, request: Request) -> tuple[bytes, bytes | None]:
        if self._resource.upload is None:
            return await request.body(), None
        form = await read_form(request, json_allowed=self._resource.upload.json_allowed)
        return form.metadata, form.file

    def _page(self, query: Mapping[str, str]) -> Page:
        page = paging.parse_page(query)
        asked = next((name for name in self._resource.queries if name in query), None)
        if asked is not None and not page.whole:
            raise BadRequest(f"{paging.LIMIT} and {paging.CONTINUE} cannot be combined with {asked}")
        return page

    async def _item(self, request: Request, document: Document, query: Mapping[str, str]) -> Response:
        if self._resource.upload is None:
            return encoded(await self._service.answer(document, query), headers=_etag(document))
        headers = {**_etag(document), "Vary": "Accept"}
        wanted = accepted(request.headers.get("accept", ""))
        file = None if wanted is Form.JSON else await self._service.file(document)
        if wanted is Form.JSON or file is None:
            return encoded(await self._service.answer(document, query), headers=headers)
        if wanted is None:
            raise choices()
        if wanted is Form.FILE:
            return Response(file, media_type=Form.FILE, headers=headers)
        return multipart(document.body, file, self._resource.upload.filename, headers=headers)


def _endpoint(handle: Callable[[Request, Mapping[str, str]], Awaitable[Response]], signature: Signature) -> Endpoint:
    """``handle`` as a function whose signature names all that it takes; ``Direct``."""
    names = [name for name, parameter in signature.parameters.items() if parameter.default is parameter.empty]

    async def endpoint(request: Request, **given: str) -> Response:
        return await handle(request, {name: given[name] for name in names[1:]})

    made: dict[str, Any] = {"__signature__": signature, "direct": handle, "__name__": handle.__name__.lstrip("_")}
    for name, value in made.items():
        setattr(endpoint, name, value)
    return endpoint


def _query(request: Request) -> Mapping[str, str]:
    """The query parameters; of one given several times the first counts, as in the original."""
    return dict(reversed(request.query_params.multi_items())) if request.scope["query_string"] else {}


def _shown(document: Document, status: int) -> Response:
    return as_it_lies(jsontext.shown(document.body), status, headers=_etag(document))


def _etag(document: Document | BodyText) -> dict[str, str]:
    return {"ETag": f'"{tag_of(document)}"'}


def _unchanged(document: Document | BodyText, known: Tags | None) -> Response | None:
    return empty(304, headers=_etag(document)) if known is not None and known.hold(tag_of(document)) else None


def _conditions(request: Request) -> Conditions:
    headers = request.headers
    match, none_match = headers.get("if-match", ""), headers.get("if-none-match", "")
    if not match and not none_match:
        return NO_CONDITIONS
    return Conditions(parse_tags(match, name="If-Match"), parse_tags(none_match, name="If-None-Match"))


def _links(request: Request, page: Page, place: str | None) -> Mapping[str, str]:
    return paging.links(raw_path(request.scope).decode("latin-1"), page, place)
