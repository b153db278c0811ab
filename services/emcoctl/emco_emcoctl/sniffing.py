"""The content type of an upload, told from its first bytes as the original's HTTP library does (emcoctl 6.1)."""

from __future__ import annotations

_LENGTH = 512
_SPACE = b"\t\n\x0c\r "
_TAGS = (
    b"<!DOCTYPE HTML", b"<HTML", b"<HEAD", b"<SCRIPT", b"<IFRAME", b"<H1", b"<DIV", b"<FONT", b"<TABLE", b"<A",
    b"<STYLE", b"<TITLE", b"<BODY", b"<BR", b"<B", b"<P", b"<!--",
)  # fmt: skip
_PREFIXES = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
)
_BINARY = frozenset({*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})


def content_type(data: bytes) -> str:
    """A text shorter than 512 bytes counts as binary, for the original pads it with zero bytes before it looks."""
    head = data[:_LENGTH].ljust(_LENGTH, b"\0")
    text = head.lstrip(_SPACE)
    for tag in _TAGS:
        if text[: len(tag)].upper() == tag and text[len(tag) : len(tag) + 1] in (b" ", b">"):
            return "text/html; charset=utf-8"
    if text.startswith(b"<?xml"):
        return "text/xml; charset=utf-8"
    for prefix, type_ in _PREFIXES:
        if head.startswith(prefix):
            return type_
    return "application/octet-stream" if _BINARY.intersection(head) else "text/plain; charset=utf-8"
