"""The official ``kubernetes`` client as an independent witness of what a cluster holds and answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import kubernetes
import urllib3
import yaml
from kubernetes.client import ApiClient

Json = dict[str, Any]
T = TypeVar("T")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """Status and decoded body; a body that is no JSON is under ``text``."""

    status: int
    body: Json
    headers: dict[str, str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


class Witness:
    """A user of one cluster, by kubeconfig. Blocking."""

    def __init__(self, kubeconfig: str) -> None:
        self.client: ApiClient = kubernetes.config.new_client_from_config_dict(yaml.safe_load(kubeconfig))
        self.core = kubernetes.client.CoreV1Api(self.client)
        self.apps = kubernetes.client.AppsV1Api(self.client)
        self.batch = kubernetes.client.BatchV1Api(self.client)
        self.certificates = kubernetes.client.CertificatesV1Api(self.client)

    def close(self) -> None:
        self.client.close()
        self._pool.clear()

    @property
    def _pool(self) -> urllib3.PoolManager:
        pool: urllib3.PoolManager = self.client.rest_client.pool_manager
        return pool

    @property
    def host(self) -> str:
        return str(self.client.configuration.host)

    def send(
        self, method: str, path: str, body: Any = None, *, media: str = "application/json", **query: str
    ) -> Answer:
        """One request as it is, for answers the typed client hides."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": media, "User-Agent": "witness/1.0", "Accept": "application/json"}
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        reply = self._pool.request(method, url, body=data, headers=headers, timeout=20, retries=False)
        try:
            decoded = json.loads(reply.data)
        except ValueError:
            decoded = {"text": reply.data.decode(errors="replace")}
        return Answer(reply.status, decoded, dict(reply.headers))

    def apply(self, path: str, body: Json, *, manager: str = "witness", **query: str) -> Answer:
        """Server-side apply at the path of the object."""
        return self.send("PATCH", path, body, media=APPLY, fieldManager=manager, **query)

    def watch(self, path: str, *, seconds: int = 5, **query: str) -> Iterator[Json]:
        """The events of a watch, until the server ends it."""
        asked = urlencode({"watch": "true", "timeoutSeconds": str(seconds), **query})
        url = f"{self.host}{path}?{asked}"
        reply = self._pool.request("GET", url, preload_content=False, timeout=seconds + 20, retries=False)
        with closing(reply):
            if reply.status != 200:
                yield {"type": "REFUSED", "object": json.loads(reply.data)}
                return
            rest = b""
            for chunk in reply.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())


def eventually(look: Callable[[], T], *, seconds: float = 20.0) -> T:
    """What ``look`` returns as soon as it is true, or the last it returned; failing assertions count as not yet."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        try:
            found = look()
            if found or time.monotonic() > deadline:
                return found
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, 0.3)
