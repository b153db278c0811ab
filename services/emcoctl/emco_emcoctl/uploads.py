"""Files named by documents: found, checked before anything is sent, and framed as the original does (emcoctl 6.1)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from emco_emcoctl import placeholders
from emco_emcoctl.errors import InputError
from emco_emcoctl.planning import Call, Upload
from emco_emcoctl.sniffing import content_type


def check(call: Call, *, cwd: Path) -> None:
    """Raises ``InputError`` if a file of the call is missing, unreadable, empty, or not filled in after an export."""
    for path in call.upload.paths if call.upload else ():
        found = find(path, source=call.source, cwd=cwd)
        if not os.access(found, os.R_OK):
            raise InputError(f"{call.where}: the file {path} cannot be read: permission denied")
        if found.stat().st_size == 0:
            raise InputError(f"{call.where}: the file {path} is empty; there is nothing to upload")
        if placeholders.is_placeholder(found):
            raise InputError(f"{call.where}: the file {path} is a placeholder of an export; put what it names there")
    if placeholders.TEXT in (call.body or "").replace("\\u003c", "<").replace("\\u003e", ">"):
        raise InputError(f"{call.where}: a secret that was not exported has to be filled in")


def find(path: str, *, source: str, cwd: Path) -> Path:
    """``path`` in the working directory, else beside the document's file ``source``; raises ``InputError``."""
    candidates = [cwd / path]
    if source:
        candidates.append((cwd / source).parent / path)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    reason = "is a folder" if candidates[0].is_dir() else "does not exist"
    raise InputError(f"{source or path}: the file {path} {reason}")


def multipart(metadata: str, upload: Upload, *, source: str, cwd: Path) -> tuple[str, bytes]:
    """The content type and the body; raises ``InputError`` if a file cannot be read any more."""
    boundary = secrets.token_hex(30)
    parts = [_part('form-data; name="metadata"', "", metadata.encode())]
    for path in upload.paths:
        try:
            data = find(path, source=source, cwd=cwd).read_bytes()
        except OSError as error:
            raise InputError(f"{source}: the file {path} cannot be read: {error.strerror}") from error
        name = _escaped(upload.filename or os.path.basename(path))
        disposition = f'form-data; name="{upload.part}"; filename="{name}"'
        parts.append(_part(disposition, content_type(data), data))
    line = f"--{boundary}\r\n".encode()
    body = b"".join(line + part for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def _part(disposition: str, type_: str, data: bytes) -> bytes:
    head = f"Content-Disposition: {disposition}\r\n"
    if type_:
        head += f"Content-Type: {type_}\r\n"
    return head.encode() + b"\r\n" + data + b"\r\n"


def _escaped(name: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\r": "%0D", "\n": "%0A"}
    return "".join(escapes.get(c, c) for c in name)
