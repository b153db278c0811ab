"""What a cluster can be asked and told, however it is reached: what ``KubeClient`` does over HTTP, others may do by
other ways (a Git repository that a cluster is made to follow). And what carries HTTP to an API server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from emco_common.kube.discovery import Kind, Resource

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The address of one object. ``namespace`` is ignored for cluster-scoped kinds."""

    kind: Kind
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """All objects that matched, each with ``apiVersion`` and ``kind``, and the version to watch from."""

    items: tuple[Json, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK (whose object has only a resource version)."""

    type: str
    object: Json

    @property
    def resource_version(self) -> str:
        return str(self.object.get("metadata", {}).get("resourceVersion", ""))


class KubeApi(Protocol):
    """See ``KubeClient`` for what each method promises. Errors are those of ``kube.errors``."""

    @property
    def server(self) -> str: ...

    @property
    def lapses(self) -> int:
        """How often touch with the server was lost: whoever answers after that may be another."""
        ...

    async def close(self) -> None: ...

    async def version(self, *, timeout: float | None = None) -> Json: ...

    async def check_identity(self, *, timeout: float | None = None) -> None: ...

    async def resource(self, kind: Kind) -> Resource: ...

    async def get(self, ref: Ref) -> Json: ...

    async def list(self, kind: Kind, *, namespace: str = "", selector: str = "") -> ObjectList: ...

    async def create(self, obj: Mapping[str, Any], *, manager: str = "", namespace: str = "") -> Json: ...

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        namespace: str = "",
        encoded: bytes | None = None,
    ) -> Json: ...

    async def patch(self, ref: Ref, change: Mapping[str, Any], *, subresource: str = "") -> Json: ...

    async def replace(self, obj: Mapping[str, Any], *, subresource: str = "") -> Json: ...

    async def delete(self, ref: Ref, *, propagation: str = "Background", uid: str = "") -> Json: ...

    def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        selector: str = "",
        namespace: str = "",
        renew: int = 240,
        silence: float = 100.0,
    ) -> AsyncGenerator[WatchEvent, None]: ...


@runtime_checkable
class TellsLogs(Protocol):
    """What a ``KubeApi`` may do beyond that, where pods are to be spoken to."""

    async def log_tail(self, ref: Ref, *, container: str, lines: int, limit: int) -> Sequence[str]: ...


class Carrier(Protocol):
    """Carries requests to one API server: a deadline on every wait, capped answers, errors from the tree."""

    @property
    def lapses(self) -> int:
        """See ``KubeApi``."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> Json:
        """One call; the answer is a JSON object. Any ``KubeError``."""
        ...

    def lines(
        self, path: str, *, query: Mapping[str, str], accept: str, silence: float, lasting: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a stream until the server ends it; ``Unreachable`` after ``silence`` seconds without a byte.

        ``NoRoom`` where nothing can be kept open for one that is ``lasting``; a short one waits for its turn.
        """
        ...

    async def close(self) -> None: ...
