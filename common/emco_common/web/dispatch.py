"""Which route answers a request, found by one walk along its path instead of one pattern after another.

The framework tries a hundred patterns in turn and then prepares for arguments, forms and generators that a route of
ours does not have; together that costs more than the answer. An endpoint that is ``Direct`` names all it takes in its
signature, for OpenAPI, and is called with the request and the names of the path. Every other route stays the
framework's; which of several routes counts is decided as the framework does, by order of registration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.errors import EmcoError
from emco_common.web.answers import empty
from emco_common.web.failures import answer_crash, answer_error

_log = structlog.get_logger()
Handler = Callable[[Request, Mapping[str, str]], Awaitable[Response]]


@runtime_checkable
class Direct(Protocol):
    """An endpoint that can be called without the framework."""

    @property
    def direct(self) -> Handler: ...


@dataclass(frozen=True, slots=True)
class Route:
    """``direct`` is ``None`` where the framework must answer."""

    path: str
    methods: frozenset[str]
    direct: Handler | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """``route`` is ``None`` where the path has no such method; ``allowed`` are those it has."""

    route: Route | None
    names: Mapping[str, str]
    allowed: frozenset[str]


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    named: _Node | None = None
    ends: list[tuple[int, Route]] = field(default_factory=list)


class Table:
    """Routes by path. A template's ``{name}`` stands for one segment that is not empty."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for number, route in enumerate(routes):
            node = self._root
            for segment in route.path.split("/")[1:]:
                if segment.startswith("{"):
                    node.named = node.named or _Node()
                    node = node.named
                else:
                    node = node.literal.setdefault(segment, _Node())
            node.ends.append((number, route))

    def find(self, method: str, path: str) -> Found | None:
        """``None`` for a path of no route."""
        segments = path.split("/")[1:]
        ends = sorted(_ends(self._root, segments, 0), key=lambda end: end[0])
        if not ends:
            return None
        route = next((route for _, route in ends if method in route.methods), None)
        allowed = frozenset(name for _, one in ends for name in one.methods)
        return Found(route, {} if route is None else _names(route, segments), allowed)


def _ends(node: _Node, segments: list[str], at: int) -> list[tuple[int, Route]]:
    if at == len(segments):
        return node.ends
    segment = segments[at]
    literal = node.literal.get(segment)
    found = _ends(literal, segments, at + 1) if literal is not None else []
    if node.named is not None and segment:
        found = found + _ends(node.named, segments, at + 1)
    return found


def _names(route: Route, segments: list[str]) -> dict[str, str]:
    template = route.path.split("/")[1:]
    return {part[1:-1]: given for part, given in zip(template, segments, strict=True) if part.startswith("{")}


class Dispatcher:
    """The innermost layer of ours: answers what is ``Direct``, and methods that a path does not have."""

    def __init__(self, app: ASGIApp, *, table: Table) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        found = self._table.find(scope["method"], scope["path"])
        if found is not None and found.route is None:
            allow = ", ".join(sorted(found.allowed))
            return await empty(405, headers={"Allow": allow})(scope, receive, send)
        if found is None or found.route is None or found.route.direct is None:
            return await self._by_framework(scope, receive, send)
        scope["route"] = found.route
        scope["path_params"] = found.names
        response = await _answer(found.route.direct, Request(scope, receive), found.names)
        return None if response is None else await response(scope, receive, send)

    async def _by_framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def answer(_request: Request, _names: Mapping[str, str]) -> None:
            await self._app(scope, receive, noted)

        instead = await _answer(answer, Request(scope, receive), {})
        if instead is not None and not begun:
            await instead(scope, receive, send)


async def _answer(
    handle: Callable[[Request, Mapping[str, str]], Awaitable[Response | None]],
    request: Request,
    names: Mapping[str, str],
) -> Response | None:
    """``None`` if nobody is there any more to be answered, or somebody has."""
    try:
        return await handle(request, names)
    except EmcoError as error:
        return answer_error(request.scope, error)
    except ClientDisconnect:
        _log.info("client_left", method=request.method, path=request.scope["path"])
        return None
    except Exception as error:
        return answer_crash(request.scope, error)
