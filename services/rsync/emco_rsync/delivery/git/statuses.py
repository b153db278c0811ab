"""What the clusters report: one look at the server now and then for all clusters of a repository, and only what is new
is fetched. What is reported of a deployment that the repository does not have any more is removed (rsync 14.6).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from emco_common.errors import EmcoError
from emco_common.kube import KubeError
from emco_rsync.delivery.git.clone import Clone
from emco_rsync.delivery.git.errors import NotReported
from emco_rsync.delivery.git.writer import FAILURES_OF_A_CLONE

_log = structlog.get_logger()
T = TypeVar("T")

MAX_FILE = 4 * 2**20
"""Of one report; a monitor keeps it below the size of a Kubernetes object."""
MAX_CLUSTER = 64 * 2**20
MAX_FILES = 20_000

Branches = Callable[[str, Mapping[str, str]], dict[str, str]]
"""Those of the branches (commit by name) on which a cluster's reports are."""


@dataclass(frozen=True, slots=True)
class Report:
    """``files`` by path below the cluster's directory of reports; ``branches`` where each is."""

    version: str
    files: Mapping[str, bytes] = field(repr=False)
    branches: Mapping[str, str] = field(default_factory=dict, repr=False)


class Statuses:
    """``seen`` is called with all branches at each look."""

    def __init__(
        self,
        clone: Clone,
        *,
        directory: Callable[[str], str],
        branches: Branches,
        seen: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._clone = clone
        self._directory = directory
        self._branches = branches
        self._seen = seen
        self._users: Counter[str] = Counter()
        self._reports: dict[str, Report] = {}
        self._owed: set[str] = set()
        self._failures = 0
        self._listeners: list[tuple[str, Callable[[], None]]] = []
        self._remarks: dict[str, str] = {}
        self._looked: set[str] = set()
        self._news = asyncio.Condition()
        self._wanted = asyncio.Event()

    @property
    def clusters(self) -> list[str]:
        """Those looked at: somebody wants to know of them, or something reported of them may have to be removed."""
        return [*self._users, *(cluster for cluster in self._owed if cluster not in self._users)]

    @property
    def reports(self) -> Mapping[str, Report]:
        return self._reports

    def join(self, cluster: str, changed: Callable[[], None] = lambda: None) -> Callable[[], None]:
        """The cluster's reports are looked for, until what is answered is called. ``changed``: there is another
        ``remark``."""
        self._users[cluster] += 1
        listener = (cluster, changed)
        self._listeners.append(listener)
        if cluster not in self._reports:
            self._wanted.set()

        def leave() -> None:
            self._listeners.remove(listener)
            self._users[cluster] -= 1
            if self._users[cluster] <= 0:
                del self._users[cluster]
                if cluster in self._reports:
                    self._owed.add(cluster)

        return leave

    async def report(self, cluster: str, *, within: float) -> Report:
        """The newest one. ``NotReported`` if there is none after so many seconds, or nobody has looked."""
        found = self._reports.get(cluster)
        if found is None:
            self._wanted.set()
            found = await self._until(lambda: self._reports.get(cluster), within)
        if found is None:
            raise NotReported(self.remark(cluster) or f"nothing is known yet of what is reported of {cluster}")
        return found

    def remark(self, cluster: str) -> str:
        """That nothing is reported of the cluster, if that is known."""
        report = self._reports.get(cluster)
        if cluster not in self._looked or (report is not None and report.version):
            return ""
        return f"its monitor has reported nothing to the repository (branch {cluster}), so readiness is not known"

    async def changed(self, cluster: str, version: str, *, within: float) -> None:
        """Returns when there is another report than that of the version, or after so many seconds."""

        def other() -> bool:
            found = self._reports.get(cluster)
            return found is not None and found.version != version

        await self._until(other, within)

    async def _until(self, condition: Callable[[], T], within: float) -> T | None:
        try:
            async with asyncio.timeout(within), self._news:
                return await self._news.wait_for(condition)
        except TimeoutError:
            return None

    async def run(self, *, every: float, then: Callable[[], object]) -> None:
        """Look until cancelled; ``then`` after each look."""
        while True:
            self._wanted.clear()
            try:
                await self.look()
                found = then()
                if asyncio.iscoroutine(found):
                    await found
            except EmcoError as error:
                _log.info("reports_not_read", why=str(error))
                if not self._users:
                    return  # with other credentials it is another repository
            except Exception:
                _log.exception("reports_not_read")
            await self._pause(every)

    async def _pause(self, every: float) -> None:
        """A cluster that is new to us is looked for at once, though not all the time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + every
        await asyncio.sleep(min(every, 1.0))
        try:
            async with asyncio.timeout_at(until):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def look(self) -> None:
        """Any ``KubeError``; one cluster's reports cannot spoil another's."""
        heads = await self._clone.heads()
        self._seen(heads)
        for cluster in self.clusters:
            branches = self._branches(cluster, heads)
            version = hashlib.sha256(repr(sorted(branches.items())).encode()).hexdigest()[:16] if branches else ""
            known = self._reports.get(cluster)
            if known is not None and known.version == version:
                continue
            try:
                async with self._clone.lock:
                    report = await self._read(cluster, version, branches) if branches else None
            except KubeError as error:
                _log.info("report_not_read", cluster=cluster, why=str(error))
                self._failures += 1
                if self._failures % FAILURES_OF_A_CLONE == 0:
                    await self._clone.forget()
                continue
            self._failures = 0
            if report is not None:
                self._reports[cluster] = report
            elif known is not None:
                self._reports[cluster] = Report("", {})
        self._forget()
        async with self._news:
            self._looked |= set(self._users)
            self._news.notify_all()
        remarks = {cluster: self.remark(cluster) for cluster in self._users}
        for cluster, changed in list(self._listeners):
            if remarks.get(cluster, "") != self._remarks.get(cluster, ""):
                changed()
        self._remarks = remarks

    def _forget(self) -> None:
        """Clusters that nobody asks for and that have nothing reported."""
        for cluster in [one for one in self._owed if one in self._users or not self._reports[one].files]:
            self._owed.discard(cluster)
            if cluster not in self._users:
                del self._reports[cluster]

    async def _read(self, cluster: str, version: str, branches: Mapping[str, str]) -> Report:
        await self._clone.fetch(branches)
        directory = self._directory(cluster)
        files: dict[str, bytes] = {}
        where: dict[str, str] = {}
        left = MAX_CLUSTER
        for branch, commit in sorted(branches.items()):
            listed = await self._clone.files(commit, [directory])
            if len(listed) > MAX_FILES:
                _log.warning("report_cut", cluster=cluster, files=len(listed))
                listed = dict(sorted(listed.items())[:MAX_FILES])
            contents = await self._clone.contents(listed.values(), limit=left, each=MAX_FILE)
            left -= sum(map(len, contents.values()))
            for path, blob in listed.items():
                if blob in contents:
                    files[path.removeprefix(f"{directory}/")] = contents[blob]
                else:
                    _log.warning("report_too_large", cluster=cluster, path=path[:300])
                where[path.removeprefix(f"{directory}/")] = branch
        return Report(version, files, where)
