"""One object that is watched: looks at it when something happened, and gives every client what it wants to see.

Whatever the clients are, an object is read once per look, and each distinct view of it is made once. Looks are at
least a window apart, and at most a fifth of the time is spent in them; in between, news are joined (spec
orchestrator-lifecycle 13, defect 27).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace

import structlog

from emco_common.contextbus.api import ContextBus
from emco_common.errors import EmcoError, NotFound
from emco_common.lifecycle import NoStateInformation
from emco_common.status.contexts import ContextGone, Contexts
from emco_common.status.notify.following import Following
from emco_common.status.notify.watcher import End, Message, View, Watcher
from emco_common.status.query import Form, Output, StatusQuery
from emco_common.status.reader import Standing, StatusReader
from emco_common.store.api import Key

_log = structlog.get_logger()
WINDOW = 3.0
"""Seconds between two looks at least (13.3)."""
LOOK_AROUND = 30.0
"""Seconds after which the history is looked at although nobody told of a change."""
_SHARE = 4
"""How many times as long as the last look took the next one waits."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
"""Seconds before another attempt after a failed look; doubled each time."""

Seen = Mapping[str, Contexts | EmcoError | None]
"""By instance asked for: what was read, ``None`` before the first instantiation, or why it cannot be read."""


class Subject:
    """``run`` ends when the object does. ``looked`` is called at each look that reads contexts."""

    def __init__(
        self,
        key: Key,
        reader: StatusReader,
        bus: ContextBus,
        *,
        window: float = WINDOW,
        look_around: float = LOOK_AROUND,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self.watchers: set[Watcher] = set()
        self._key = key
        self._reader = reader
        self._following = Following(bus, self.changed)
        self._window = window
        self._look_around = look_around
        self._looked = looked
        self._messages: dict[View, Message] = {}
        self._standing: Standing | None = None
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def known(self) -> bool:
        """Whether the object was there at the last look."""
        return self._standing is not None

    def join(self, watcher: Watcher) -> None:
        """It gets the present state at once if another client sees the same, else after a look."""
        self.watchers.add(watcher)
        if message := self._messages.get(watcher.view):
            watcher.offer(message)
        else:
            self._news.set()
            self._hurry.set()

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)

    def changed(self) -> None:
        """Something happened, or may have."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled or the object is deleted."""
        loop = asyncio.get_running_loop()
        failures = 0
        async with aclosing(self._following):
            while True:
                self._hurry.clear()
                news, begun = self._news.is_set(), loop.time()
                self._news.clear()
                try:
                    if not await self._look(news=news):
                        return self._deleted()
                    failures = 0
                except EmcoError as error:
                    _log.warning("status_not_read", key=dict(self._key), error=str(error))
                    failures += 1
                except Exception:
                    _log.exception("status_not_read", key=dict(self._key))
                    failures += 1
                ended = loop.time()
                if failures:
                    self._news.set()
                    await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE))
                else:
                    await self._next_turn(max(begun + self._window, ended + _SHARE * (ended - begun)))

    async def _next_turn(self, earliest: float) -> None:
        """Returns when there are news, not before ``earliest`` unless a client waits for its first message."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_around):
                await self._news.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(earliest):
                await self._hurry.wait()

    async def _look(self, *, news: bool) -> bool:
        """Read what is there and tell the clients; false if the object is gone. Without news the history suffices."""
        try:
            standing = await self._reader.look(self._key)
        except NotFound:
            return False
        if not news and standing == self._standing:
            return True
        self._looked()
        views = frozenset(watcher.view for watcher in self.watchers)
        seen = await self._read(standing, [view.query for view in views])
        messages = await asyncio.to_thread(_rendered, standing, seen, views)
        self._standing, self._messages = standing, messages
        for watcher in self.watchers:
            if message := messages.get(watcher.view):
                watcher.offer(message)
        return True

    async def _read(self, standing: Standing, queries: Iterable[StatusQuery]) -> Seen:
        """Every context is followed before it is read, so that no change falls in between."""
        info, reads = standing.info, _joined(queries)
        needed = {info.instance, info.status_context, *reads} & {*info.instances, info.status_context} - {""}
        await self._following.only(needed)
        while True:
            seen = {instance: await self._contexts(standing, query) for instance, query in reads.items()}
            needed.update(*(one.ids for one in seen.values() if isinstance(one, Contexts)))
            if self._following.follows(needed):
                return seen
            await self._following.only(needed)

    async def _contexts(self, standing: Standing, query: StatusQuery) -> Contexts | EmcoError | None:
        try:
            return await self._reader.read(self._key, standing, query)
        except (NoStateInformation, ContextGone) as error:
            # Of a present context that is gone there is nothing on the clusters that anybody would know of.
            return self._reader.refusal(error) if query.instance else None

    def _deleted(self) -> None:
        self._standing, self._messages = None, {}
        for watcher in self.watchers:
            watcher.end(End.DELETED)


def _joined(queries: Iterable[StatusQuery]) -> dict[str, StatusQuery]:
    """By instance, the one query that reads enough for all of them."""
    joined: dict[str, StatusQuery] = {}
    for query in queries:
        known = joined.setdefault(query.instance, StatusQuery(instance=query.instance))
        joined[query.instance] = replace(
            known,
            form=Form.READY if query.form.of_clusters else known.form,
            output=Output.DETAIL if query.output is Output.DETAIL else known.output,
        )
    return joined


def _rendered(standing: Standing, seen: Seen, views: Iterable[View]) -> dict[View, Message]:
    return {view: _message(view, standing, seen[view.query.instance]) for view in views}


def _message(view: View, standing: Standing, found: Contexts | EmcoError | None) -> Message:
    """A view that cannot be made is its clients' alone."""
    try:
        if isinstance(found, EmcoError):
            raise found
        return Message.of(view.render(standing, found))
    except EmcoError as error:
        return Message.of(view.failed(error), error=error)
    except Exception:
        _log.exception("status_not_shown", view=repr(view))
        unknown = EmcoError("the status cannot be shown; the log of the service tells more")
        return Message.of(view.failed(unknown), error=unknown)
