"""The file of a backup: a ZIP archive of lines of JSON and of blobs, with a manifest that says what must be in it.

``documents.jsonl`` holds the documents in order of creation, ``bus.jsonl`` the entries of the bus in order of their
keys, ``blobs/<sha256>`` the files that documents name, ``manifest.json`` counts, checksums and versions. What is sealed
in the store is sealed here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from emco_common import jsontext
from emco_common.errors import Conflict, EmcoError
from emco_common.store.api import Document

FORMAT = 1
DOCUMENTS, ENTRIES, MANIFEST, BLOBS = "documents.jsonl", "bus.jsonl", "manifest.json", "blobs/"
_PIECE = 1 << 20


class BadArchive(EmcoError):
    """The file is no backup that this EMCO can bring back. The text says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``revision`` is that of the bus, ``data_keys`` are the ids of the keys that something in it is sealed with."""

    format: int
    emco: str
    created: str
    documents: int
    entries: int
    blobs: int
    revision: int
    data_keys: tuple[str, ...]
    sha256: Mapping[str, str]


class Writer:
    """An archive that is being written; made by ``writing``."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sha256: dict[str, str] = {}
        self.complete = False

    @contextmanager
    def lines(self, name: str) -> Iterator[Callable[[Any], None]]:
        """What is handed in becomes a line each of the member ``name``."""
        digest = hashlib.sha256()
        with self._archive.open(name, "w", force_zip64=True) as member:

            def add(value: Any) -> None:
                line = jsontext.written(value) + b"\n"
                digest.update(line)
                member.write(line)

            yield add
        self.sha256[name] = digest.hexdigest()

    def add_blob(self, digest: str, content: bytes) -> None:
        with self._archive.open(BLOBS + digest, "w", force_zip64=True) as member:
            member.write(content)

    def finish(self, manifest: Manifest) -> None:
        self._archive.writestr(MANIFEST, jsontext.written(asdict(manifest)))
        self.complete = True


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """The archive takes its name once it is finished and on the disk, readable by its owner only; else nothing stays.
    ``Conflict`` if there is such a file."""
    if target.exists():
        raise Conflict(f"{target} is there already: choose another name, or move it away")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                writer = Writer(archive)
                yield writer
            file.flush()
            os.fsync(file.fileno())
        if writer.complete:
            part.replace(target)
            _fsync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


class Archive:
    """A backup that is read; made by ``opened``, which has checked it."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def documents(self) -> Iterator[Document]:
        for parts in self._lines(DOCUMENTS):
            yield Document(**(parts | {"references": tuple(parts["references"])}))

    def entries(self) -> Iterator[tuple[str, bytes]]:
        for parts in self._lines(ENTRIES):
            yield parts["key"], parts["text"].encode() if "text" in parts else base64.b64decode(parts["base64"])

    def blobs(self) -> Iterator[bytes]:
        for name in self._archive.namelist():
            if name.startswith(BLOBS):
                yield self._archive.read(name)

    def _lines(self, name: str) -> Iterator[Any]:
        with self._archive.open(name) as member:
            for line in member:
                yield jsontext.read(line)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Read and check every byte before anything is done with it. ``BadArchive``; ``OSError`` if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            _check(archive, manifest)
            yield Archive(archive, manifest)
    except (zipfile.BadZipFile, EOFError) as error:
        raise BadArchive(f"{path} is no backup of EMCO, or damaged: {error}") from error


def document_line(document: Document) -> dict[str, Any]:
    return {
        "key": dict(document.key),
        "body": document.body,
        "tags": document.tags,
        "references": [dict(reference) for reference in document.references],
        "alias": dict(document.alias),
        "revision": document.revision,
        "place": document.place,
    }


def entry_line(key: str, value: bytes) -> dict[str, str]:
    with suppress(UnicodeDecodeError):
        return {"key": key, "text": value.decode()}
    return {"key": key, "base64": base64.b64encode(value).decode()}


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        parts = jsontext.read(archive.read(MANIFEST))
        if parts["format"] > FORMAT:
            raise BadArchive(
                f"{path} was written by a newer EMCO ({parts['emco']}, format {parts['format']}; this one knows "
                f"{FORMAT}): restore it with that one"
            )
        return Manifest(**(parts | {"data_keys": tuple(parts["data_keys"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise BadArchive(f"{path} is no backup of EMCO: it has no manifest that can be read") from error


def _check(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    names = archive.namelist()
    wanted = dict(manifest.sha256) | {name: name.removeprefix(BLOBS) for name in names if name.startswith(BLOBS)}
    if {DOCUMENTS, ENTRIES} - set(names) or len(wanted) != len(manifest.sha256) + manifest.blobs:
        raise BadArchive("the backup is not complete: what its manifest names is not all there")
    for name, digest in wanted.items():
        with archive.open(name) as member:
            if _digest_of(member) != digest:
                raise BadArchive(f"the backup is damaged: {name} is not what was written")


def _digest_of(member: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := member.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
