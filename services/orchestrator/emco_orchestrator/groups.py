"""A deployment intent group in the store: its history and the one operation that may be under way on it.

The operation is recorded before anything is done, so that a crash leaves its trace and a second one is refused. All
writes are compare-and-swap on the document (spec orchestrator-lifecycle 1 and its defects 1, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from emco_common.errors import Conflict, NotFound
from emco_common.lifecycle import STATE_TAG, Action, Lifecycle, Refusal, State, StateInfo
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentStore, Key, StaleRevision
from emco_orchestrator.resources import GROUP

OPERATION_TAG = "operation"
_ATTEMPTS = 5


class Verb(StrEnum):
    APPROVE = "approve"
    INSTANTIATE = "instantiate"
    TERMINATE = "terminate"


class Phase(StrEnum):
    """``BUILDING``: nothing outside knows of the context; ``HANDOVER``: rsync may have been told."""

    BUILDING = "building"
    HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Operation:
    """What is being done, to which context, by which process since when (RFC 3339)."""

    verb: Verb
    phase: Phase
    instance: str
    owner: str
    since: str

    def as_json(self) -> dict[str, str]:
        return {
            "verb": self.verb,
            "phase": self.phase,
            "instance": self.instance,
            "owner": self.owner,
            "since": self.since,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, str]) -> Operation:
        return cls(Verb(raw["verb"]), Phase(raw["phase"]), raw["instance"], raw["owner"], raw["since"])


_UNKNOWN = Refusal("DeploymentIntentGroup is in an unknown state: {state}")
_NOT_RUNNING = Refusal("DeploymentIntentGroup is not instantiated :{name}")
_RUNNING = Refusal("DeploymentIntentGroup has already been instantiated{name}")

LIFECYCLE = Lifecycle(
    {
        Verb.APPROVE: {
            State.CREATED: State.APPROVED,
            State.APPROVED: None,
            State.INSTANTIATED: _RUNNING,
            State.INSTANTIATE_STOPPED: _UNKNOWN,
            State.TERMINATED: State.APPROVED,
            State.TERMINATE_STOPPED: _UNKNOWN,
            State.UPDATED: State.APPROVED,
        },
        Verb.INSTANTIATE: {
            State.CREATED: Refusal("DeploymentIntentGroup must be Approved before instantiating{name}"),
            State.APPROVED: State.INSTANTIATED,
            State.INSTANTIATED: _RUNNING,
            State.INSTANTIATE_STOPPED: Refusal("DeploymentIntentGroup has already been instantiated and stopped{name}"),
            State.TERMINATED: State.INSTANTIATED,
            State.TERMINATE_STOPPED: State.INSTANTIATED,
            State.UPDATED: _UNKNOWN,
        },
        Verb.TERMINATE: {
            State.CREATED: _NOT_RUNNING,
            State.APPROVED: _NOT_RUNNING,
            State.INSTANTIATED: State.TERMINATED,
            State.INSTANTIATE_STOPPED: State.TERMINATED,
            State.TERMINATED: _NOT_RUNNING,
            State.TERMINATE_STOPPED: _NOT_RUNNING,
            State.UPDATED: _NOT_RUNNING,
        },
    }
)


@dataclass(frozen=True, slots=True)
class Group:
    """One deployment intent group as read."""

    document: Document

    @property
    def name(self) -> str:
        return self.document.key["deploymentIntentGroup"]

    @property
    def key(self) -> Key:
        return self.document.key

    @property
    def composite(self) -> Key:
        return {name: self.key[name] for name in ("project", "compositeApp", "compositeAppVersion")}

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.document.body["spec"]
        return spec

    @property
    def state(self) -> StateInfo:
        return StateInfo.from_json(self.document.tags[STATE_TAG])

    @property
    def operation(self) -> Operation | None:
        raw = self.document.tags.get(OPERATION_TAG)
        return Operation.from_json(raw) if raw else None

    def with_tags(self, *, state: StateInfo | None = None, operation: Operation | None) -> Group:
        tags = {name: value for name, value in self.document.tags.items() if name != OPERATION_TAG}
        if state is not None:
            tags[STATE_TAG] = state.as_json()
        if operation is not None:
            tags[OPERATION_TAG] = operation.as_json()
        return Group(replace(self.document, tags=tags))


class Groups:
    """Reads and changes groups; ``presence`` is this process among those that serve the same store."""

    def __init__(self, store: DocumentStore, clock: Clock, presence: Presence) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence

    async def read(self, key: Key) -> Group:
        document = await self._store.get(key)
        if document is None:
            raise NotFound(GROUP.not_found)
        return Group(document)

    async def left_behind(self) -> list[Group]:
        """Groups with an operation of this process, or of one that is gone; all of them are this process's now."""
        others = await self._presence.others()
        groups = map(Group, await self._store.list(GROUP.key_names, {}))
        left = [group for group in groups if group.operation and group.operation.owner not in others]
        return [await self._take_over(group, others) for group in left]

    async def approve(self, key: Key) -> None:
        def approved(group: Group) -> Group | None:
            self._refuse_if_busy(group)
            state = LIFECYCLE.next(Verb.APPROVE, group.state.state, name=group.name)
            if state is None:
                return None
            action = Action(state, time=self._clock())
            return group.with_tags(state=group.state.then(action), operation=None)

        await self.change(key, approved)

    async def begin(self, key: Key, verb: Verb, instance: str | None = None) -> Group:
        """Record the start of an operation; exactly one of several callers succeeds, the others get a ``Conflict``."""
        await self._presence.wait()

        def begun(group: Group) -> Group:
            self._refuse_if_busy(group)
            LIFECYCLE.next(verb, group.state.state, name=group.name)
            operation = Operation(
                verb,
                Phase.BUILDING if verb is Verb.INSTANTIATE else Phase.HANDOVER,
                instance or group.state.instance,
                self._presence.name,
                self._clock().isoformat(timespec="milliseconds"),
            )
            return group.with_tags(operation=operation)

        return await self.change(key, begun)

    async def enter(self, key: Key, instance: str, phase: Phase) -> None:
        """The operation is in ``phase`` from here on. Raises ``Conflict`` if another process has taken over."""
        await self.change(
            key, lambda group: group.with_tags(operation=replace(self._own(group, instance), phase=phase))
        )

    async def finish(self, key: Key, instance: str, action: Action | None) -> None:
        """End the operation, with what it achieved or, without an action, as if it had never been.

        Nothing is done if it was ended already; ``Conflict`` if another process has taken over.
        """

        def finished(group: Group) -> Group | None:
            if group.operation is None or group.operation.instance != instance:
                return None
            self._own(group, instance)
            if action is None:
                return group.with_tags(operation=None)
            first = action.state is State.INSTANTIATED
            state = group.state.then(action, status_context=instance if first else None)
            return group.with_tags(state=state, operation=None)

        await self.change(key, finished)

    async def _take_over(self, group: Group, others: frozenset[str]) -> Group:
        def taken(present: Group) -> Group | None:
            operation = present.operation
            if operation is None or operation.owner in others or operation.owner == self._presence.name:
                return None
            return present.with_tags(operation=replace(operation, owner=self._presence.name))

        return await self.change(group.key, taken)

    def _own(self, group: Group, instance: str) -> Operation:
        operation = group.operation
        if operation is None or operation.instance != instance or operation.owner != self._presence.name:
            raise Conflict(f"DeploymentIntentGroup {group.name}: another process has taken over; look at its status")
        return operation

    async def change(self, key: Key, decide: Callable[[Group], Group | None]) -> Group:
        """Read, decide, write; again when somebody else wrote in between. ``None`` from ``decide`` writes nothing."""
        for _ in range(_ATTEMPTS):
            group = await self.read(key)
            changed = decide(group)
            if changed is None:
                return group
            try:
                return Group(await self._store.replace(changed.document, expected=group.document.revision))
            except StaleRevision:
                continue
        raise Conflict(f"DeploymentIntentGroup {key['deploymentIntentGroup']} is being changed by others; try again")

    def _refuse_if_busy(self, group: Group) -> None:
        if group.operation is not None:
            under_way = f"{group.operation.verb} is under way since {group.operation.since}"
            raise Conflict(f"DeploymentIntentGroup {group.name} is busy: {under_way}; try again when it has ended")
