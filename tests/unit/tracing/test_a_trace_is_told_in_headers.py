"""W3C Trace Context and B3, as they are read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.tracing.wire import Caller, caller_in, caller_of, headers_of, traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HERE = Caller(int(TRACE, 16), int(SPAN, 16), True)
NOT = Caller(HERE.trace_id, HERE.span_id, False)
callers = st.builds(Caller, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())


def read(headers: dict[str, str]) -> Caller | None:
    return caller_of(lambda name: headers.get(name, ""))


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, HERE),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, NOT),
        ({"traceparent": f"cc-{TRACE}-{SPAN}-01-of the future"}, HERE),
        ({"b3": f"{TRACE}-{SPAN}-1"}, HERE),
        ({"b3": f"{TRACE}-{SPAN}-d"}, HERE),
        ({"b3": f"{TRACE}-{SPAN}-0-00f067aa0ba902b7"}, NOT),
        ({"b3": f"{TRACE}-{SPAN}"}, Caller(HERE.trace_id, HERE.span_id, None)),
        ({"b3": "0"}, Caller(sampled=False)),
        ({"x-b3-traceid": TRACE.upper(), "x-b3-spanid": SPAN, "x-b3-sampled": "1"}, HERE),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "0", "x-b3-flags": "1"}, HERE),
        ({"x-b3-traceid": TRACE[16:], "x-b3-spanid": SPAN}, Caller(int(TRACE[16:], 16), HERE.span_id, None)),
        ({"x-b3-sampled": "0"}, Caller(sampled=False)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01", "b3": "0"}, HERE),
    ],
)
def test_what_a_caller_tells_is_understood(headers: dict[str, str], caller: Caller) -> None:
    assert read(headers) == caller


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-01-more"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"b3": f"{TRACE}-{SPAN}-1-2-3"},
        {"b3": TRACE},
        {"x-b3-traceid": TRACE},
        {"x-b3-traceid": "xyz", "x-b3-spanid": SPAN},
    ],
)
def test_what_makes_no_sense_is_as_if_nothing_were_told(headers: dict[str, str]) -> None:
    assert read(headers) is None


@given(callers)
def test_what_is_written_is_read_again_in_either_form(caller: Caller) -> None:
    told = headers_of(caller)
    assert caller_in(traceparent(caller)) == caller
    assert read({"traceparent": told["traceparent"]}) == caller
    assert read({name: value for name, value in told.items() if name != "traceparent"}) == caller


@given(st.dictionaries(st.sampled_from(["traceparent", "b3", "x-b3-traceid", "x-b3-spanid"]), st.text(max_size=80)))
def test_no_text_breaks_it(headers: dict[str, str]) -> None:
    read(headers)
