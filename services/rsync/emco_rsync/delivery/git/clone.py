"""One shallow bare clone on disk: whatever it holds can be had anew."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from emco_common.kube import errors
from emco_rsync.delivery.git.command import Git
from emco_rsync.delivery.git.errors import Behind

_HEADS = "refs/heads/"
_NEVER_THERE = "emco-probe-of-rights-never-there"
_PATHS_AT_ONCE = 500
_OPERATIONS_BETWEEN_CLEANINGS = 300


class Clone:
    """``clock`` answers the time of commits in seconds since 1970."""

    def __init__(self, git: Git, *, clock: Callable[[], float] = time.time) -> None:
        self._git = git
        self._clock = clock
        self._operations = 0
        self._has: set[str] = set()
        self.lock = asyncio.Lock()
        """To be held by who does several things that belong together."""

    @property
    def directory(self) -> Path:
        return self._git.directory

    async def heads(self) -> dict[str, str]:
        """The branches of the server by name; asks, and changes nothing."""
        await self._git.prepare()
        answer = await self._git.run("ls-remote", "--heads", self._git.remote.url)
        found: dict[str, str] = {}
        for line in answer.decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            if name.startswith(_HEADS):
                found[name.removeprefix(_HEADS)] = commit
        return found

    async def may_push(self) -> None:
        """``Unauthorized`` if the server does not let this user push; nothing is pushed."""
        await self._git.prepare()
        try:
            await self._git.run("push", "--dry-run", self._git.remote.url, f":{_HEADS}{_NEVER_THERE}")
        except errors.KubeError as error:
            if _NEVER_THERE not in str(error):  # else the server let us in, and found nothing to remove
                raise

    async def fetch(self, commits: Mapping[str, str]) -> None:
        """Have the newest commits of these branches. ``Behind`` if they have moved on since they were asked for."""
        wanted = {branch: commit for branch, commit in commits.items() if commit not in self._has}
        if not wanted:
            return
        await self._tidy()
        refs = [f"+{_HEADS}{branch}:refs/emco/{branch}" for branch in wanted]
        await self._git.run(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", self._git.remote.url, *refs
        )
        for branch, commit in wanted.items():
            fetched = (await self._git.run("rev-parse", f"refs/emco/{branch}")).decode().strip()
            if fetched != commit:
                raise Behind(f"{self._git.remote.server}: branch {branch} has moved on")
            self._has.add(commit)

    async def files(self, commit: str, places: Iterable[str]) -> dict[str, str]:
        """Path and content id of the files at or below these places; plain files only."""
        found: dict[str, str] = {}
        wanted = sorted(set(places))
        for start in range(0, len(wanted), _PATHS_AT_ONCE):
            chosen = [f":(literal){place}" for place in wanted[start : start + _PATHS_AT_ONCE]]
            answer = await self._git.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *chosen)
            for line in answer.decode(errors="replace").split("\0"):
                facts, _, path = line.partition("\t")
                if path and facts.startswith("100"):
                    found[path] = facts.split(" ")[2]
        return found

    async def contents(self, blobs: Iterable[str], *, limit: int, each: int) -> dict[str, bytes]:
        """By id, of at most ``limit`` bytes in all and ``each`` of one; what is larger is left out."""
        wanted = sorted(set(blobs))
        if not wanted:
            return {}
        listed = "".join(f"{blob}\n" for blob in wanted).encode()
        sizes = (await self._git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", given=listed)).decode()
        chosen, total = [], 0
        for line in sizes.splitlines():
            blob, _, size = line.partition(" ")
            if size.isdecimal() and int(size) <= each and total + int(size) <= limit:
                chosen.append(blob)
                total += int(size)
        return _batch(await self._git.run("cat-file", "--batch", given="".join(f"{b}\n" for b in chosen).encode(),
                                          limit=total + 200 * len(chosen)))  # fmt: skip

    async def commit(self, parent: str, message: str, *, writes: Mapping[str, bytes], removals: Iterable[str]) -> str:
        """A commit on top of ``parent`` (``""`` for none). It is nobody's until it is pushed."""
        await self._git.prepare()
        await self._tidy()
        remote = self._git.remote
        author = f"{_plain(remote.user)} <{_plain(remote.email) or 'emco@localhost'}> {int(self._clock())} +0000"
        text = message.encode()
        stream = [b"feature done\ncommit refs/emco-next/commit\ncommitter %b\n" % author.encode()]
        stream.append(b"data %d\n%b\n" % (len(text), text))
        if parent:
            stream.append(b"from %b\n" % parent.encode())
        stream += [b"D %b\n" % _quoted(path) for path in removals]
        for path, content in writes.items():
            stream.append(b"M 100644 inline %b\ndata %d\n%b\n" % (_quoted(path), len(content), content))
        stream.append(b"done\n")
        await self._git.run("fast-import", "--quiet", "--force", "--done", given=b"".join(stream))
        made = (await self._git.run("rev-parse", "refs/emco-next/commit")).decode().strip()
        self._has.add(made)
        return made

    async def push(self, branches: Mapping[str, str]) -> None:
        """Give branches these commits (``""``: remove the branch), never over what others have pushed: ``Behind``.
        ``Forbidden`` with the server's words if it refuses."""
        refs = [f"{commit}:{_HEADS}{branch}" for branch, commit in branches.items()]
        await self._git.run(
            "push", "--quiet", "--atomic" if len(refs) > 1 else "--no-verify", self._git.remote.url, *refs
        )

    async def forget(self) -> None:
        """Drop everything from the disk; the next operation begins anew."""
        self._has.clear()
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)

    async def _tidy(self) -> None:
        """What older commits held and nothing needs any more does not pile up."""
        self._operations += 1
        if self._operations % _OPERATIONS_BETWEEN_CLEANINGS == 0:
            self._has.clear()
            await self._git.run("gc", "--quiet", "--prune=now")


def _batch(answer: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        blob, _, size = answer[position:end].decode().split(" ")
        found[blob] = answer[end + 1 : end + 1 + int(size)]
        position = end + 2 + int(size)
    return found


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"%b"' % escaped.encode()


def _plain(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable() and sign not in "<>")
