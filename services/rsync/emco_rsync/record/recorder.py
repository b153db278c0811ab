"""What happened to the resources of one context, in the keys where every reader looks for it (appcontext 4.2, 7).

Status is collected in the status context; connectivity and states belong to the context that is worked on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
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
from emco_rsync.record.held import Cell, Held, Place
from emco_rsync.record.journal import Pen

_PLACEHOLDER = "nil"
_SETTLED = frozenset({ResourceState.APPLIED, ResourceState.DELETED})
_NO_NEWS = ResourceStatus()


class Recorder:
    """``held`` is what the status context has."""

    def __init__(self, journal: Pen, *, context: str, status_context: str, held: Held | None = None) -> None:
        self._journal = journal
        self._context = context
        self._owner = ""
        self._silent: Callable[[Place], bool] = lambda place: False
        self._status_context = status_context
        self._held = held or Held()

    @property
    def context(self) -> str:
        """The context that is worked on."""
        return self._context

    @property
    def fence(self) -> Fence:
        """The right to write for the deployment."""
        return self._journal.fence

    async def flush(self) -> None:
        """Returns when the bus has all that was told."""
        await self._journal.flush(self._context, self._status_context)

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
        """The state a resource has come to, and why; of an applied one, what the cluster acknowledged as ours."""
        place = (app, cluster, resource)
        if self._silent(place):
            return
        self._ensure(app, cluster, resource)
        former, reference = self._held.cell(place), None
        told = state is not ResourceState.PENDING or former.state not in (None, ResourceState.PENDING)
        if told:
            reference = (self._owner if former.state is None else None) if self._owner else self._context
        status = ResourceStatus(
            status=state if told else None,
            reference=reference,
            reason=reason if reason or former.reason else None,  # where none was ever given, none is not worth a key
            drift="" if former.drift and state in _SETTLED else None,
            digest=digest if told else "",
        )
        if status != _NO_NEWS:
            self._held.put(
                place,
                Cell(
                    state=str(state) if told else former.state,
                    digest=digest if told else former.digest,
                    reason=former.reason or bool(reason),
                    drift=former.drift if status.drift is None else "",
                ),
            )
            self._update(ResourceUpdate(app, cluster, resource, status))

    def reason(self, app: str, cluster: str, resource: str, reason: str) -> None:
        """Why a resource has failed or what it waits for; its state stays."""
        place = (app, cluster, resource)
        if self._silent(place):
            return
        if not self._held.cell(place).reason:
            if not reason:
                return  # where none was ever given, none is not worth a key
            self._held.change(place, reason=True)
        self._update(ResourceUpdate(*place, ResourceStatus(reason=reason)))

    def drift(self, app: str, cluster: str, resource: str, text: str) -> bool:
        """What others have changed of a resource on the cluster; ``""`` for nothing. False if that was told before."""
        place = (app, cluster, resource)
        if self._held.cell(place).drift == text:
            return False
        self._held.change(place, drift=text)
        self._update(ResourceUpdate(*place, ResourceStatus(drift=text)))
        return True

    def acknowledged(self, app: str, cluster: str) -> dict[str, str]:
        """Of each resource that is applied at present, the digest of what the cluster acknowledged, perhaps ``""``."""
        cells = self._held.cells(app, cluster)
        return {name: cell.digest for name, cell in cells.items() if cell.state == ResourceState.APPLIED}

    def count_drifted(self, app: str, cluster: str) -> int:
        return self._held.drifted(app, cluster)

    def drifted(self, app: str, cluster: str) -> list[str]:
        """The resources of which others have changed something, as far as was told."""
        if not self._held.drifted(app, cluster):
            return []
        return [name for name, cell in self._held.cells(app, cluster).items() if cell.drift]

    def touched(self, app: str, cluster: str) -> None:
        """This context is the one that handles the cluster now."""
        self._ensure(app, cluster)
        self._update(ClusterUpdate(app, cluster, ClusterStatus(reference=self._context)))

    def phase(self, app: str, cluster: str, phase: HookPhase) -> None:
        """As what the app comes to the cluster with this context."""
        update = ClusterUpdate(app, cluster, ClusterStatus(phase=phase))
        self._journal.put(self._context, encode_updates(self._context, [update]))

    def installed(self, app: str, cluster: str, *, context: str | None = None) -> None:
        """The app is complete on the cluster as this context has it; or ``""``, is not there any more."""
        found = self._context if context is None else context
        self._update(ClusterUpdate(app, cluster, ClusterStatus(installed=found)))

    def is_applied(self, app: str, cluster: str, resource: str) -> bool:
        return self._held.cell((app, cluster, resource)).state == ResourceState.APPLIED

    def may_be_there(self, app: str, cluster: str, resource: str) -> bool:
        return self._held.cell((app, cluster, resource)).state not in (None, ResourceState.DELETED)

    def hook(self, app: str, cluster: str, resource: str, *, success: bool) -> None:
        self._update(ResourceUpdate(app, cluster, resource, ResourceStatus(success=success)))

    def definition(self, app: str, cluster: str, resource: str, text: str) -> None:
        self._update(ResourceUpdate(app, cluster, resource, ResourceStatus(definition=text)))

    def connectivity(self, app: str, cluster: str, state: Connectivity, *, reason: str = "") -> None:
        told = reason if self._held.reason_of(app, cluster, reason) else None
        update = ClusterUpdate(app, cluster, ClusterStatus(connectivity=state, reason=told))
        self._journal.put(self._context, encode_updates(self._context, [update]))

    def observed(self, updates: Iterable[StatusUpdate], *, told: dict[str, object]) -> None:
        """What the watch saw of one app on one cluster; of resources, only such that the status context has.

        ``told`` is kept for the next time: what was told before is not told again.
        """
        news: list[StatusUpdate] = []
        for update in updates:
            if isinstance(update, ClusterUpdate):
                name, state = "", _digest_of(update.status)
            elif self._has(update):
                name, state = update.resource, update.status
            else:
                continue
            if told.get(name) != state:
                told[name] = state
                news.append(update)
        self._journal.put(self._status_context, encode_updates(self._status_context, news))

    def belongs_to(self, context: str) -> bool:
        return context in (self._context, self._status_context)

    def is_own(self, label: str) -> bool:
        """Is it the label of an app of this deployment, in whatever revision?"""
        return keys.is_label_of(label, self._status_context)

    def _has(self, update: ResourceUpdate) -> bool:
        return self._held.has((update.app, update.cluster, update.resource))

    def _update(self, update: StatusUpdate) -> None:
        self._journal.put(self._status_context, encode_updates(self._status_context, [update]))

    def _ensure(self, app: str, cluster: str, resource: str = "") -> None:
        """Make the places that an updated context has and its status context does not know yet."""
        missing: dict[str, str] = {}
        if not self._held.app(app):
            missing[keys.app(self._status_context, app)] = app
        if not self._held.cluster(app, cluster):
            missing[keys.cluster(self._status_context, app, cluster)] = cluster
        if resource and not self._held.resource((app, cluster, resource)):
            missing[keys.resource(self._status_context, app, cluster, resource)] = _PLACEHOLDER
        if missing:
            self._journal.put(self._status_context, [Put(key, values.encode(value)) for key, value in missing.items()])


def _digest_of(status: ClusterStatus) -> object:
    """The text itself may be nearly a megabyte."""
    return hashlib.blake2b((status.status or "").encode(), digest_size=16).digest(), status.ready
