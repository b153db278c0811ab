"""Which path serves a kind, and is it namespaced? Asked of the cluster once, then remembered.

The aggregated document answers for all kinds in two requests; where a server does not know it, and whenever a kind is
missing (a CRD may be new), only the list of the group and version in question is read. A kind whose version is not
served, but a later one of its group is, is taken for that: the version was removed by an upgrade of the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any, Protocol
from urllib.parse import quote

from emco_common.kube.errors import Invalid, NotFound, UnknownKind
from emco_common.kube.versions import successors

_MAX_SUCCESSORS = 8
"""Versions of a group that are looked at for a kind whose own is not served; a hostile cluster may name any number."""
_SHARED = 4096
"""Kinds that are kept once for all clusters; a hostile one may invent any number."""
_AGGREGATED = ",".join(
    [f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")]
    + ["application/json"]
)


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A kind as manifests name it, e.g. ``Kind("apps/v1", "Deployment")``."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


@dataclass(frozen=True, slots=True)
class Resource:
    """How a cluster serves a kind."""

    api_version: str
    plural: str
    namespaced: bool

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path below the server's address. ``Invalid`` for a name no object can have."""
        root = "/apis" if "/" in self.api_version else "/api"
        parts = [root, self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


class Fetch(Protocol):
    async def __call__(self, path: str, *, accept: str) -> Mapping[str, Any]: ...


class Discovery:
    """One per cluster. Concurrent questions share one answer."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[Kind, Resource] = {}
        self._complete = False
        self._lock = asyncio.Lock()

    async def resource(self, kind: Kind) -> Resource:
        """``UnknownKind`` if the cluster does not serve it now; other ``KubeError`` if it could not be asked.

        The resource's ``api_version`` is the one that is served, which may be a later one than the kind's.
        """
        known = self._known.get(kind)
        if known is None:
            known = await self._look_up(kind)
        return known

    async def _look_up(self, kind: Kind) -> Resource:
        async with self._lock:
            if kind not in self._known and not self._complete:
                await self._read_all()
            if kind not in self._known:
                await self._read_group_version(kind.api_version)
            if kind not in self._known:
                await self._read_successors(kind)
            known = self._known.get(kind)
        if known is None:
            raise UnknownKind(f"the cluster does not serve {kind.kind} of {kind.api_version}; is its CRD installed?")
        return known

    def forget(self, kind: Kind) -> None:
        """The path answered "not served": ask again next time."""
        self._known.pop(kind, None)

    async def _read_all(self) -> None:
        core, groups = await asyncio.gather(
            self._fetch("/api", accept=_AGGREGATED), self._fetch("/apis", accept=_AGGREGATED)
        )
        for document in (core, groups):
            if document.get("kind") == "APIGroupDiscoveryList":
                self._known.update(_aggregated(document))
        self._complete = True

    async def _read_group_version(self, api_version: str) -> None:
        if not _plausible(api_version):
            return
        root = "/apis/" if "/" in api_version else "/api/"
        try:
            document = await self._fetch(root + api_version, accept="application/json")
        except (NotFound, UnknownKind):
            return
        self._known.update(_legacy(document, api_version))

    async def _read_successors(self, kind: Kind) -> None:
        if not kind.group or not _plausible(kind.api_version):
            return
        try:
            document = await self._fetch(f"/apis/{kind.group}", accept="application/json")
        except (NotFound, UnknownKind):
            return
        offered = [str(entry.get("version")) for entry in _list(document, "versions")]
        for version in successors(kind.version, offered)[:_MAX_SUCCESSORS]:
            later = Kind(f"{kind.group}/{version}", kind.kind)
            await self._read_group_version(later.api_version)
            if later in self._known:
                self._known[kind] = self._known[later]
                return


def _aggregated(document: Mapping[str, Any]) -> Iterator[tuple[Kind, Resource]]:
    for group in _list(document, "items"):
        name = _mapping(group.get("metadata")).get("name") or ""
        for version in _list(group, "versions"):
            if version.get("freshness") == "Stale":
                continue  # its server is away; it is asked by itself when it is needed
            api_version = f"{name}/{version.get('version')}" if name else str(version.get("version"))
            for resource in _list(version, "resources"):
                kind = _mapping(resource.get("responseKind")).get("kind")
                plural = resource.get("resource")
                if isinstance(kind, str) and isinstance(plural, str) and plural:
                    yield _entry(api_version, kind, plural, namespaced=resource.get("scope") == "Namespaced")


def _legacy(document: Mapping[str, Any], api_version: str) -> Iterator[tuple[Kind, Resource]]:
    for resource in _list(document, "resources"):
        kind, plural = resource.get("kind"), resource.get("name")
        if isinstance(kind, str) and isinstance(plural, str) and plural and "/" not in plural:
            yield _entry(api_version, kind, plural, namespaced=resource.get("namespaced") is True)


@lru_cache(maxsize=_SHARED)
def _entry(api_version: str, kind: str, plural: str, *, namespaced: bool) -> tuple[Kind, Resource]:
    """The same few come from every cluster: kept once for all, they weigh nothing."""
    version = intern(api_version)
    return Kind(version, intern(kind)), Resource(version, intern(plural), namespaced)


def _segment(name: str) -> str:
    if name in {".", ".."}:
        raise Invalid(f"{name!r} is not a name an object can have")
    return quote(name, safe="")


def _plausible(api_version: str) -> bool:
    return all(
        part and part not in {".", ".."} and quote(part, safe="") == part for part in api_version.split("/")
    ) and (api_version.count("/") <= 1)


def _list(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = document.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
