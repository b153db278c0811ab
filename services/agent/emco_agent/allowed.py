"""Which calls the agent makes at all: to the Kubernetes API, and what rsync needs of it. Pure.

Whoever sits at the other end may be hostile or mistaken, so the agent decides by itself: nothing that leads through the
API server to somewhere else (proxies, shells, port forwarding), nothing that yields a credential, no other host.
"""

from __future__ import annotations

from urllib.parse import unquote

from emco_common.rpc.agents_pb2 import AgentRequest

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
ROOTS = frozenset({"api", "apis", "version", "openapi"})
NEVER = frozenset({"proxy", "exec", "attach", "portforward", "token", "ephemeralcontainers"})
"""Subresources that nobody who delivers applications needs."""
MAX_TARGET = 8_192
MAX_USER = 256


def refusal(request: AgentRequest) -> str:
    """Why the call is not made, or ``""``."""
    if request.method not in METHODS:
        return f"the method {request.method[:20]!r} is not one of {', '.join(sorted(METHODS))}"
    if not all(text.isprintable() and text.isascii() for text in (request.accept, request.content_type)):
        return "a header holds what no header may hold"
    return _of_target(request.target) or _of_user(request.user)


def _of_target(target: str) -> str:
    if len(target) > MAX_TARGET or not all("!" <= character <= "~" for character in target):
        return "the path is too long or holds characters that no path may have"
    path = target.partition("?")[0]
    if not path.startswith("/") or "#" in target or "\\" in target:
        return "the path is not one of an API server"
    segments = [unquote(segment) for segment in path[1:].split("/")]
    if segments[0] not in ROOTS:
        return f"only paths below {', '.join(f'/{root}' for root in sorted(ROOTS))} are called"
    if any(_is_odd(segment) for segment in segments):
        return "the path has segments that could lead elsewhere"
    subresources = NEVER.intersection(_below_an_object(segments))
    if subresources:
        return f"the subresource {min(subresources)} is never called"
    return ""


def _is_odd(segment: str) -> bool:
    return segment in ("", ".", "..") or any(character in "/\\%" or character < " " for character in segment)


def _below_an_object(segments: list[str]) -> list[str]:
    """What follows the name of an object in ``/api/v1/…`` or ``/apis/<group>/<version>/…``."""
    rest = segments[2:] if segments[0] == "api" else segments[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespaced = rest[2:]
        return namespaced[2:] + ([rest[2]] if len(rest) == 3 else [])
    return rest[2:]


def _of_user(user: str) -> str:
    if len(user) > MAX_USER or not user.isprintable() or not user.isascii():
        return "the user to act as is not a name"
    if user.startswith("system:"):
        return "nobody acts as one of Kubernetes' own users"
    return ""
