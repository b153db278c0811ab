"""What an agent can make rsync keep, and what it may send at all (robustness 27)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube.errors import TooManyRequests, Unreachable
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentRequest
from emco_rsync.delivery.carrying import PIECES_AT_ONCE, Measure
from emco_rsync.delivery.session import CHARGE, WINDOW, Misbehaved, Session

pytestmark = pytest.mark.robustness(27)
ASKED = AgentRequest(method="GET", target="/version", accept="application/json")


def said(*answers: AgentAnswer) -> AgentAnswers:
    return AgentAnswers(answers=answers)


async def test_answers_come_to_the_calls_they_are_for() -> None:
    session = Session("agent")
    one, other = session.begin(ASKED), session.begin(ASKED)
    session.take(said(AgentAnswer(call=other.number, status=200, body=b"b", last=True)))
    session.take(said(AgentAnswer(call=one.number, status=404, body=b"a")))
    assert (await one.piece()).body == b"a"
    assert (await other.piece()).body == b"b"
    assert [order.call for order in (await session.orders()).orders] == [1, 2]


async def test_whoever_reads_gives_room_and_whoever_does_not_gives_none() -> None:
    session = Session("agent")
    call = session.begin(ASKED)
    await session.orders()
    session.take(said(AgentAnswer(call=1, status=200, body=bytes(WINDOW - CHARGE))))
    call.read(await call.piece())
    (credit,) = (await session.orders()).orders
    assert credit.credit == WINDOW
    session.take(said(AgentAnswer(call=1, body=bytes(WINDOW - CHARGE))))
    with pytest.raises(Misbehaved, match="more of an answer"):
        session.take(said(AgentAnswer(call=1, body=b"x")))


async def test_many_empty_words_count_as_well() -> None:
    session = Session("agent")
    session.begin(ASKED)
    session.take(said(AgentAnswer(call=1, status=200)))
    with pytest.raises(Misbehaved, match="more of an answer"):
        session.take(said(*(AgentAnswer(call=1, body=b"x") for _ in range(WINDOW // CHARGE))))


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ([AgentAnswer(call=2, status=200)], "nobody made"),
        ([AgentAnswer(call=0, status=200)], "nobody made"),
        ([AgentAnswer(pong=True)], "ping that was not sent"),
        ([AgentAnswer(call=1, body=b"x")], "begin with one status"),
        ([AgentAnswer(call=1, status=200), AgentAnswer(call=1, status=200)], "begin with one status"),
        ([AgentAnswer(call=1, status=200), AgentAnswer(call=1)], "nothing in it"),
        ([AgentAnswer(call=1, failure="x")], "nothing in it"),
        ([AgentAnswer(call=1, status=200, last=True), AgentAnswer(call=1, body=b"x")], "nobody made"),
    ],
)
async def test_what_makes_no_sense_ends_the_session(answers: list[AgentAnswer], word: str) -> None:
    session = Session("agent")
    session.begin(ASKED)
    with pytest.raises(Misbehaved, match=word):
        session.take(said(*answers))


async def test_what_crossed_with_a_cancellation_is_overlooked_but_no_more_than_was_allowed() -> None:
    session = Session("agent")
    session.begin(ASKED).close()
    assert [order.WhichOneof("what") for order in (await session.orders()).orders] == ["request", "cancel"]
    session.take(said(AgentAnswer(call=1, status=200, body=bytes(WINDOW - CHARGE))))
    with pytest.raises(Misbehaved, match="nobody made"):
        session.take(said(AgentAnswer(call=1, body=b"x")))


async def test_the_end_of_the_stream_is_the_end_of_every_call_but_what_has_come_counts() -> None:
    session = Session("the agent of p+edge")
    whole, half, waiting = (session.begin(ASKED) for _ in range(3))
    reading = asyncio.create_task(waiting.piece())
    await asyncio.sleep(0)
    session.take(said(AgentAnswer(call=1, status=200, last=True), AgentAnswer(call=2, status=200, body=b"x")))
    session.end("the connection was lost")
    session.end("another reason")
    assert (await whole.piece()).last
    assert (await half.piece()).body == b"x"
    for call in (half.piece(), reading):
        with pytest.raises(Unreachable, match=r"the agent of p\+edge: the connection was lost"):
            await call
    with pytest.raises(Unreachable):
        session.begin(ASKED)


async def test_so_many_calls_are_made_and_the_next_waits_its_turn() -> None:
    session = Session("agent", calls=2)
    session.begin(ASKED)
    second = session.begin(ASKED)
    with pytest.raises(TooManyRequests):
        session.begin(ASKED)
    second.close()
    session.begin(ASKED)


async def test_whoever_closes_a_call_is_not_left_waiting() -> None:
    session = Session("agent")
    call = session.begin(ASKED)
    reading = asyncio.create_task(call.piece())
    await asyncio.sleep(0)
    call.close()
    with pytest.raises(Unreachable, match="closed"):
        await reading


def test_whoever_sends_more_than_its_share_is_read_more_slowly() -> None:
    now = 0.0
    measure = Measure(lambda: now)
    assert measure.took(int(PIECES_AT_ONCE)) == 0.0
    assert measure.took(4_000) == pytest.approx(1.0)
    now = 60.0
    assert measure.took(100) == 0.0


@given(
    st.lists(
        st.builds(
            AgentAnswer,
            call=st.integers(0, 3),
            status=st.sampled_from([0, 200]),
            body=st.binary(max_size=3),
            last=st.booleans(),
            pong=st.booleans(),
        ),
        max_size=30,
    )
)
def test_whatever_is_said_is_taken_or_refused_and_what_is_kept_is_bounded(answers: list[AgentAnswer]) -> None:
    async def run() -> None:
        session = Session("agent")
        calls = [session.begin(ASKED), session.begin(ASKED)]
        try:
            session.take(said(*answers))
        except Misbehaved:
            session.end("misbehaved")
        for call in calls:
            call.close()

    asyncio.run(run())
