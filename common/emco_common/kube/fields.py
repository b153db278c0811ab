"""What counts of the headers of an HTTP/2 answer: its status, and how long to wait (RFC 7541). Pure.

The client allows no table to be kept (``frames.opening``), so each block stands by itself, and what nobody asks for is
passed over without being decoded: decoding all of it was a third of what a call costs.
"""

from __future__ import annotations

from hpack import HPACKError
from hpack.huffman_table import decode_huffman

from emco_common.kube.frames import COMPRESSION_ERROR, Malformed

_INDEXED, _KEPT, _TABLE_SIZE = 0x80, 0x40, 0x20
_STATIC = 61
_STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
"""By their place in the static table, whose entries all of them name the status as well."""
_RETRY_AFTER = 53
_NAMES = {
    b":status": 8,
    b"\xb8\x84\x8d\x36\xa3": 8,
    b"retry-after": _RETRY_AFTER,
    b"\xb0\xa9\xb3\xd2\xc3\x95%\xb3": _RETRY_AFTER,
}
"""Who does not look into the static table writes them out, plain or by Huffman's code."""
_MAX_INTEGER_BITS = 28


def answer_of(block: bytes) -> tuple[int, str | None]:
    """The status, 0 where none is told, and ``Retry-After``. ``Malformed``."""
    try:
        return _read(block)
    except (IndexError, HPACKError, UnicodeDecodeError):
        raise _malformed("they do not end where they should") from None


def _read(block: bytes) -> tuple[int, str | None]:
    status, retry_after = 0, None
    at, end = 0, len(block)
    while at < end:
        first = block[at]
        if first & _INDEXED:
            index = first & ~_INDEXED
            if not 0 < index <= _STATIC:
                raise _malformed("they refer to what is not kept")
            status = _STATUSES.get(index, status)
            at += 1
            continue
        if first & (_KEPT | _TABLE_SIZE) == _TABLE_SIZE:
            size, at = _integer(block, at, 0x1F)
            if size:
                raise _malformed("they ask for more to be kept than was allowed")
            continue
        index, at = _integer(block, at, 0x3F if first & _KEPT else 0x0F)
        if not index:
            start, at = _string(block, at)
            index = _NAMES.get(block[start:at], 0)
        elif index > _STATIC:
            raise _malformed("they refer to what is not kept")
        coded = block[at] & 0x80
        start, at = _string(block, at)
        if index in _STATUSES:
            text = _text(block[start:at], coded)
            status = int(text) if len(text) == 3 and text.isascii() and text.isdigit() else 0
        elif index == _RETRY_AFTER:
            retry_after = _text(block[start:at], coded)
    return status, retry_after


def _integer(block: bytes, at: int, most: int) -> tuple[int, int]:
    """An integer whose first bits are those of ``most``, and where it ends."""
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    for bits in range(0, _MAX_INTEGER_BITS, 7):
        value += (block[at] & 0x7F) << bits
        at += 1
        if not block[at - 1] & 0x80:
            return value, at
    raise _malformed("they hold a number beyond the largest")


def _string(block: bytes, at: int) -> tuple[int, int]:
    """Where a string begins and ends."""
    size, start = _integer(block, at, 0x7F)
    if start + size > len(block):
        raise _malformed("they do not end where they should")
    return start, start + size


def _text(raw: bytes, coded: int) -> str:
    return bytes(decode_huffman(raw) if coded else raw).decode("latin-1")


def _malformed(text: str) -> Malformed:
    return Malformed(f"headers: {text}", COMPRESSION_ERROR)
