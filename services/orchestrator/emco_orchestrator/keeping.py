"""Which AppContexts of a group are kept: those that status, rollback and rsync still need. The others are removed.

A context may be needed by two groups: a deployment that was migrated keeps its status where it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import structlog

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState, ResourceState
from emco_common.appcontext.status import ContextStatus
from emco_common.lifecycle import StateInfo
from emco_common.operations import Subject
from emco_common.store.api import DocumentStore, Key
from emco_orchestrator.resources import GROUP

_log = structlog.get_logger()
INHERITED_TAG = "inherited"
"""The tag of a group that names the contexts of the group its deployment came from."""
_SETTLED = frozenset({None, ContextState.UPDATED, ContextState.TERMINATED})
_GIVE_UP = 20
"""Contexts in a row that are gone already, after which older ones are not looked for."""


class Keeper:
    """``revisions`` is how many of a deployment are kept at least, the present one among them."""

    def __init__(self, store: DocumentStore, contexts: AppContextStore, *, revisions: int) -> None:
        self._store = store
        self._contexts = contexts
        self._revisions = revisions

    async def collect(self, group: Subject) -> None:
        """Remove what nobody can come back to. What rsync has not settled, or refers to, stays for the next time."""
        old = superseded(group.state, inherited=inherited_by(group), keep=self._revisions)
        if not old:
            return
        needed = await self._needed_by_others(group.key) | await self._referred(group.state.status_context)
        gone_in_a_row = 0
        for instance in old:
            try:
                settled = await self._contexts.get_status(instance) in _SETTLED
            except ContextNotFound:
                gone_in_a_row += 1
                if gone_in_a_row == _GIVE_UP:
                    return
                continue
            gone_in_a_row = 0
            if settled and instance not in needed:
                await self._remove(instance)
                _log.info("context_collected", group=group.name, context=instance)

    async def forget(self, group: Subject) -> None:
        """Leave nothing of a group that was deleted, but what another one needs; that one removes it some day."""
        owned = {*group.state.instances, group.state.status_context, *inherited_by(group)} - {""}
        if not owned:
            return
        for instance in sorted(owned - await self._needed_by_others(group.key)):
            await self._remove(instance)

    async def _needed_by_others(self, key: Key) -> set[str]:
        """Migration stays within a composite app, whatever the version."""
        within = {name: key[name] for name in ("project", "compositeApp")}
        documents = await self._store.list(GROUP.key_names, within)
        return {
            instance
            for document in documents
            if dict(document.key) != dict(key)
            for instance in _needed_by(Subject(document))
        }

    async def _referred(self, status_context: str) -> set[str]:
        with suppress(ContextNotFound):
            return referred(await self._contexts.read_status(status_context))
        return set()

    async def _remove(self, instance: str) -> None:
        with suppress(ContextNotFound):
            meta = await self._contexts.read_meta(instance)
            for child in meta.child_contexts if meta else ():
                await self._contexts.delete(child)
        await self._contexts.delete(instance)


def superseded(state: StateInfo, *, inherited: Iterable[str] = (), keep: int) -> list[str]:
    """Contexts of the history that neither status nor rollback look at, the youngest first. Pure."""
    recent = [action.instance for action in reversed(state.deployment)]
    kept = {state.instance, state.status_context, *list(dict.fromkeys(recent))[:keep]}
    return [instance for instance in (*reversed(state.instances), *inherited) if instance not in kept]


def referred(status: ContextStatus) -> set[str]:
    """The contexts whose objects may still be on clusters, by the records of a status context. Pure."""
    of_resources = {
        resource.reference
        for resource in status.resources.values()
        if resource.status not in (None, ResourceState.DELETED)
    }
    of_clusters = {cluster.reference for cluster in status.clusters.values()}
    return {reference for reference in of_resources | of_clusters if reference}


def inherited_by(group: Subject) -> tuple[str, ...]:
    return tuple(group.document.tags.get(INHERITED_TAG, ()))


def _needed_by(group: Subject) -> set[str]:
    state, operation = group.state, group.operation
    under_way = (operation.instance, operation.source) if operation else ()
    lived = (action.instance for action in state.deployment)
    return {*lived, state.status_context, *under_way, *inherited_by(group)} - {""}
