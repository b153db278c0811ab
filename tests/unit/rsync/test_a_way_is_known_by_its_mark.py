"""A link keeps the mark of its way alone, and takes up another way when the access record says another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emco_rsync.reach.ways import Way

TEXT = st.sampled_from(["", "a", "b"])
PAIRS = st.dictionaries(TEXT, TEXT)
WAYS = st.builds(Way, TEXT.map(str.encode), PAIRS, PAIRS, PAIRS, TEXT)


@given(WAYS, WAYS)
def test_the_marks_are_equal_where_the_ways_are(one: Way, other: Way) -> None:
    assert (one.mark == other.mark) is (one == other)


def test_a_mark_tells_nothing_of_the_credentials() -> None:
    way = Way(b"secret" * 1000)
    assert len(way.mark) == 16
    assert b"secret" not in way.mark
