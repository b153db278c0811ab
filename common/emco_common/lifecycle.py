"""States, the table of allowed transitions, and the history that goes with an object (``stateInfo``).

Used for deployment intent groups, logical clouds and cluster networks (spec orchestrator-lifecycle 1, appcontext 10.3).
Everything here is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from emco_common.errors import Conflict, NotFound

STATE_TAG = "stateInfo"
"""The tag of a document that holds its history."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    CREATED = "Created"
    APPROVED = "Approved"
    APPLIED = "Applied"
    INSTANTIATED = "Instantiated"
    INSTANTIATE_STOPPED = "InstantiateStopped"
    TERMINATED = "Terminated"
    TERMINATE_STOPPED = "TerminateStopped"
    UPDATED = "Updated"


class WrongState(Conflict):
    """The operation is not allowed in the present state."""


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the history. ``instance`` is the AppContext it made, ``reason`` why it came about."""

    state: State
    instance: str = ""
    time: datetime = _EPOCH
    revision: int = 0
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "state": str(self.state),
            "instance": self.instance,
            "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "revision": self.revision,
        }
        return answer | ({"reason": self.reason} if self.reason else {})

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Action:
        return cls(
            State(raw["state"]),
            raw.get("instance", ""),
            datetime.fromisoformat(raw["time"]),
            raw.get("revision", 0),
            raw.get("reason", ""),
        )


@dataclass(frozen=True, slots=True)
class StateInfo:
    """The history of one object; the last action is its state."""

    status_context: str = ""
    actions: tuple[Action, ...] = ()

    @classmethod
    def created(cls, now: datetime) -> StateInfo:
        """The history of a new object."""
        return cls(actions=(Action(State.CREATED, time=now),))

    @property
    def state(self) -> State:
        return self.actions[-1].state

    @property
    def instance(self) -> str:
        """The current AppContext, empty before the first instantiate."""
        return self.actions[-1].instance

    @property
    def revision(self) -> int:
        return self.actions[-1].revision

    @property
    def instances(self) -> tuple[str, ...]:
        """Every AppContext of the history once, oldest first."""
        return tuple(dict.fromkeys(action.instance for action in self.actions if action.instance))

    @property
    def latest(self) -> Action | None:
        """The last action that has an AppContext: an approval may follow it."""
        return next((action for action in reversed(self.actions) if action.instance), None)

    @property
    def deployed_revision(self) -> int:
        """The revision that is deployed, or was when the last deployment ended; 0 before the first."""
        return next((action.revision for action in reversed(self.actions) if action.revision), 0)

    @property
    def next_revision(self) -> int:
        """Revisions only grow, also over terminations (orchestrator-lifecycle defect 22)."""
        return max((action.revision for action in self.actions), default=0) + 1

    @property
    def deployment(self) -> tuple[Action, ...]:
        """The present deployment, or the last one: from its instantiation on. An update goes on with the same one."""
        began = [
            index
            for index, action in enumerate(self.actions)
            if action.state is State.INSTANTIATED and (not index or self.actions[index - 1].state is not State.UPDATED)
        ]
        return self.actions[began[-1] :] if began else ()

    def then(self, action: Action, *, status_context: str | None = None) -> StateInfo:
        known = self.status_context if status_context is None else status_context
        return replace(self, actions=(*self.actions, action), status_context=known)

    def status_context_of(self, instance: str) -> str:
        """Where the status of ``instance`` is kept: the nearest instantiation at or before it (appcontext 10.3)."""
        index = next((i for i, action in enumerate(self.actions) if action.instance == instance), None)
        if index is None:
            raise NoStateInformation(f"No state information for {instance}")
        for action in reversed(self.actions[: index + 1]):
            if action.state in (State.INSTANTIATED, State.APPLIED):
                return action.instance
        raise NoStateInformation(f"Status context ID not found for {instance}")

    def as_json(self) -> dict[str, Any]:
        return {"statusctxid": self.status_context, "actions": [action.as_json() for action in self.actions]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> StateInfo:
        return cls(raw.get("statusctxid", ""), tuple(Action.from_json(action) for action in raw["actions"]))


class NoStateInformation(NotFound):
    """An AppContext that is not part of this object's history."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operation is not possible in a state; ``{name}`` and ``{state}`` are filled in."""

    text: str


Rule = State | Refusal | None
"""The state an operation leads to, why it is refused, or ``None`` when it is granted and changes nothing."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """One table per kind of object: operation → present state → rule."""

    rules: Mapping[str, Mapping[State, Rule]]

    def next(self, operation: str, state: State, *, name: str) -> State | None:
        """Where ``operation`` leads from ``state``; ``None`` if nothing changes. Raises ``WrongState``."""
        rules = self.rules[operation]
        rule = rules.get(state, Refusal("{name} is in an unknown state: {state}"))
        if isinstance(rule, Refusal):
            possible = ", ".join(known for known, other in rules.items() if not isinstance(other, Refusal))
            detail = f"{name} is in the state {state}; {operation} is possible in {possible or 'none'}"
            raise WrongState(rule.text.format(name=name, state=state), detail=detail)
        return rule
