"""Changes to the files of a repository, on top of what its newest commit has: no I/O.

A change says what the files are to be, not how they differ, so it can be made anew on top of whatever others pushed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Files = Mapping[str, str]
"""By path, the id of the content."""


def blob_id(content: bytes) -> str:
    """As Git counts it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Draft:
    """``files`` are those below the directories that were asked for; ``contents`` of them, by id, what was read."""

    def __init__(self, files: Files, contents: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._contents = dict(contents)
        self._before = dict(files)

    def below(self, directory: str) -> Iterator[tuple[str, bytes]]:
        """Path and content of the files below a directory that ends in ``/``."""
        for path in [path for path in self._files if path.startswith(directory)]:
            yield path, self._contents.get(self._files[path], b"")

    def has(self, path: str) -> bool:
        return path in self._files

    def put(self, path: str, content: bytes) -> None:
        identity = blob_id(content)
        self._contents[identity] = content
        self._files[path] = identity

    def remove(self, path: str) -> None:
        self._files.pop(path, None)

    @property
    def writes(self) -> dict[str, bytes]:
        """What the commit changes: nothing that is as it should be."""
        changed = {path: found for path, found in self._files.items() if self._before.get(path) != found}
        return {path: self._contents[found] for path, found in changed.items()}

    @property
    def removals(self) -> list[str]:
        return [path for path in self._before if path not in self._files]

    @property
    def files(self) -> Files:
        return self._files

    @property
    def contents(self) -> Mapping[str, bytes]:
        return self._contents


@dataclass(frozen=True, slots=True)
class Change:
    """``directories`` are looked at (each ends in ``/``), ``paths`` are files outside of them; ``subject`` names what
    the change is about. A change that is ``last`` sees what all others of its commit have done."""

    directories: tuple[str, ...]
    make: Callable[[Draft], None]
    subject: str
    paths: tuple[str, ...] = ()
    last: bool = False


def message_of(subjects: list[str]) -> str:
    """The message of a commit (rsync 14.1)."""
    if len(subjects) == 1:
        return subjects[0]
    return f"{len(subjects)} places\n\n" + "\n".join(subjects)
