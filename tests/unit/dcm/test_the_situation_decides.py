"""Spec dcm 5.1, 5.5 and 4.1: every cell of the tables, and how state and status make a situation (defects 13, 14)."""

import pytest

from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_dcm import lifecycle
from emco_dcm.lifecycle import Situation, Verb, situation_of

GO = ""
NOT_INSTANTIATED = "The Logical Cloud is not instantiated"
A = "The Logical Cloud is already instantiating"
B = "The Logical Cloud is already instantiated"
C = "The Logical Cloud has failed instantiating before, please terminate and try again"
D = "The Logical Cloud can't be re-instantiated yet, it is being terminated"
E = "The Logical Cloud has failed terminating, please delete the Logical Cloud"
F = "The Logical Cloud is still instantiating"
G = "The Logical Cloud is already being terminated"
H = "The Logical Cloud has already been terminated"
J = "The Logical Cloud is instantiating, please wait and then terminate"
K = "The Logical Cloud is instantiated, please terminate first"
L = "The Logical Cloud has failed instantiating, for safety please terminate and try again"
M = "The Logical Cloud can't be deleted yet, it is being terminated"

TABLE = {
    #                             instantiate terminate       update            delete
    Situation.NEVER: (GO, NOT_INSTANTIATED, NOT_INSTANTIATED, GO),
    Situation.INSTANTIATING: (A, F, NOT_INSTANTIATED, J),
    Situation.INSTANTIATED: (B, GO, GO, K),
    Situation.INSTANTIATE_FAILED: (C, GO, NOT_INSTANTIATED, L),
    Situation.UPDATE_FAILED: (C, GO, GO, L),
    Situation.TERMINATING: (D, G, NOT_INSTANTIATED, M),
    Situation.TERMINATE_STOPPED: (D, GO, NOT_INSTANTIATED, M),
    Situation.TERMINATED: (GO, H, NOT_INSTANTIATED, GO),
    Situation.TERMINATE_FAILED: (E, E, NOT_INSTANTIATED, GO),
}
CELLS = [
    pytest.param(verb, situation, text, id=f"{verb} when {situation}")
    for situation, row in TABLE.items()
    for verb, text in zip((Verb.INSTANTIATE, Verb.TERMINATE, Verb.UPDATE, Verb.DELETE), row, strict=True)
]


@pytest.mark.parametrize(("verb", "situation", "text"), CELLS)
def test_an_operation_goes_or_is_refused(verb: Verb, situation: Situation, text: str) -> None:
    if text == GO:
        lifecycle.check(verb, situation)
        return
    with pytest.raises(Conflict) as caught:
        lifecycle.check(verb, situation)
    assert str(caught.value) == text


def test_there_is_always_a_way_on() -> None:
    for situation, row in TABLE.items():
        under_way = situation in (Situation.INSTANTIATING, Situation.TERMINATING)
        assert under_way or GO in row, situation


def history(*states: State) -> StateInfo:
    return StateInfo("7", tuple(Action(state, "" if state is State.CREATED else "7") for state in states))


CREATED, RUNNING, ENDED = State.CREATED, State.INSTANTIATED, State.TERMINATED
STOPPED, END_STOPPED = State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED


@pytest.mark.parametrize(
    ("state", "status", "situation"),
    [
        (RUNNING, None, Situation.INSTANTIATING),
        (RUNNING, "Created", Situation.INSTANTIATING),
        (RUNNING, "Instantiating", Situation.INSTANTIATING),
        (RUNNING, "Instantiated", Situation.INSTANTIATED),
        (RUNNING, "InstantiateFailed", Situation.INSTANTIATE_FAILED),
        (State.UPDATED, "Updating", Situation.INSTANTIATING),
        (State.UPDATED, "Updated", Situation.INSTANTIATED),
        (State.UPDATED, "UpdatedFailed", Situation.UPDATE_FAILED),
        (State.UPDATED, "InstantiateFailed", Situation.UPDATE_FAILED),
        (STOPPED, None, Situation.INSTANTIATE_FAILED),
        (STOPPED, "Instantiating", Situation.INSTANTIATE_FAILED),
        (STOPPED, "Instantiated", Situation.INSTANTIATED),
        (ENDED, "Instantiated", Situation.TERMINATING),
        (ENDED, None, Situation.TERMINATING),
        (ENDED, "Terminating", Situation.TERMINATING),
        (ENDED, "Terminated", Situation.TERMINATED),
        (ENDED, "TerminateFailed", Situation.TERMINATE_FAILED),
        (END_STOPPED, "Terminating", Situation.TERMINATE_STOPPED),
        (END_STOPPED, "TerminateFailed", Situation.TERMINATE_STOPPED),
        (END_STOPPED, "Terminated", Situation.TERMINATED),
    ],
)
def test_state_and_status_make_a_situation(state: State, status: str | None, situation: Situation) -> None:
    assert situation_of(history(CREATED, state), status) is situation


