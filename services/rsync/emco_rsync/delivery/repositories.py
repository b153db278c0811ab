"""All repositories of the process. One is shared by all clusters that are described the same way, and kept for a while
after the last of them has gone, so that what it is still owed (removed reports) is done.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.git.repository import GitSettings, Repository

_PREFIX = "emco-git-"
_LOOK_SECONDS = 5.0


class Repositories:
    """``random`` answers numbers in [0, 1)."""

    def __init__(
        self,
        settings: GitSettings,
        *,
        random: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._random = random
        self._clock = clock
        self._now = now
        self._root: Path | None = None
        self._known: dict[str, Repository] = {}

    def use(self, remote: Remote) -> Repository:
        """To be given back with ``release``. Needs a running loop; does not connect."""
        found = self._known.get(remote.digest)
        if found is None:
            self._root = self._root or _make_root(self.settings.directory)
            found = self._known[remote.digest] = Repository(
                remote,
                self._root / remote.digest,
                settings=self.settings,
                random=self._random,
                clock=self._clock,
                now=self._now,
            )
        found.users += 1
        found.start()
        return found

    def release(self, repository: Repository) -> None:
        repository.users -= 1
        repository.unused_since = self._clock()

    async def run(self) -> None:
        """Until cancelled: what nobody has used for long is closed."""
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                for digest, found in list(self._known.items()):
                    if not found.users and self._clock() - found.unused_since > self.settings.idle:
                        del self._known[digest]
                        await found.close()
        finally:
            await self.close()

    async def close(self) -> None:
        known, self._known = list(self._known.values()), {}
        await asyncio.gather(*(found.close() for found in known), return_exceptions=True)
        if self._root is not None:
            await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
            self._root = None


def _make_root(directory: str) -> Path:
    """A directory of this process alone; those of processes that are gone are removed."""
    parent = Path(directory or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{_PREFIX}*"):
        process = left.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not _lives(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
