"""The door to Helm: a chart and its values in, Kubernetes manifests out. Adapters: ``cli`` and ``sdk``.

A renderer is pure from the outside: it reaches no cluster, network, environment or file outside its work folder, and
the same request gives the same answer. Charts are hostile until proven otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from emco_common.errors import Unprocessable


class RenderError(Unprocessable):
    """The chart, the profile or the values cannot be rendered; the text is Helm's or names what is missing."""


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One app to render. ``chart`` and ``profile`` are gzip'd tar files as they were uploaded; ``folder`` is the folder
    of the archive that holds the chart, and may be any name where there is but one.

    ``overrides`` are the pairs of the deployment intent group, in the grammar of Helm's ``--set``.
    """

    folder: str
    chart: bytes
    profile: bytes | None
    release: str
    namespace: str
    overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One rendered object: ``name`` is the AppContext's ``<metadata.name>+<kind>``, ``text`` the YAML as rendered.

    ``api_group`` is empty for the core group, ``namespace`` where the manifest names none.
    """

    name: str
    text: str
    api_group: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RenderedApp:
    """Lifecycle 5.9: regular resources in install order, CRDs, and hooks per event in Helm's order."""

    regular: tuple[Manifest, ...]
    crds: tuple[Manifest, ...]
    hooks: Mapping[str, tuple[Manifest, ...]]


class Renderer(Protocol):
    async def render(self, request: RenderRequest) -> RenderedApp:
        """``RenderError`` for everything that is wrong with the input; a limit passed names the limit."""
        ...

    async def warm(self) -> None:
        """Do at once what the first rendering would have to wait for."""
        ...

    async def close(self) -> None: ...
