"""App dependencies are refused when they are made, and not only when they are in the way of an instantiation."""

from __future__ import annotations

from emco_common.resources.service import Draft, Hooks
from emco_common.store.api import Document, DocumentStore
from emco_orchestrator.dependencies import cyclic, find_cycle, unknown_app
from emco_orchestrator.groups import composite_of
from emco_orchestrator.resources import APP, APP_DEPENDENCY


class AppDependencyHooks(Hooks):
    """No dependency on an app that is not there, and no cycle, also of two that are made at the same moment."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def prepare(self, draft: Draft) -> Draft:
        await self._check(draft.document)
        return draft

    async def written(self, draft: Draft, document: Document) -> None:
        if draft.present is None:
            await self._check(document)  # whoever is second to look sees both, and takes its own back

    async def _check(self, document: Document) -> None:
        within = composite_of(document.key)
        apps = await self._store.list(APP.key_names, within)
        others = await self._store.list(APP_DEPENDENCY.key_names, within)
        needs: dict[str, list[str]] = {app.key["app"]: [] for app in apps}
        app, wanted = document.key["app"], document.body["spec"]["app"]
        if app not in needs:
            return  # the write is refused for that
        if wanted not in needs:
            raise unknown_app(within["compositeApp"], app, wanted)
        for other in (*(other for other in others if other.key != document.key), document):
            needs.setdefault(other.key["app"], []).append(other.body["spec"]["app"])
        cycle = find_cycle(needs)
        if cycle:
            raise cyclic(within["compositeApp"], cycle)
