"""Rendering the apps of a group: each distinct request once, several at a time, the results kept for the next time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from emco_common.helm.api import RenderedApp, Renderer, RenderRequest
from emco_common.store.api import DocumentStore
from emco_common.tracing.spans import traced
from emco_orchestrator.inputs import AppInput, Inputs

CACHED_RENDERINGS = 256
"""Kept in memory; a rendering is some tens of kilobytes."""

_Identity = tuple[str, str, str, str, str, tuple[tuple[str, str], ...]]


class Renderings:
    """Renders through one ``Renderer``; equal inputs share one rendering, whichever apps they belong to."""

    def __init__(self, store: DocumentStore, renderer: Renderer, *, keep: int = CACHED_RENDERINGS) -> None:
        self._store = store
        self._renderer = renderer
        self._keep = keep
        self._known: OrderedDict[_Identity, asyncio.Future[RenderedApp]] = OrderedDict()

    async def all_of(self, inputs: Inputs) -> Sequence[RenderedApp]:
        """One per app, in order. Raises ``RenderError`` of the first app that cannot be rendered."""
        release, namespace = inputs.group.spec["version"], inputs.cloud.namespace or "default"
        return await asyncio.gather(*(self._one(app, release, namespace) for app in inputs.apps))

    async def _one(self, app: AppInput, release: str, namespace: str) -> RenderedApp:
        identity = (app.folder, app.chart, app.profile, release, namespace, app.overrides)
        future = self._known.get(identity)
        if future is None:
            future = asyncio.ensure_future(self._render(app, release, namespace))
            future.add_done_callback(lambda done: self._forget_failure(identity, done))
            self._known[identity] = future
            while len(self._known) > self._keep:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(identity)
        return await asyncio.shield(future)

    async def _render(self, app: AppInput, release: str, namespace: str) -> RenderedApp:
        chart, profile = await asyncio.gather(self._store.get_blob(app.chart), self._store.get_blob(app.profile))
        with traced("helm render", {"emco.app": app.name}):
            return await self._renderer.render(
                RenderRequest(app.folder, chart, profile, release, namespace, app.overrides)
            )

    def _forget_failure(self, identity: _Identity, done: asyncio.Future[RenderedApp]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._known.pop(identity, None)
