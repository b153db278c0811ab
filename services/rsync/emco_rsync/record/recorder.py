"""What happened to the resources of one context, in the keys where every reader looks for it (appcontext 4.2, 7).

Status is collected in the status context; connectivity and states belong to the context that is worked on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy

from emco_common.appcontext import keys, values
from emco_common.appcontext.states import Connectivity, HookPhase, ResourceState
from emco_common.appcontext.status import (
    ClusterStatus,
    ClusterUpdate,
    ResourceStatus,
    ResourceUpdate,
    StatusUpdate,
    encode_updates,
)
from emco_common.contextbus.api import Put
from emco_rsync.fence import Fence
from emco_rsync.record.journal import Pen

_PLACEHOLDER = "nil"
Place = tuple[str, str, str]


class Recorder:
    """``known`` are the keys of the status context and ``states`` the states of its resources, by (app, cluster,
    resource), as they were when the work began."""

    def __init__(
        self,
        journal: Pen,
        *,
        context: str,
        status_context: str,
        known: Collection[str] = (),
        states: Mapping[Place, str | None] | None = None,
    ) -> None:
        self._journal = journal
        self._context = context
        self._owner = ""
        self._silent: Callable[[Place], bool] = lambda place: False
        self._status_context = status_context
        self._known = set(known)
        self._states = dict(states or {})

    @property
    def fence(self) -> Fence:
        """The right to write for the deployment."""
        return self._journal.fence

    async def flush(self) -> None:
        """Returns when the bus has all that was told."""
        await self._journal.flush()

    def leaving(self, owner: str, *, silent: Callable[[Place], bool]) -> Recorder:
        """For what is taken away because this context does not have it. A record goes on referring to the context that
        has the manifest; what has none yet (a hook of deletion) refers to ``owner``. Names that stand for another
        object now are ``silent``: their records speak of that."""
        other = copy(self)
        other._owner, other._silent = owner, silent
        return other

    def resource(
        self, app: str, cluster: str, resource: str, state: ResourceState, *, reason: str = "", digest: str = ""
    ) -> None:
        """The state a resource has come to, and why."""
        place = (app, cluster, resource)
        if self._silent(place):
            return
        self._ensure(app, cluster, keys.resource(self._status_context, *place))
        if state is not ResourceState.PENDING or self._states.get(place) not in (None, ResourceState.PENDING):
            new = self._states.get(place) is None
            self._states[place] = state
            reference = (self._owner if new else None) if self._owner else self._context
            kept = ResourceStatus(status=state, reference=reference, digest=digest)
            self._update(ResourceUpdate(app, cluster, resource, kept))
        self.reason(app, cluster, resource, reason)

    def reason(self, app: str, cluster: str, resource: str, reason: str) -> None:
        """Why a resource has failed or what it waits for; its state stays."""
        if not self._silent((app, cluster, resource)) and self._is_news(
            keys.resource_reason(self._status_context, app, cluster, resource), reason
        ):
            self._update(ResourceUpdate(app, cluster, resource, ResourceStatus(reason=reason)))

    def touched(self, app: str, cluster: str) -> None:
        """This context is the one that handles the cluster now."""
        self._ensure(app, cluster, "")
        self._update(ClusterUpdate(app, cluster, ClusterStatus(reference=self._context)))

    def phase(self, app: str, cluster: str, phase: HookPhase) -> None:
        """As what the app comes to the cluster with this context."""
        update = ClusterUpdate(app, cluster, ClusterStatus(phase=phase))
        self._journal.put(self._context, encode_updates(self._context, [update]))

    def installed(self, app: str, cluster: str, *, context: str | None = None) -> None:
        """The app is complete on the cluster as this context has it; or ``""``, is not there any more."""
        found = self._context if context is None else context
        self._update(ClusterUpdate(app, cluster, ClusterStatus(installed=found)))

    def may_be_there(self, app: str, cluster: str, resource: str) -> bool:
        return self._states.get((app, cluster, resource)) not in (None, ResourceState.DELETED)

    def hook(self, app: str, cluster: str, resource: str, *, success: bool) -> None:
        self._update(ResourceUpdate(app, cluster, resource, ResourceStatus(success=success)))

    def definition(self, app: str, cluster: str, resource: str, text: str) -> None:
        self._update(ResourceUpdate(app, cluster, resource, ResourceStatus(definition=text)))

    def connectivity(self, app: str, cluster: str, state: Connectivity, *, reason: str = "") -> None:
        told = reason if self._is_news(keys.cluster_reason(self._context, app, cluster), reason) else None
        update = ClusterUpdate(app, cluster, ClusterStatus(connectivity=state, reason=told))
        self._journal.put(self._context, encode_updates(self._context, [update]))

    def observed(self, updates: Iterable[StatusUpdate], *, told: dict[str, bytes]) -> bool:
        """What the watch saw; of resources, only such that the status context has. False if all was ``told`` before."""
        kept = [update for update in updates if isinstance(update, ClusterUpdate) or self._has(update)]
        puts = [put for put in encode_updates(self._status_context, kept) if told.get(put.key) != put.value]
        told.update((put.key, put.value) for put in puts)
        self._journal.put(self._status_context, puts)
        return bool(puts)

    def belongs_to(self, context: str) -> bool:
        return context in (self._context, self._status_context)

    def is_own(self, label: str) -> bool:
        """Is it the label of an app of this deployment, in whatever revision?"""
        return keys.is_label_of(label, self._status_context)

    def _has(self, update: ResourceUpdate) -> bool:
        return keys.resource(self._status_context, update.app, update.cluster, update.resource) in self._known

    def _update(self, update: StatusUpdate) -> None:
        self._journal.put(self._status_context, encode_updates(self._status_context, [update]))

    def _is_news(self, key: str, reason: str) -> bool:
        """Where no reason was ever given, none is not worth a key."""
        if not reason and key not in self._known:
            return False
        self._known.add(key)
        return True

    def _ensure(self, app: str, cluster: str, resource_key: str) -> None:
        """Make the places that an updated context has and its status context does not know yet."""
        wanted = {
            keys.app(self._status_context, app): app,
            keys.cluster(self._status_context, app, cluster): cluster,
        }
        if resource_key:
            wanted[resource_key] = _PLACEHOLDER
        missing = {key: value for key, value in wanted.items() if key not in self._known}
        if missing:
            self._known.update(missing)
            self._journal.put(self._status_context, [Put(key, values.encode(value)) for key, value in missing.items()])
