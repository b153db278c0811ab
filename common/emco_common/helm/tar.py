"""Reads a gzip'd tar as a stream and lets through only plain folders and files with harmless names.

``tarfile`` is not used: it hides what must be refused here (global headers), follows what must not be followed, reads
ahead without a limit, and can be sent into endless loops by forged headers. Knows the formats that tools write today:
ustar, GNU long names, pax ``path`` and ``size``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emco_common.errors import TooLarge
from emco_common.helm.gzip import BAD_FORMAT, Inflated, refused
from emco_common.helm.limits import ArchiveLimits

_BLOCK = 512
_CHUNK = 64 * 1024
_EXTENSION_BYTES = 64 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")
_KINDS = {
    "1": "is a hard link",
    "2": "is a symbolic link",
    "3": "is a device",
    "4": "is a device",
    "6": "is a named pipe",
    "g": "is a global header",
    "S": "is a sparse file",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """``name`` is relative and normalised, without a trailing slash; ``size`` is 0 for a folder."""

    name: str
    is_dir: bool
    size: int


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    kind: str
    mode: int
    size: int


def read_tar(data: bytes, limits: ArchiveLimits) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """The entries of ``data`` in order, each with its content in pieces; what the caller leaves unread is skipped.

    Raises ``Unprocessable`` naming the entry, or ``TooLarge`` naming the limit, at the point of the stream where it
    shows: a caller that writes as it reads must throw away what it wrote. A missing end-of-archive mark is accepted
    (orchestrator-api 5.3); bytes other than zeros after the gzip stream are not (robustness 5).
    """
    stream = Inflated(data, limits)
    names = _Names(limits)
    count = 0
    while (header := _next_header(stream)) is not None:
        count += 1
        if count > limits.entries:
            raise TooLarge(f"{BAD_FORMAT}: more than {limits.entries} entries")
        entry = names.accept(header)
        content = _content(stream, entry)
        if entry.name:
            yield entry, content
        for _ in content:
            pass
        stream.read(-entry.size % _BLOCK)
    if count == 0:
        raise refused("the archive is empty")
    stream.drain()


def _content(stream: Inflated, entry: Entry) -> Iterator[bytes]:
    left = entry.size
    while left:
        piece = stream.read(min(left, _CHUNK))
        if not piece:
            raise refused(f"the archive is cut short in entry {entry.name!r}")
        left -= len(piece)
        yield piece


def _next_header(stream: Inflated) -> _Header | None:
    """The next real header with its extensions applied; ``None`` at the end mark or the end of the stream."""
    extended: dict[str, str] = {}
    while True:
        block = stream.read(_BLOCK)
        if not block.strip(b"\0"):
            if extended:
                raise refused("the archive ends after an extension header")
            return None
        header = _parse(block)
        if header.kind not in ("x", "L", "K"):
            size = extended.get("size", "")
            return _Header(
                name=extended.get("path", header.name),
                kind=header.kind,
                mode=header.mode,
                size=int(size) if size.isdecimal() else header.size,
            )
        payload = _extension(stream, header)
        extended.update(_pax(payload) if header.kind == "x" else _gnu_long(header.kind, payload))


def _parse(block: bytes) -> _Header:
    if len(block) < _BLOCK or not _checksum_fits(block):
        raise refused("not a tar archive, or one that is cut short")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345] != 0:
        name = f"{_text(block[345:500])}/{name}"
    kind = chr(block[156])
    return _Header(
        name=name, kind="0" if kind == "\0" else kind, mode=_number(block[100:108]), size=_number(block[124:136])
    )


def _checksum_fits(block: bytes) -> bool:
    blank = block[:148] + b" " * 8 + block[156:]
    # Old tools summed signed characters; both sums are in use.
    return _number(block[148:156]) in (sum(blank), sum(byte - 256 if byte > 127 else byte for byte in blank))


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if not text:
        return 0
    try:
        value = int(text, 8)
    except ValueError:
        raise refused("not a tar archive, or one with a number that cannot be read") from None
    if value < 0:
        raise refused("a negative number in a tar header")
    return value


def _text(field: bytes) -> str:
    return _decoded(field.split(b"\0", 1)[0])


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise refused(f"entry name {raw!r} is not UTF-8") from None


def _extension(stream: Inflated, header: _Header) -> bytes:
    if header.size > _EXTENSION_BYTES:
        raise TooLarge(f"{BAD_FORMAT}: an extension header of {header.size} bytes")
    payload = stream.read(header.size)
    if len(payload) < header.size:
        raise refused("the archive is cut short in an extension header")
    stream.read(-header.size % _BLOCK)
    return payload


def _gnu_long(kind: str, payload: bytes) -> dict[str, str]:
    return {"path": _text(payload)} if kind == "L" else {}


def _pax(payload: bytes) -> dict[str, str]:
    """Records ``<length> <key>=<value>\\n`` (POSIX pax, extended header)."""
    records: dict[str, str] = {}
    while payload:
        length, space, _ = payload.partition(b" ")
        end = int(length) if length.isdigit() and len(length) < 8 else 0
        key, equals, value = payload[len(length) + 1 : end - 1].partition(b"=")
        if not space or not equals or not len(length) < end <= len(payload):
            raise refused("an extension header that cannot be read")
        if key.startswith(b"GNU.sparse"):
            raise refused("a sparse file")
        if key in (b"path", b"size"):
            records[key.decode()] = _decoded(value)
        payload = payload[end:]
    return records


class _Names:
    """Judges the headers of one archive, each by itself and against those before."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._seen: dict[str, tuple[str, bool]] = {}

    def accept(self, header: _Header) -> Entry:
        shown = header.name if len(header.name) <= 100 else header.name[:100] + "…"
        if header.kind not in ("0", "5", "7"):
            raise refused(f"entry {shown!r} {_KINDS.get(header.kind, 'is neither a file nor a folder')}")
        is_dir = header.kind == "5" or header.name.endswith("/")
        if not is_dir and header.mode & 0o6000:
            raise refused(f"entry {shown!r} carries a setuid or setgid bit")
        if header.size > self._limits.file_bytes and not is_dir:
            raise TooLarge(f"{BAD_FORMAT}: entry {shown!r} is larger than {self._limits.file_bytes} bytes")
        name = self._normalised(header.name, shown)
        self._remember(name, shown, is_dir=is_dir)
        return Entry(name=name, is_dir=is_dir, size=0 if is_dir else header.size)

    def _normalised(self, name: str, shown: str) -> str:
        if len(name.encode()) > self._limits.name_bytes:
            raise TooLarge(f"{BAD_FORMAT}: entry name {shown!r} is longer than {self._limits.name_bytes} bytes")
        if name.startswith("/") or _DRIVE.match(name):
            raise refused(f"entry {shown!r} is an absolute path")
        if "\\" in name or any(ord(character) < 32 or ord(character) == 127 for character in name):
            raise refused(f"entry {shown!r} holds a character that is not allowed in a name")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise refused(f"entry {shown!r} leaves the archive")
        if any(len(part.encode()) > 255 for part in parts):
            raise TooLarge(f"{BAD_FORMAT}: entry {shown!r} has a name longer than 255 bytes")
        if len(parts) > self._limits.depth + 1:
            raise TooLarge(f"{BAD_FORMAT}: entry {shown!r} lies deeper than {self._limits.depth} folders")
        if not parts and not name.rstrip("/").endswith("."):
            raise refused("an entry without a name")
        return "/".join(parts)

    def _remember(self, name: str, shown: str, *, is_dir: bool) -> None:
        """No name twice, no two that differ in case alone, no file that is a folder as well."""
        for parent in _parents(name):
            self._place(parent, shown, is_dir=True)
        if name and not self._place(name, shown, is_dir=is_dir) and not is_dir:
            raise refused(f"entry {shown!r} is there twice")

    def _place(self, name: str, shown: str, *, is_dir: bool) -> bool:
        """Whether the name is new."""
        folded = name.casefold()
        if folded not in self._seen:
            self._seen[folded] = (name, is_dir)
            return True
        known, known_dir = self._seen[folded]
        if known != name:
            raise refused(f"entries {known!r} and {name!r} differ in letter case only")
        if known_dir != is_dir:
            raise refused(f"entry {shown!r} is a file and a folder")
        return False


def _parents(name: str) -> Iterator[str]:
    end = name.find("/")
    while end != -1:
        yield name[:end]
        end = name.find("/", end + 1)
