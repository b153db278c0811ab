"""Frames of HTTP/2 (RFC 9113) as bytes, and headers (RFC 7541). Pure.

Headers are written without HPACK's tables: what never changes is encoded once per server.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from emco_common.kube.exchange import Head, Request

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = range(6, 10)
ENHANCE_YOUR_CALM = 0xB
ERROR_NAMES = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
    *("INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x3, 0x4, 0x5
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _MAX_HEADER_LIST_SIZE = 0x1, 0x2, 0x6
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
FRAME_SIZE = 16_384
"""The largest payload that we take; also the least that everybody takes."""

_HEAD = struct.Struct(">HBBBL")
_SETTING = struct.Struct(">HL")
_METHODS = {"GET": b"\x82", "POST": b"\x83"}
_NOTHING_KEPT = b"\x20"
"""Of the dynamic table, which is then right for whatever the server allows."""


class Malformed(Exception):
    """What came is no HTTP/2; ``code`` is the RFC's for it."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def error_name(code: int) -> str:
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"error {code}"


class FrameReader:
    """Cuts what comes into frames; keeps less than one."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def read(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Type, flags, stream and payload of each whole frame. ``Malformed`` for one that is too large."""
        if self._pending:
            data, self._pending = self._pending + data, b""
        at, end = 0, len(data)
        while end - at >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            size = high << 8 | low
            if size > FRAME_SIZE:
                raise Malformed(f"a frame of {size} bytes", FRAME_SIZE_ERROR)
            if end - at < 9 + size:
                break
            at += 9
            yield kind, flags, stream & MAX_WINDOW, data[at : at + size]
            at += size
        self._pending = data[at:]


def unpadded(flags: int, payload: bytes) -> bytes:
    """The contents of DATA or HEADERS."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= end:
            raise Malformed("more padding than frame")
        start, end = 1, end - payload[0]
    return payload[start:end] if start else payload


def settings_of(payload: bytes) -> Iterator[tuple[int, int]]:
    if len(payload) % 6:
        raise Malformed("SETTINGS of a wrong size", FRAME_SIZE_ERROR)
    for name, value in _SETTING.iter_unpack(payload):
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Malformed("a window beyond the largest", FLOW_CONTROL_ERROR)
        if name == MAX_FRAME_SIZE and not FRAME_SIZE <= value < 2**24:
            raise Malformed("a frame size that is not allowed")
        yield name, value


def number_of(payload: bytes) -> int:
    """The payload of RST_STREAM or WINDOW_UPDATE."""
    if len(payload) != 4:
        raise Malformed("a frame of a wrong size", FRAME_SIZE_ERROR)
    return int.from_bytes(payload)


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return b"".join(_SETTING.pack(name, value) for name, value in values)


def opening(*, window: int, headers: int) -> bytes:
    """What a client says first: no table of headers, no pushes, this much of each answer unread, all of the
    connection's window."""
    said = settings(
        ((_HEADER_TABLE_SIZE, 0), (_ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window), (_MAX_HEADER_LIST_SIZE, headers))
    )
    more = (MAX_WINDOW - DEFAULT_WINDOW).to_bytes(4)
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, said) + frame(WINDOW_UPDATE, 0, 0, more)


def fixed_headers(head: Head) -> bytes:
    """What every request to a server begins with, but for the method."""
    scheme = b"\x87" if head.secure else b"\x86"
    secrets = b"".join(_named(name, value, never_indexed=True) for name, value in head.fixed)
    return _NOTHING_KEPT + scheme + b"\x01" + _string(head.authority) + secrets


def request_headers(fixed: bytes, request: Request) -> bytes:
    """The header block of a request; ``fixed`` is of ``fixed_headers``."""
    method = _METHODS.get(request.method) or b"\x02" + _string(request.method)
    block = fixed[:1] + method + b"\x04" + _string(request.target) + fixed[1:] + _ACCEPT + _string(request.accept)
    if request.body is not None:
        block += _CONTENT_TYPE + _string(request.content_type) + _CONTENT_LENGTH + _string(str(len(request.body)))
    if request.user:
        block += _named("Impersonate-User", request.user, never_indexed=False)
    return block


def answer_headers(status: int, headers: Mapping[str, str]) -> bytes:
    """The header block of an answer, for a server."""
    return (
        b"\x08"
        + _string(str(status))
        + b"".join(_named(name, value, never_indexed=False) for name, value in headers.items())
    )


_ACCEPT, _CONTENT_LENGTH, _CONTENT_TYPE = b"\x0f\x04", b"\x0f\x0d", b"\x0f\x10"


def _named(name: str, value: str, *, never_indexed: bool) -> bytes:
    return (b"\x10" if never_indexed else b"\x00") + _string(name.lower()) + _string(value)


def _string(text: str) -> bytes:
    raw = text.encode("latin-1")
    size = len(raw)
    if size < 0x7F:
        return bytes((size,)) + raw
    said = bytearray(b"\x7f")
    size -= 0x7F
    while size >= 0x80:
        said.append(size & 0x7F | 0x80)
        size >>= 7
    said.append(size)
    return bytes(said) + raw
