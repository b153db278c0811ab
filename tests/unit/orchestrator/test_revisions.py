"""Histories of revisions: what each verb adds, where a rollback may go, which contexts are kept. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import ClusterStatus, ContextStatus, ResourceStatus
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import Action, State, StateInfo, WrongState
from emco_common.operations import Operation, Phase
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.keeping import referred, superseded
from emco_orchestrator.origins import revisions_of
from emco_orchestrator.revising import revised, target_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CALLS = st.lists(st.sampled_from([verb for verb in Verb if verb is not Verb.RECEIVE]), max_size=30)


def after(state: StateInfo, verb: Verb, context: str) -> StateInfo:
    """What a call leaves, as the procedures say it."""
    leads_to = LIFECYCLE.next(verb, state.state, name="g")
    if leads_to is None:
        return state
    match verb:
        case Verb.INSTANTIATE:
            return state.then(Action(leads_to, context, NOW, state.next_revision), status_context=context)
        case Verb.UPDATE:
            return revised(state, Operation(verb, Phase.HANDOVER, context, "p", "", state.instance), NOW)
        case Verb.ROLLBACK:
            others = [entry.action for entry in revisions_of(state) if entry.reachable]
            if not others:
                return state
            target = target_of(state, str(others[0].revision), name="g")
            return revised(state, Operation(verb, Phase.HANDOVER, target, "p", "", state.instance), NOW)
        case Verb.MIGRATE:
            return state.then(Action(leads_to, state.instance, NOW, state.deployed_revision))
        case _:
            return state.then(Action(leads_to, "" if leads_to is State.APPROVED else state.instance, NOW))


def lived(calls: list[Verb]) -> StateInfo:
    state = StateInfo.created(NOW)
    for number, verb in enumerate(calls):
        try:
            state = after(state, verb, str(number))
        except WrongState:
            continue
    return state


@given(CALLS)
def test_whatever_is_called_revisions_only_grow_and_states_are_of_the_table(calls: list[Verb]) -> None:
    state = lived(calls)
    made = [action.revision for action in state.actions if action.state is State.INSTANTIATED]
    assert all(earlier < later for earlier, later in pairwise(made))
    assert state.state in LIFECYCLE.rules[Verb.APPROVE]


@given(CALLS)
def test_a_rollback_reaches_the_other_revisions_of_the_present_deployment_and_no_others(calls: list[Verb]) -> None:
    state = lived(calls)
    running = state.state in (State.INSTANTIATED, State.INSTANTIATE_STOPPED)
    for entry in revisions_of(state):
        if running and entry.reachable:
            assert target_of(state, str(entry.action.revision), name="g") == entry.action.instance
            assert entry.action.instance != state.instance
        elif running:
            with pytest.raises(Conflict):
                target_of(state, str(entry.action.revision), name="g")
    assert sum(entry.current for entry in revisions_of(state)) == int(running)


@given(CALLS, st.integers(2, 4))
def test_what_is_there_its_status_and_the_last_revisions_are_kept(calls: list[Verb], keep: int) -> None:
    state = lived(calls)
    old = superseded(state, keep=keep)
    assert not {state.instance, state.status_context} & set(old)
    recent = list(dict.fromkeys(action.instance for action in reversed(state.deployment)))[:keep]
    assert not set(recent) & set(old)
    assert set(old) <= set(state.instances)
    if len(state.instances) <= keep and state.instances == tuple(dict.fromkeys(a.instance for a in state.deployment)):
        assert old == []


@pytest.mark.parametrize("asked", ["abc", "1_0", "１", "--", "1.0"])
def test_a_revision_is_a_decimal_number(asked: str) -> None:
    with pytest.raises(BadRequest, match=r"^strconv\.ParseInt: parsing"):
        target_of(lived([Verb.APPROVE, Verb.INSTANTIATE, Verb.UPDATE]), asked, name="g")


def test_what_may_be_on_a_cluster_keeps_its_context() -> None:
    status = ContextStatus(
        "1",
        clusters={("web", "a+b"): ClusterStatus(reference="5")},
        resources={
            ("web", "a+b", "applied"): ResourceStatus(status="Applied", reference="2"),
            ("web", "a+b", "pending"): ResourceStatus(status="Pending", reference="3"),
            ("web", "a+b", "deleted"): ResourceStatus(status="Deleted", reference="4"),
            ("web", "a+b", "untouched"): ResourceStatus(reference="6"),
        },
    )
    assert referred(status) == {"2", "3", "5"}
