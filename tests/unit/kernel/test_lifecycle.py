"""The history of an object: state, instance, revision, and where its status is kept."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.lifecycle import Action, NoStateInformation, State, StateInfo, WrongState
from emco_orchestrator.groups import LIFECYCLE, Verb

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

HISTORY = StateInfo(
    "A",
    (
        Action(State.CREATED, "", NOON),
        Action(State.INSTANTIATED, "A", NOON, 1),
        Action(State.UPDATED, "A", NOON, 1),
        Action(State.INSTANTIATED, "B", NOON, 2),
        Action(State.TERMINATED, "B", NOON, 0),
    ),
)

actions = st.builds(
    Action,
    st.sampled_from(State),
    st.text("0123456789", max_size=19),
    st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)),
    st.integers(0, 2**40),
    st.text(max_size=20),
)


@given(st.lists(actions, min_size=1, max_size=8).map(tuple), st.text("0123456789", max_size=19))
def test_a_history_read_back_is_the_same(history: tuple[Action, ...], status_context: str) -> None:
    info = StateInfo(status_context, history)
    assert StateInfo.from_json(info.as_json()) == info


def test_times_are_shown_in_utc_with_milliseconds() -> None:
    assert HISTORY.as_json()["actions"][0]["time"] == "2026-03-01T12:00:00.250Z"


def test_the_last_action_is_the_present() -> None:
    assert (HISTORY.state, HISTORY.instance, HISTORY.instances) == (State.TERMINATED, "B", ("A", "B"))


def test_the_status_of_an_instance_is_kept_by_the_nearest_instantiation_before_it() -> None:
    assert HISTORY.status_context_of("A") == "A"
    assert HISTORY.status_context_of("B") == "B"


def test_revisions_only_grow_also_over_a_termination() -> None:
    assert (HISTORY.deployed_revision, HISTORY.next_revision) == (2, 3)
    assert (StateInfo.created(NOON).deployed_revision, StateInfo.created(NOON).next_revision) == (0, 1)


def test_a_deployment_goes_on_over_updates_and_ends_with_the_next_instantiation() -> None:
    assert [action.revision for action in HISTORY.deployment] == [1, 1, 2, 0]
    again = HISTORY.then(Action(State.INSTANTIATED, "C", NOON, 3))
    assert [action.instance for action in again.deployment] == ["C"]
    assert StateInfo.created(NOON).deployment == ()


def test_an_unknown_instance_is_refused_by_name() -> None:
    with pytest.raises(NoStateInformation, match="No state information for 77"):
        HISTORY.status_context_of("77")


@given(st.lists(st.sampled_from(Verb), max_size=12))
def test_any_sequence_of_calls_leaves_a_group_in_a_state_of_the_table(calls: list[Verb]) -> None:
    state = State.CREATED
    for verb in calls:
        with contextlib.suppress(WrongState):
            state = LIFECYCLE.next(verb, state, name="g") or state
        assert state in LIFECYCLE.rules[verb]


def test_every_refusal_has_the_words_of_the_specification() -> None:
    with pytest.raises(WrongState, match="^DeploymentIntentGroup must be Approved before instantiatingg$") as refused:
        LIFECYCLE.next(Verb.INSTANTIATE, State.CREATED, name="g")
    known = "g is in the state Created; instantiate is possible in Approved, Terminated, TerminateStopped"
    assert refused.value.detail == known
    with pytest.raises(WrongState, match="^DeploymentIntentGroup is not instantiated :g$"):
        LIFECYCLE.next(Verb.TERMINATE, State.APPROVED, name="g")
