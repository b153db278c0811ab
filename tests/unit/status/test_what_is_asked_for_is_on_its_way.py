"""Between a queued event and its beginning the state is that of the event, not what was before (emcoctl 9)."""

from __future__ import annotations

import pytest

from emco_common.appcontext import ContextState as S
from emco_common.appcontext import ContextStatus
from emco_common.appcontext.states import QueueEvent as E
from emco_common.appcontext.states import QueueState as Q
from emco_common.appcontext.status import QueueElement
from emco_common.status.asked import state_told


def told(stored: str | None, *queue: tuple[E, Q]) -> str:
    return state_told(ContextStatus("1", status=stored, queue=tuple(QueueElement(e, status=q) for e, q in queue)))


@pytest.mark.parametrize(
    ("stored", "event", "expected"),
    [
        (None, E.INSTANTIATE, S.INSTANTIATING),
        (S.CREATED, E.INSTANTIATE, S.INSTANTIATING),
        (S.CREATED, E.UPDATE, S.INSTANTIATING),
        (S.INSTANTIATE_FAILED, E.INSTANTIATE, S.INSTANTIATING),
        (S.INSTANTIATED, E.TERMINATE, S.TERMINATING),
        (S.TERMINATE_FAILED, E.TERMINATE, S.TERMINATING),
        (S.INSTANTIATED, E.UPDATE_DELETE, S.UPDATING),
        (S.UPDATED, E.ROLLBACK, S.INSTANTIATING),
        (S.INSTANTIATED, E.ADD_CHILD_CONTEXT, S.INSTANTIATED),
    ],
)
def test_what_waits_is_told_as_begun(stored: str | None, event: E, expected: S) -> None:
    assert told(stored, (event, Q.PENDING)) == expected


@pytest.mark.parametrize("end", [Q.DONE, Q.ERROR, Q.SKIP])
def test_what_is_over_is_told_as_it_is_stored(end: Q) -> None:
    assert told(S.INSTANTIATED, (E.INSTANTIATE, Q.DONE), (E.TERMINATE, end)) == S.INSTANTIATED


def test_without_a_queue_nothing_was_asked_for() -> None:
    assert state_told(ContextStatus("1")) == S.CREATED


def test_a_termination_goes_before_what_it_cuts_short() -> None:
    assert told(S.INSTANTIATING, (E.INSTANTIATE, Q.PENDING), (E.TERMINATE, Q.PENDING)) == S.TERMINATING


@pytest.mark.parametrize("stored", [S.TERMINATING, S.TERMINATED, S.TERMINATE_FAILED])
def test_what_is_gone_is_not_told_as_coming_back(stored: S) -> None:
    assert told(stored, (E.INSTANTIATE, Q.PENDING)) == stored
