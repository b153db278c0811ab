"""One repository, whoever uses it: a writer for the branch that the clusters follow, and what they report.

Two clones on disk, so that what is read never holds up what is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from emco_common.kube import KubeError, errors
from emco_rsync.delivery.git.clone import Clone
from emco_rsync.delivery.git.command import Git
from emco_rsync.delivery.git.errors import Behind
from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.git.statuses import Statuses
from emco_rsync.delivery.git.writer import Writer
from emco_rsync.delivery.layout import label_of_report, status_branches, status_directory
from emco_rsync.watch.tracker import LINGER_SECONDS

_log = structlog.get_logger()
CHECK_HOLDS = 2.0
"""Seconds for which one answer of the server does for all clusters of the repository."""


@dataclass(frozen=True, slots=True)
class GitSettings:
    """Times in seconds; see ``RsyncSettings``."""

    poll: float = 60.0
    timeout: float = 60.0
    gather: float = 0.05
    idle: float = 600.0
    linger: float = LINGER_SECONDS
    max_file: int = 2 * 2**30
    directory: str = ""
    allow_http: bool = False


class Repository:
    """``clock`` is monotonic, ``now`` seconds since 1970, ``random`` answers numbers in [0, 1)."""

    def __init__(
        self,
        remote: Remote,
        directory: Path,
        *,
        settings: GitSettings,
        random: Callable[[], float],
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.remote = remote
        self.now = now
        self.users = 0
        self.unused_since = clock()
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._main, self._read = (
            Clone(Git(directory / name, remote, timeout=settings.timeout, max_file=settings.max_file), clock=now)
            for name in ("main", "status")
        )
        self.writer = Writer(self._main, remote.branch, gather=settings.gather, random=random)
        self.statuses = Statuses(self._read, directory=status_directory, branches=self._branches, seen=self._seen)
        self._checking = asyncio.Lock()
        self._checked = (float("-inf"), "")
        self._heads: Mapping[str, str] = {}
        self._labels: dict[str, tuple[str, frozenset[str]]] = {}
        self._stale: dict[tuple[str, str], float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at reports from now on."""
        if self._task is None or self._task.done():
            run = self.statuses.run(every=self._settings.poll, then=self._tidy)
            self._task = asyncio.create_task(run, name=f"reports {self.remote.server}")

    async def close(self) -> None:
        """Returns when nothing of it is left, on disk neither."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.close()
        for clone in (self._main, self._read):
            await clone.forget()
        with suppress(OSError):
            self._directory.rmdir()

    async def check(self) -> None:
        """Does the server answer, and is the branch there? One answer does for a moment."""
        async with self._checking:
            at, problem = self._checked
            if self._clock() - at > CHECK_HOLDS:
                await self._ask()
            elif problem:
                raise errors.Unreachable(problem)

    async def check_rights(self) -> None:
        """May the user push?"""
        await self._main.may_push()

    async def _ask(self) -> None:
        try:
            heads = await self._main.heads()
            if heads and self.remote.branch not in heads:
                raise errors.Unreachable(f"{self.remote.server}: it has no branch {self.remote.branch}")
        except errors.Unreachable as error:
            self._checked = self._clock(), str(error)
            raise
        self._checked = self._clock(), ""

    def _branches(self, cluster: str, heads: Mapping[str, str]) -> dict[str, str]:
        return status_branches(cluster, heads, per_app=self.remote.per_app)

    def _seen(self, heads: Mapping[str, str]) -> None:
        self._heads = heads

    async def _tidy(self) -> None:
        """Reports of what the repository does not have any more go, after the time that the monitor is given."""
        for cluster in self.statuses.clusters:
            report = self.statuses.reports.get(cluster)
            reported = {label_of_report(path): path for path in report.files} if report else {}
            if not reported and not self.remote.per_app:
                continue
            try:
                present = await self._present(cluster)
            except Behind:
                return  # it has just been pushed to; the next look sees it
            if self.remote.per_app:
                await self._make_branches(cluster, present)
            for label in reported:
                if label in present or not label:
                    self._stale.pop((cluster, label), None)
                elif self._clock() - self._stale.setdefault((cluster, label), self._clock()) >= self._settings.linger:
                    path = reported[label]
                    await self._remove(cluster, label, path, report.branches[path] if report else "")

    async def _present(self, cluster: str) -> frozenset[str]:
        """The deployment labels of which the followed branch has something for the cluster."""
        tip = self._heads.get(self.remote.branch, "")
        known = self._labels.get(cluster)
        if known is not None and known[0] == tip:
            return known[1]
        if not tip:
            raise errors.Unreachable(f"{self.remote.server}: it has no branch {self.remote.branch}")
        async with self._read.lock:
            await self._read.fetch({self.remote.branch: tip})
            files = await self._read.files(tip, [f"clusters/{cluster}/context", "namespaces"])
        found = frozenset(
            path.rpartition("/")[2].removesuffix(".yaml")
            for path in files
            if path.startswith("clusters/") or path.split("/")[2:3] == [cluster]
        )
        self._labels[cluster] = tip, found
        return found

    async def _make_branches(self, cluster: str, present: frozenset[str]) -> None:
        """A monitor that writes by way of GitHub's API needs its branch to be there (14.6)."""
        tip = self._heads[self.remote.branch]
        labels = (label for label in present if label.partition("-")[0].isdecimal() and "+" not in label)
        for branch in (f"{cluster}-{label}" for label in sorted(labels)):
            if branch not in self._heads:
                async with self._read.lock:
                    await self._read.push({branch: tip})
                _log.info("status_branch_made", branch=branch)

    async def _remove(self, cluster: str, label: str, path: str, branch: str) -> None:
        try:
            async with self._read.lock:
                made = ""
                if not self.remote.per_app:
                    message = f"Deleting status for {label}"
                    removals = [f"{status_directory(cluster)}/{path}"]
                    made = await self._read.commit(self._heads[branch], message, writes={}, removals=removals)
                await self._read.push({branch: made})
        except Behind:
            return  # the monitor was quicker; the next look sees what it has done
        except KubeError as error:
            _log.info("report_not_removed", cluster=cluster, deployment=label, why=str(error))
            return
        _log.info("report_removed", cluster=cluster, deployment=label)
        self._stale.pop((cluster, label), None)
        if made:
            self._heads = {**self._heads, branch: made}