def test_without_a_context_there_was_never_anything() -> None:
    assert situation_of(history(CREATED), None) is Situation.NEVER


def test_a_context_that_is_gone_counts_as_terminated() -> None:
    assert situation_of(history(CREATED, RUNNING), None, exists=False) is Situation.TERMINATED


@pytest.mark.parametrize(
    ("verb", "situation"),
    [
        (Verb.INSTANTIATE, Situation.INSTANTIATING),
        (Verb.UPDATE, Situation.INSTANTIATING),
        (Verb.RENEW, Situation.INSTANTIATING),
        (Verb.TERMINATE, Situation.TERMINATING),
        (Verb.STOP, Situation.INSTANTIATED),
    ],
)
def test_an_operation_that_is_under_way_counts_for_what_it_leads_to(verb: Verb, situation: Situation) -> None:
    assert situation_of(history(CREATED, RUNNING), "Instantiated", under_way=verb) is situation


@pytest.mark.parametrize(
    ("state", "situation", "leads_to"),
    [
        (RUNNING, Situation.INSTANTIATING, STOPPED),
        (State.UPDATED, Situation.INSTANTIATING, STOPPED),
        (ENDED, Situation.TERMINATING, END_STOPPED),
    ],
)
def test_what_is_under_way_can_be_stopped(state: State, situation: Situation, leads_to: State) -> None:
    assert lifecycle.stopped(state, situation) is leads_to


@pytest.mark.parametrize(
    ("state", "situation", "kind", "text"),
    [
        (CREATED, Situation.NEVER, Conflict, "LogicalCloud has not been asked to instantiate: "),
        (RUNNING, Situation.INSTANTIATED, Conflict, "LogicalCloud is not instantiating or terminating: "),
        (ENDED, Situation.TERMINATED, Conflict, "LogicalCloud is not instantiating or terminating: "),
        (STOPPED, Situation.INSTANTIATE_FAILED, Conflict, "LogicalCloud instantiation already stopped: "),
        (END_STOPPED, Situation.TERMINATE_STOPPED, Conflict, "LogicalCloud termination already stopped: "),
        (State.APPROVED, Situation.NEVER, BadRequest, "LogicalCloud is in an invalid state: "),
    ],
)
def test_what_rests_cannot_be_stopped(state: State, situation: Situation, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        lifecycle.stopped(state, situation)

    assert str(caught.value) == text


ADD = "Cluster References cannot be added/removed unless the Logical Cloud is fully Instantiated or Terminated"
REMOVE = "Can't remove Cluster Reference: the Logical Cloud "
REFERENCES = {
    Situation.NEVER: (GO, GO),
    Situation.INSTANTIATING: (ADD, f"{REMOVE}is instantiating, please wait and then terminate."),
    Situation.INSTANTIATED: (GO, GO),
    Situation.INSTANTIATE_FAILED: (
        ADD,
        f"{REMOVE}has failed instantiating, for safety please terminate and try again",
    ),
    Situation.UPDATE_FAILED: (GO, GO),
    Situation.TERMINATING: (ADD, f"{REMOVE}is being terminated"),
    Situation.TERMINATE_STOPPED: (ADD, f"{REMOVE}is being terminated"),
    Situation.TERMINATED: (GO, GO),
    Situation.TERMINATE_FAILED: (ADD, GO),
}


@pytest.mark.parametrize("situation", Situation)
def test_references_come_and_go_by_the_situation(situation: Situation) -> None:
    checks = (lifecycle.check_reference_added, lifecycle.check_reference_removed)
    for check, text in zip(checks, REFERENCES[situation], strict=True):
        if text == GO:
            check(situation)
            continue
        with pytest.raises(Conflict) as caught:
            check(situation)
        assert str(caught.value) == text
