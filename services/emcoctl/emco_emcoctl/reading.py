"""Reads what the services have, for the commands that look rather than send."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from emco_emcoctl import routing
from emco_emcoctl.config import Config
from emco_emcoctl.errors import CtlError, InputError
from emco_emcoctl.planning import Call
from emco_emcoctl.requests import Answer, Sender

NOT_FOUND = 404
_REASON_LENGTH = 300


class RefusedReadError(CtlError):
    """A service answered outside 200-299; ``status`` is what it answered."""

    exit_code = 3

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Reader:
    """Anchors to what is there. Raises ``RefusedReadError``, ``TransportError``, ``ConfigError`` or ``InputError``."""

    def __init__(self, sender: Sender, config: Config) -> None:
        self._sender = sender
        self._config = config

    def json(self, anchor: str, *, method: str = "GET") -> Any:
        """``method``: POST for what has to be asked for, though nothing is written by it."""
        answer = self.answer(anchor, method=method)
        try:
            return json.loads(answer.body or "null")
        except ValueError as error:
            raise RefusedReadError(f"{anchor}: the answer is not JSON: {answer.body[:80]!r}", status=200) from error

    def listed(self, anchor: str) -> list[Any]:
        """A list that may be empty; where a server has no such collection, nothing."""
        try:
            found = self.json(anchor)
        except RefusedReadError as error:
            if error.status == NOT_FOUND:
                return []
            raise
        return found if isinstance(found, list) else []

    def file(self, anchor: str) -> bytes:
        """The file that was uploaded with a resource."""
        return self.answer(anchor, accept="application/octet-stream").content

    def version(self, service: str) -> tuple[str, str]:
        """The address of a service and the version it tells; an original EMCO tells none."""
        endpoint = self._config.endpoint(service)
        where = routing.Address(service, "/openapi.json", "/openapi.json")
        found = self._sender.send(Call("GET", where, service, accept="application/json"), endpoint=endpoint)
        try:
            told = str(json.loads(found.body)["info"]["version"]) if found.ok else ""
        except (ValueError, KeyError, TypeError):
            told = ""
        return endpoint.url, told or "answers, but tells no version"

    def answer(self, anchor: str, *, accept: str = "application/json", method: str = "GET") -> Answer:
        try:
            where = routing.address(anchor)
        except routing.RouteError as error:
            raise InputError(str(error)) from error
        endpoint = self._config.endpoint(where.service)
        found = self._sender.send(Call(method, where, anchor, accept=accept), endpoint=endpoint)
        if not found.ok:
            reason = " ".join(found.body.split())[:_REASON_LENGTH] or "no reason given"
            raise RefusedReadError(f"{anchor}: {found.status}: {reason}", status=found.status)
        return found


def joined(*segments: str) -> str:
    """An anchor of names, each escaped to one segment of the path."""
    return "/".join(quote(segment, safe="$&+,:;=@!'()*[]-._~") for segment in segments)


def names_of(body: Any) -> tuple[str, ...]:
    """What names a body in the path of its collection; empty where nothing does."""
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    if "clusterLabel" in body:
        return (body["clusterLabel"],)
    if not metadata.get("name"):
        return ()
    version = spec.get("compositeAppVersion")
    return (metadata["name"], version) if version else (metadata["name"],)
