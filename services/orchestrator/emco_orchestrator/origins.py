"""What a revision was made from, small enough to be kept with each, and the history as its readers see it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emco_common.lifecycle import Action, State, StateInfo
from emco_orchestrator.inputs import AppInput, Inputs

_DIGITS = 12


def origin_of(inputs: Inputs, *, verb: str = "") -> Mapping[str, object]:
    """Digests by which two revisions can be told apart, app by app; ``verb`` where history alone does not tell it."""
    return {
        "verb": verb,
        "release": inputs.group.spec["version"],
        "logicalCloud": inputs.cloud.name,
        "compositeProfile": inputs.group.spec["compositeProfile"],
        "apps": [_origin_of_app(app) for app in inputs.apps],
    }


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history of revisions. ``reachable``: a rollback may go there if its context is kept."""

    action: Action
    verb: str
    current: bool
    reachable: bool


def revisions_of(state: StateInfo) -> Sequence[Entry]:
    """Every revision of a group, oldest first."""
    running = state.state in (State.INSTANTIATED, State.INSTANTIATE_STOPPED)
    reachable = {action.revision for action in state.deployment if action.revision} if running else set()
    return [
        Entry(
            action,
            _verb(state, index),
            current=running and action.revision == state.deployed_revision,
            reachable=action.revision in reachable and action.instance != state.instance,
        )
        for index, action in enumerate(state.actions)
        if action.state is State.INSTANTIATED
    ]


def _verb(state: StateInfo, index: int) -> str:
    before, action = state.actions[:index], state.actions[index]
    if before and before[-1].state is State.UPDATED:
        return "rollback" if any(other.instance == action.instance for other in before) else "update"
    return "instantiate"


def _origin_of_app(app: AppInput) -> Mapping[str, str]:
    said: Any = {
        "overrides": app.overrides,
        "placement": app.placement,
        "dependencies": [[d.app, d.op_status, d.wait] for d in app.dependencies],
    }
    intents = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    digests = {"chart": app.chart, "profile": app.profile, "intents": intents}
    return {"name": app.name} | {part: digest[:_DIGITS] for part, digest in digests.items()}
