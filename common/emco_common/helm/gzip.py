"""A gzip stream, expanded piece by piece under limits; never more of it in memory than is asked for."""

from __future__ import annotations

import zlib

from emco_common.errors import TooLarge, Unprocessable
from emco_common.helm.limits import ArchiveLimits

BAD_FORMAT = "Error in file format"
"""The text every refusal of an archive starts with (orchestrator-api 5.3, check 8)."""

_MAGIC = b"\x1f\x8b"
_PIECE = 64 * 1024


def refused(reason: str) -> Unprocessable:
    return Unprocessable(f"{BAD_FORMAT}: {reason}")


class Inflated:
    """Reads what ``data`` expands to; members that follow one another are one stream (RFC 1952, 2.2)."""

    def __init__(self, data: bytes, limits: ArchiveLimits) -> None:
        if data[:2] != _MAGIC:
            raise refused("not a gzip file")
        self._data = memoryview(data)
        self._limits = limits
        self._next = 0
        self._pending = b""
        self._total = 0
        self._buffer = bytearray()
        self._inflater = zlib.decompressobj(wbits=31)

    def read(self, size: int) -> bytes:
        """``size`` bytes; fewer only at the end of the stream."""
        while len(self._buffer) < size and self._fill():
            pass
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def drain(self) -> None:
        """Read to the end, so that what is wrong behind the part that was used shows as well."""
        self._buffer.clear()
        while self._fill():
            self._buffer.clear()

    def _fill(self) -> bool:
        """Expand one piece more; ``False`` at the end of the last member."""
        if self._inflater.eof and not self._next_member():
            return False
        piece = self._pending or bytes(self._data[self._next : self._next + _PIECE])
        if not self._pending:
            self._next += len(piece)
        try:
            expanded = self._inflater.decompress(piece, _PIECE)
        except zlib.error:
            raise refused("the gzip stream is damaged") from None
        if not piece and not expanded and not self._inflater.eof:
            raise refused("the gzip stream is cut short")
        self._pending = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        self._count(len(expanded))
        self._buffer += expanded
        return True

    def _next_member(self) -> bool:
        rest = self._pending + bytes(self._data[self._next : self._next + 2])
        if rest[:2] == _MAGIC:
            self._inflater = zlib.decompressobj(wbits=31)
            return True
        # Zeros pad to the block size of a tape; anything else was put there by someone (robustness 5).
        if self._pending.strip(b"\0") or bytes(self._data[self._next :]).strip(b"\0"):
            raise refused("bytes after the end of the gzip stream")
        return False

    def _count(self, expanded: int) -> None:
        limits = self._limits
        self._total += expanded
        if self._total > limits.total_bytes:
            raise TooLarge(f"{BAD_FORMAT}: the archive unpacks to more than {limits.total_bytes} bytes")
        if self._total > limits.ratio_from and self._total > limits.ratio * len(self._data):
            raise TooLarge(f"{BAD_FORMAT}: the archive unpacks to more than {limits.ratio} times its size")
