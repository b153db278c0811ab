"""The refusals of an API server, each as the ``Status`` body a real one sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emco_simcluster.kinds import Kind

Json = dict[str, Any]


class ApiError(Exception):
    """A request is refused. ``body()`` is the Status object of the answer; ``retry_after`` is in seconds."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: Json | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.retry_after = details, retry_after

    def body(self) -> Json:
        details = self.details
        if self.retry_after is not None:
            details = {**(details or {}), "retryAfterSeconds": self.retry_after}
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if details is not None:
            status["details"] = details
        return {**status, "code": self.code}


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an object is invalid: the field, what a real server calls the reason, and the text."""

    field: str
    reason: str
    message: str

    @classmethod
    def invalid(cls, field: str, value: Any, detail: str) -> Cause:
        quoted = isinstance(value, dict | list) or (isinstance(value, str) and value != "null")
        shown = json.dumps(value, separators=(",", ":")) if quoted else str(value)
        return cls(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")

    @classmethod
    def required(cls, field: str, detail: str = "") -> Cause:
        return cls(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))

    @classmethod
    def forbidden(cls, field: str, detail: str) -> Cause:
        return cls(field, "FieldValueForbidden", f"Forbidden: {detail}")

    @classmethod
    def too_long(cls, field: str, limit: int) -> Cause:
        return cls(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', details=_details(kind, name))


def no_namespace(name: str) -> ApiError:
    return ApiError(404, "NotFound", f'namespaces "{name}" not found', details={"name": name, "kind": "namespaces"})


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(kind: Kind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    text = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", text, details=_details(kind, name))


def failed_precondition(kind: Kind, name: str, why: str) -> ApiError:
    """A precondition of a deletion; a real server names the kind here, not the resource."""
    text = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    details = {"name": name, "group": kind.group, "kind": kind.kind}
    return ApiError(409, "Conflict", text, details={k: v for k, v in details.items() if v})


def stale(kind: Kind, name: str) -> ApiError:
    return conflict(
        kind, name, "the object has been modified; please apply your changes to the latest version and try again"
    )


def forbidden(kind: Kind, name: str, why: str, *, causes: Sequence[Cause] = ()) -> ApiError:
    details = _details(kind, name)
    if causes:
        details["causes"] = [_cause(c) for c in causes]
    return ApiError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', details=details)


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> ApiError:
    return _invalid(kind.qualified, {"name": name, "group": kind.group, "kind": kind.kind}, name, causes)


def unconditional(kind: Kind, name: str) -> ApiError:
    """An update of a custom object that names no resourceVersion; a real server names the resource here."""
    cause = Cause("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")
    return _invalid(kind.resource, {"name": name, "group": kind.group, "kind": kind.plural}, name, [cause])


def invalid_options(what: str, causes: Sequence[Cause]) -> ApiError:
    """Query options that contradict themselves, e.g. ``what`` = ``ListOptions``."""
    return _invalid(f"{what}.meta.k8s.io", {"group": "meta.k8s.io", "kind": what}, "", causes)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def unsupported_media() -> ApiError:
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", text)


def unsupported_patch(kind: Kind) -> ApiError:
    if kind.custom:
        accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        return ApiError(415, "UnsupportedMediaType", text)
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def too_large(limit: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def internal(message: str) -> ApiError:
    causes = [{"message": message}]
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details={"causes": causes})


def _details(kind: Kind, name: str) -> Json:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {k: v for k, v in details.items() if v}


def _cause(cause: Cause) -> Json:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def _invalid(qualified: str, details: Json, name: str, causes: Sequence[Cause]) -> ApiError:
    texts = [f"{c.field}: {c.message}" for c in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    shown = {k: v for k, v in details.items() if v} | {"causes": [_cause(c) for c in causes]}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details=shown)
