"""Group commit: changes that come within a moment go to the repository in one commit, and each of their senders hears
what became of it. What others push meanwhile stays: our changes are then made anew on top of theirs (rsync D16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from emco_common.errors import EmcoError
from emco_common.kube import errors
from emco_rsync.delivery.git.clone import Clone
from emco_rsync.delivery.git.draft import Change, Draft, message_of
from emco_rsync.delivery.git.errors import Behind

_log = structlog.get_logger()

ATTEMPTS = 8
"""Pushes of one commit, if others are quicker each time."""
MAX_FILE = 4 * 2**20
MAX_READ = 256 * 2**20
CLOSING_SECONDS = 2.0
FAILURES_OF_A_CLONE = 3
"""In a row, after which it is thrown away."""
MAX_KEPT = 16 * 2**20
"""Bytes of contents that are kept to be looked at again."""
_CACHED = 20_000


@dataclass(slots=True)
class _Order:
    change: Change
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Writer:
    """Of one branch. ``gather`` is the moment, in seconds; ``random`` answers numbers in [0, 1)."""

    def __init__(self, clone: Clone, branch: str, *, gather: float, random: Callable[[], float]) -> None:
        self._clone = clone
        self._branch = branch
        self._gather = gather
        self._random = random
        self._orders: list[_Order] = []
        self._work: asyncio.Task[None] | None = None
        self._tip = ""
        self._known = False
        self._failures = 0
        self._contents: dict[str, bytes] = {}
        self._files: dict[str, dict[str, str]] = {}

    async def write(self, change: Change) -> None:
        """Returns when the server has it, or has it already. Any ``KubeError``."""
        order = _Order(change)
        self._orders.append(order)
        if self._work is None:
            self._work = asyncio.create_task(self._run(), name="commit")
        await order.done

    async def look(self, *places: str) -> Draft:
        """The files below these directories, as of the newest commit that is known. What was read before does not wait
        for a push that is under way."""
        if self._known and all(place in self._files for place in places):
            files = self._listed(places)
            if all(blob in self._contents for blob in files.values()):
                return Draft(files, {blob: self._contents[blob] for blob in files.values()})
        async with self._clone.lock:
            if not self._known:
                await self._catch_up()
            return await self._draft(places)

    async def catch_up(self, tip: str) -> None:
        """The branch is said to be at this commit."""
        if tip != self._tip or not self._known:
            async with self._clone.lock:
                await self._catch_up()

    async def close(self) -> None:
        """What was sent has a moment to come to its end."""
        work = self._work
        if work is not None:
            _, late = await asyncio.wait({work}, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait({work})

    async def _run(self) -> None:
        try:
            while self._orders:
                await asyncio.sleep(self._gather)
                orders, self._orders = self._orders, []
                async with self._clone.lock:
                    await self._serve(orders)
        finally:
            self._work = None
            if self._orders:  # they came at the last moment
                self._work = asyncio.create_task(self._run(), name="commit")

    async def _serve(self, orders: list[_Order]) -> None:
        """What the server refuses may be the fault of one place only, so then each is tried alone."""
        try:
            await self._commit([order.change for order in orders])
        except errors.Forbidden as refusal:
            places = dict.fromkeys(order.change.subject for order in orders)
            if len(places) > 1:
                for place in places:
                    await self._serve([order for order in orders if order.change.subject == place])
            else:
                _end(orders, refusal)
        except EmcoError as error:
            self._failures += 1
            if self._failures % FAILURES_OF_A_CLONE == 0:
                await self._clone.forget()  # it may be broken, and can be had anew
            _end(orders, error)
        except Exception as error:
            _log.exception("commit_failed")
            _end(orders, errors.ServerError(f"the commit could not be made: {type(error).__name__}"))
        else:
            self._failures = 0
            _end(orders, None)

    async def _commit(self, changes: list[Change]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if not self._known:
                    await self._catch_up()
                await self._push(changes)
                return
            except Behind:
                self._known = False
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(self._gather * attempt * (0.5 + self._random()))
            except BaseException:
                self._known = False  # it may have come through after all
                raise

    async def _push(self, changes: list[Change]) -> None:
        draft = await self._draft([place for change in changes for place in (*change.directories, *change.paths)])
        subjects: list[str] = []
        for change in sorted(changes, key=lambda change: change.last):
            before = dict(draft.files)
            change.make(draft)
            if draft.files != before and change.subject not in subjects:
                subjects.append(change.subject)
        writes, removals = draft.writes, draft.removals
        if not writes and not removals:
            return
        made = await self._clone.commit(self._tip, message_of(subjects), writes=writes, removals=removals)
        await self._clone.push({self._branch: made})
        _log.info("pushed", branch=self._branch, commit=made, written=len(writes), removed=len(removals))
        self._tip = made
        self._note(draft)

    def _note(self, draft: Draft) -> None:
        """What was pushed need not be read again."""
        changed = draft.writes.keys() | set(draft.removals)
        touched = [place for place in self._files if any(_is_at(path, place) for path in changed)]
        self._contents |= draft.writes
        for place in touched:
            self._files[place] = {path: blob for path, blob in draft.files.items() if _is_at(path, place)}

    async def _catch_up(self) -> None:
        heads = await self._clone.heads()
        tip = heads.get(self._branch, "")
        if not tip and heads:
            raise errors.Unreachable(f"the repository has no branch {self._branch}")
        if tip:
            await self._clone.fetch({self._branch: tip})
        if tip != self._tip:
            self._files.clear()
        self._tip, self._known = tip, True

    async def _draft(self, places: Iterable[str]) -> Draft:
        """With what is there; in the order of the calls nobody else changes it meanwhile."""
        places = list(places)
        unread = [place for place in dict.fromkeys(places) if place not in self._files]
        if len(self._files) + len(unread) > _CACHED:
            self._files.clear()
            unread = list(dict.fromkeys(places))
        if unread:
            listed = await self._clone.files(self._tip, [place.rstrip("/") for place in unread]) if self._tip else {}
            for place in unread:
                self._files[place] = {}
            for path, blob in listed.items():
                for place in unread:
                    if _is_at(path, place):
                        self._files[place][path] = blob
        files = self._listed(places)
        wanted = set(files.values())
        missing = wanted - self._contents.keys()
        if missing:
            read = await self._clone.contents(missing, limit=MAX_READ, each=MAX_FILE)
            if sum(map(len, self._contents.values())) > MAX_KEPT:
                self._contents = {blob: found for blob, found in self._contents.items() if blob in wanted}
            self._contents |= read
        return Draft(files, {blob: self._contents[blob] for blob in wanted if blob in self._contents})

    def _listed(self, places: Iterable[str]) -> dict[str, str]:
        return {path: blob for place in dict.fromkeys(places) for path, blob in self._files[place].items()}


def _is_at(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


def _end(orders: list[_Order], error: BaseException | None) -> None:
    for order in orders:
        if order.done.done():
            continue
        if error is None:
            order.done.set_result(None)
        else:
            order.done.set_exception(error)
