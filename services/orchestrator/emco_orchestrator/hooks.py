"""What the orchestrator's resources do beyond their declaration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.errors import BadRequest, Conflict, NotFound
from emco_common.helm.archive import check_chart
from emco_common.lifecycle import STATE_TAG, State, StateInfo
from emco_common.operations import Subject
from emco_common.resources.service import Draft, Hooks, StoredFile
from emco_common.rpc.channels import Channels
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentStore, Key, ReferenceMissing
from emco_orchestrator.keeping import Keeper
from emco_orchestrator.resources import APP, APP_PROFILE, CHART_TAG, COMPOSITE_PROFILE, CONTROLLER, GROUP_INTENT


class AppHooks(StoredFile):
    """Of several charts in one archive that of the app's name counts; which it is, is settled at upload."""

    async def prepare(self, draft: Draft) -> Draft:
        document = draft.document
        if draft.file is not None:
            report = await asyncio.to_thread(check_chart, draft.file, folder=document.key["app"])
            document = replace(document, tags={**document.tags, CHART_TAG: {"folder": report.folder}})
        return await super().prepare(replace(draft, document=document))


class AppProfileHooks(StoredFile):
    """One profile per app; read by app as well as by name (spec orchestrator-api 5.6)."""

    def __init__(self, store: DocumentStore) -> None:
        super().__init__(store)
        self._profiles = store

    async def prepare(self, draft: Draft) -> Draft:
        app = draft.document.body["spec"]["app"]
        within = {name: value for name, value in draft.document.key.items() if name != "appProfile"}
        for other in await self._profiles.list(APP_PROFILE.key_names, within):
            if app and other.key != draft.document.key and other.body["spec"]["app"] == app:
                raise Conflict("App already has an AppProfile", detail=f"It is {other.key['appProfile']}")
        if await self._profiles.get_text(within) is None:
            raise NotFound(COMPOSITE_PROFILE.not_found)
        return await super().prepare(draft)

    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        app = query.get("app")
        if not app:
            return await super().listing(documents, within, query)
        for document in documents:
            if document.body["spec"]["app"] == app:
                return document
        raise NotFound(APP_PROFILE.not_found)

    async def single(self, document: Document, query: Mapping[str, str]) -> Any:
        if query.get("app"):
            raise BadRequest("Invalid query - contains both appProfile and app")
        return document.body


class ControllerHooks(Hooks):
    """A controller that moved or went is not spoken to at its old address any longer (spec orchestrator-api 5.11)."""

    def __init__(self, store: DocumentStore, channels: Channels) -> None:
        self._store = store
        self._channels = channels

    async def written(self, draft: Draft, document: Document) -> None:
        if draft.present is not None:
            await self._forget(draft.present)

    async def deleted(self, document: Document) -> None:
        await self._forget(document)

    async def _forget(self, document: Document) -> None:
        """Several controllers, of any group, may live at one address."""
        gone = _address_of(document)
        if gone not in [_address_of(other) for other in await self._store.list(CONTROLLER.key_names, {})]:
            self._channels.forget(*gone)


def _address_of(controller: Document) -> tuple[str, int]:
    return controller.body["spec"]["host"], controller.body["spec"]["port"]


class GroupIntentHooks(Hooks):
    """The collection answers the maps of all intents, without names (spec orchestrator-api 5.8)."""

    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        if "intent" not in query:
            return {"intent": [document.body["spec"]["intent"] for document in documents]}
        if not query["intent"]:
            raise BadRequest("Missing appName in GET request")
        for document in documents:
            if document.key["groupIntent"] == query["intent"]:
                return document.body["spec"]
        raise NotFound(GROUP_INTENT.not_found)


class AppPlacementHooks(Hooks):
    """The collection answers the placement of one app on request (spec orchestrator-api 5.10)."""

    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        if "app" not in query and "app-name" not in query:
            return await super().listing(documents, within, query)
        app = query.get("app-name") or query.get("app")
        if not app:
            raise BadRequest("Missing appName in GET request")
        for document in documents:
            if document.body["spec"]["app"] == app:
                return document.body["spec"]
        return {"intent": {}}


class GroupHooks(Hooks):
    """A group starts with a history, changes only before it is approved, and leaves no context behind.

    ``gone`` is told the key of one that was deleted.
    """

    def __init__(
        self,
        store: DocumentStore,
        contexts: AppContextStore,
        clock: Clock,
        *,
        keeper: Keeper,
        gone: Callable[[Key], Awaitable[None]],
    ) -> None:
        self._store = store
        self._contexts = contexts
        self._keeper = keeper
        self._clock = clock
        self._gone = gone

    async def prepare(self, draft: Draft) -> Draft:
        await self._require_overridden(draft.document)
        if draft.present is None:
            tags = {STATE_TAG: StateInfo.created(self._clock()).as_json()}
            return replace(draft, document=replace(draft.document, tags=tags))
        group = Subject(draft.present)
        if group.state.state is not State.CREATED or group.operation is not None:
            raise Conflict("The specified DeploymentIntentGroup is not in Created status")
        return draft

    async def _require_overridden(self, document: Document) -> None:
        """Values for an app that is not there are a slip; it may go later, they then mean nothing."""
        for app in dict.fromkeys(entry["app"] for entry in document.body["spec"]["overrideValues"]):
            key = APP.key({**document.key, "app": app})
            if await self._store.get_text(key) is None:
                raise ReferenceMissing(key)

    async def deleting(self, document: Document) -> None:
        group = Subject(document)
        state = group.state
        if group.operation is not None or state.state in (State.INSTANTIATED, State.INSTANTIATE_STOPPED):
            raise Conflict(f"DeploymentIntentGroup must be terminated before it can be deleted {group.name}")
        if state.latest and state.latest.state in (State.TERMINATED, State.TERMINATE_STOPPED):
            with suppress(ContextNotFound):
                status = await self._contexts.get_status(state.latest.instance)
                if status not in (None, ContextState.TERMINATED, ContextState.TERMINATE_FAILED):
                    raise Conflict(f"DeploymentIntentGroup has not completed terminating: {group.name}")

    async def deleted(self, document: Document) -> None:
        await self._keeper.forget(Subject(document))
        await self._gone(document.key)
