"""Laws of the life of networks: whatever is called in whatever order, the state is one of the table (spec ncm 5)."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import ContextState
from emco_common.errors import Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_ncm import lifecycle
from emco_ncm.lifecycle import Progress, Verb

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN = {State.CREATED, State.APPLIED, State.INSTANTIATE_STOPPED, State.TERMINATED, State.TERMINATE_STOPPED}
progresses = st.builds(Progress, st.one_of(st.none(), st.sampled_from(ContextState)), st.booleans())
verbs = st.sampled_from([Verb.APPLY, Verb.UPDATE, Verb.TERMINATE, Verb.STOP])


def carried_out(info: StateInfo, verb: Verb, progress: Progress, fresh: str) -> StateInfo:
    """The history after a call, as the procedures write it."""
    try:
        match verb:
            case Verb.APPLY:
                how = lifecycle.to_apply(info, progress)
                if how is None:
                    return info
                instance = info.instance if how is Verb.RETRY else fresh
                return info.then(Action(State.APPLIED, instance, NOW), status_context=instance)
            case Verb.UPDATE:
                lifecycle.check_update(info, progress)
                return info.then(Action(State.APPLIED, fresh, NOW))
            case Verb.TERMINATE:
                goes = lifecycle.to_terminate(info, progress)
                return info.then(Action(State.TERMINATED, info.instance, NOW)) if goes else info
            case _:
                return info.then(Action(lifecycle.stopped(info, progress), info.instance, NOW))
    except Conflict:
        return info


@given(st.lists(st.tuples(verbs, progresses), max_size=20))
def test_any_calls_in_any_order_leave_a_state_of_the_table(calls: list[tuple[Verb, Progress]]) -> None:
    info = StateInfo.created(NOW)
    for number, (verb, progress) in enumerate(calls):
        info = carried_out(info, verb, progress, str(number))
        assert info.state in KNOWN
        assert bool(info.instance) == (info.state is not State.CREATED)
        assert lifecycle.source_of(info) != info.instance or not info.instance


@given(st.sampled_from(State), progresses)
def test_every_verb_has_an_answer_in_every_state(state: State, progress: Progress) -> None:
    info = StateInfo.created(NOW).then(Action(state, "1", NOW))
    for verb in (Verb.APPLY, Verb.UPDATE, Verb.TERMINATE, Verb.STOP):
        after = carried_out(info, verb, progress, "2")
        assert state in KNOWN or after == info


def test_a_context_knows_what_it_updated() -> None:
    applied = StateInfo.created(NOW).then(Action(State.APPLIED, "1", NOW))
    updated = applied.then(Action(State.APPLIED, "2", NOW))
    anew = updated.then(Action(State.TERMINATED, "2", NOW)).then(Action(State.APPLIED, "3", NOW))
    again = updated.then(Action(State.APPLIED, "2", NOW))
    assert [lifecycle.source_of(info) for info in (applied, updated, again, anew)] == ["", "1", "1", ""]
