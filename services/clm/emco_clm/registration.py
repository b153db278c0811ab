"""What goes with a cluster: its state, its access record, its events (spec clm 4, 10).

A registration is the cluster document, then the access record, then the events. One that was cut off in between shows
as a cluster without access record, and gives way to the next attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from emco_clm.events import ClusterEvents
from emco_clm.resources import FORCE, LABEL, is_direct, sync_objects_of
from emco_clm.tokens import AgentTokens, is_with_agent
from emco_clm.users import ClusterUsers
from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.cloudconfig import ADMIN_LEVEL, KEY_NAMES, Access, AccessMissing, CloudConfigs
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.operations import Subject
from emco_common.resources.service import Draft, Hooks, Write
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentMissing, DocumentStore, Key, StaleRevision

REGISTRATION_TAKES = timedelta(seconds=60)  # from document to access record; far more than a store in trouble needs


class ClusterHooks(Hooks):
    def __init__(
        self,
        store: DocumentStore,
        access: CloudConfigs,
        contexts: AppContextStore,
        events: ClusterEvents,
        users: ClusterUsers,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._contexts = contexts
        self._events = events
        self._users = users
        self._clock = clock
        self._tokens = AgentTokens(store)

    async def admit(self, key: Key, write: Write, query: Mapping[str, str]) -> None:
        if write == "delete" and query.get(FORCE, "").lower() == "true":
            await self._give_up(key)

    async def prepare(self, draft: Draft) -> Draft:
        document = draft.document
        for key in sync_objects_of(document.body, document.key):
            if await self._store.get(key) is None:
                name, provider = key["clusterSyncObject"], key["clusterProvider"]
                raise BadRequest(f"spec.gitOps: cluster provider {provider} has no cluster sync object {name}")
        if draft.present is not None:
            _refuse_other_way(draft.present, document)
        if is_with_agent(document.body):
            reference = document.body["spec"]["gitOps"]["gitOpsReferenceObject"]
            token = {"clusterProvider": document.key["clusterProvider"], "clusterSyncObject": reference}
            await self._tokens.give(token, document.key["cluster"])
        if draft.present is not None:
            return draft
        state = StateInfo.created(self._clock())
        return replace(draft, document=replace(document, tags={STATE_TAG: state.as_json()}))

    async def unfinished(self, document: Document) -> bool:
        state = _state_of(document)
        recent = state.actions and self._clock() - state.actions[0].time <= REGISTRATION_TAKES
        return not recent and await self._access_of(document.key) is None

    async def written(self, draft: Draft, document: Document) -> None:
        direct = is_direct(document.body)
        kubeconfig = (draft.file or b"") if direct else b""
        gitops = {} if direct else document.body["spec"]["gitOps"]
        await self._access.put(Access(*_names(document.key), kubeconfig=kubeconfig, gitops=gitops))
        if draft.present is None:
            await self._events.created(document.key)
        else:
            await self._events.updated(document.key)

    async def deleting(self, document: Document) -> None:
        await self._refuse_networks(document)
        if user := await self._users.of(document.key):
            raise Conflict(f"Cluster {document.key['cluster']} is in use by {user}; terminate or update that first")

    async def _refuse_networks(self, document: Document) -> None:
        state = _state_of(document)
        if (operation := Subject(document).operation) is not None:
            raise Conflict(f"Cluster {document.key['cluster']} is busy: {operation.verb} of its networks is under way")
        if not state.actions:
            return
        if state.state in (State.APPLIED, State.INSTANTIATE_STOPPED):
            raise Conflict("Cluster network intents must be terminated before it can be deleted")
        if state.state in (State.TERMINATED, State.TERMINATE_STOPPED) and state.instance:
            with suppress(ContextNotFound):
                status = await self._contexts.get_status(state.instance)
                if status not in (None, ContextState.TERMINATED, ContextState.TERMINATE_FAILED):
                    raise Conflict("Network intents for cluster have not completed terminating")

    async def deleted(self, document: Document) -> None:
        await self._access.delete(Access(*_names(document.key)))
        for instance in _state_of(document).instances:
            await self._contexts.delete(instance)
        await self._events.deleted(document.key)

    async def file(self, document: Document) -> bytes | None:
        if not is_direct(document.body):
            return None
        return (await self._access.get(*_names(document.key))).kubeconfig

    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        with_labels = query.get("withLabels", "").lower() == "true"
        label = query.get("label", "")
        if not with_labels and not label:
            return await super().listing(documents, within, query)
        labels: dict[str, list[Any]] = {document.key["cluster"]: [] for document in documents}
        for found in await self._store.list(LABEL.key_names, within):
            labels.setdefault(found.key["cluster"], []).append(found.body)
        if with_labels:
            return [{"metadata": d.body["metadata"], "labels": labels[d.key["cluster"]]} for d in documents]
        return [name for name, carried in labels.items() if {"clusterLabel": label} in carried]

    async def sweep(self) -> None:
        """Forget the access of clusters whose deletion was cut off, so that no kubeconfig outlives its cluster."""
        for record in await self._store.list(KEY_NAMES, {"level": ADMIN_LEVEL}):
            provider, cluster = (record.key[name] for name in KEY_NAMES[:2])
            if await self._store.get({"clusterProvider": provider, "cluster": cluster}) is None:
                with suppress(StaleRevision, DocumentMissing):  # registered anew meanwhile, or swept by another
                    await self._store.delete(record.key, expected=record.revision)

    async def _give_up(self, key: Key) -> None:
        """The user says that the cluster will not come back: what was applied need not be removed (defect 18)."""
        document = await self._store.get(key)
        if document is None:
            return
        state = _state_of(document)
        if state.actions and state.instance:
            action = Action(State.TERMINATED, state.instance, self._clock(), reason="given up: deletion was forced")
            subject = Subject(document).with_operation(None).with_state(state.then(action))
            await self._store.replace(subject.document, expected=document.revision)
            await self._contexts.delete(state.instance)

    async def _access_of(self, key: Key) -> Access | None:
        try:
            return await self._access.get(*_names(key))
        except AccessMissing:
            return None


def _refuse_other_way(present: Document, wanted: Document) -> None:
    """What runs on the cluster was brought there one way and could not be removed another way."""
    before, after = (document.body["spec"]["gitOps"]["gitOpsType"] for document in (present, wanted))
    if before != after:
        change = f"from {before or 'none'} to {after or 'none'}"
        raise Conflict(f"spec.gitOps.gitOpsType cannot change {change}; delete the cluster and register it anew")


def _names(key: Key) -> tuple[str, str]:
    return key["clusterProvider"], key["cluster"]


def _state_of(document: Document) -> StateInfo:
    return StateInfo.from_json(document.tags.get(STATE_TAG, {"actions": ()}))
