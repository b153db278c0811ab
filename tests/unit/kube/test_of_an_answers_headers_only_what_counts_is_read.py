"""Status and ``Retry-After`` of an HTTP/2 answer, from whatever encoding a server chooses."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import frames
from emco_common.kube.fields import answer_of
from emco_common.kube.frames import Malformed

NAMES = st.sampled_from(["audit-id", "date", "content-type", "x-a", "cache-control", "accept"]) | st.text(
    "abcdefghijklmnopqrstuvwxyz-", min_size=1
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(
    status=st.integers(100, 599),
    before=st.dictionaries(NAMES, VALUES, max_size=6),
    retry_after=st.none() | st.integers(0, 10**6).map(str),
    huffman=st.booleans(),
)
def test_the_status_is_found_among_whatever_else_is_told(
    status: int, before: dict[str, str], retry_after: str | None, huffman: bool
) -> None:
    encoder = Encoder()
    encoder.header_table_size = 0
    headers = [(":status", str(status)), *before.items()]
    if retry_after is not None:
        headers.insert(len(headers) // 2 + 1, ("retry-after", retry_after))
    assert answer_of(encoder.encode(headers, huffman=huffman)) == (status, retry_after)


@given(st.integers(200, 599), st.text("0123456789", max_size=5))
def test_names_may_be_written_out(status: int, retry_after: str) -> None:
    told = frames.answer_headers(status, {"Content-Type": "application/json", "Retry-After": retry_after})
    assert answer_of(told) == (status, retry_after)
    coded = b"\x00\x85\xb8\x84\x8d\x36\xa3\x03201" + b"\x00\x88\xb0\xa9\xb3\xd2\xc3\x95%\xb3\x017"
    assert answer_of(coded) == (201, "7")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_a_whole_decoder_reads_them_or_refused(block: bytes) -> None:
    decoder = Decoder()
    decoder.max_allowed_table_size = decoder.header_table_size = 0
    with suppress(HPACKError, Malformed):  # it looks also into what is passed over here
        found, told = answer_of(block), dict(decoder.decode(block, raw=True))
        status = bytes(told.get(b":status", b"0"))
        assert found[0] == (int(status) if len(status) == 3 and status.isdigit() else 0)
        assert (found[1] or None) == (told[b"retry-after"].decode("latin-1") if told.get(b"retry-after") else None)


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\x7f\x00\x00",
        b"\x3f\x01",
        b"\x08",
        b"\x08\x05201",
        b"\x0f\xff\xff\xff\xff\xff\x01",
        b"\x08\x81\x00",
    ],
    ids=["nothing", "kept", "a kept name", "a table", "no value", "short", "a huge number", "bad Huffman"],
)
def test_what_is_not_allowed_breaks_the_connection(block: bytes) -> None:
    with pytest.raises(Malformed, match="headers") as told:
        answer_of(b"\x88" + block)
    assert told.value.code == frames.COMPRESSION_ERROR


def test_digits_of_other_scripts_are_no_status() -> None:
    assert answer_of(b"\x08\x03\xb2\xb2\xb2") == (0, None)
