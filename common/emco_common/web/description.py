"""What every operation's description has in common: how it refuses. Pure functions on an OpenAPI document.

Routes say which refusals they have and why; the two forms of a refusal are added here, once for all. The framework
describes a refusal of its own, for arguments it checks; ours never gives it, so it is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emco_common.web.answers import PLAIN_TYPE, PROBLEM_TYPE, Problem

Json = dict[str, Any]
_PROBLEM = "#/components/schemas/Problem"
_FRAMEWORKS = ("HTTPValidationError", "ValidationError")
_BARE = ("202", "204")
"""Answered without a body, unless a route says which (spec orchestrator-api 2)."""
_OTHER = "Any other refusal: 503 with `Retry-After` while something the service needs is away, 500 for our own mistake"


def refusals(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Statuses and why they are given, for the argument ``responses`` of a route."""
    return {status: {"description": text} for status, text in texts.items()}


def completed(document: Json) -> Json:
    """The document with the form of every refusal."""
    for operation in operations(document):
        responses = operation.setdefault("responses", {})
        if "HTTPValidationError" in str(responses.get("422", "")):
            del responses["422"]
        responses.setdefault("default", {"description": _OTHER})
        for status, response in responses.items():
            if status == "default" or status == "300" or status >= "4":
                response.setdefault("content", _forms())
            elif status in _BARE and _is_untyped(response):
                del response["content"]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORKS:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    return document


def _is_untyped(response: Json) -> bool:
    return bool(response.get("content")) and all(not form.get("schema") for form in response["content"].values())


def operations(document: Json) -> Iterator[Json]:
    for path in document.get("paths", {}).values():
        yield from (path[method] for method in ("get", "put", "post", "delete", "patch") if method in path)


def _forms() -> Json:
    return {PLAIN_TYPE: {"schema": {"type": "string"}}, PROBLEM_TYPE: {"schema": {"$ref": _PROBLEM}}}


def tag_header(text: str) -> Json:
    """The header ``ETag`` of a response."""
    return {"ETag": {"description": text, "schema": {"type": "string"}}}
