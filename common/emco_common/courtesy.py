"""An event loop on which work that nobody waits for gives way to requests.

A hundred clusters that are delivered to have hundreds of steps ready at once, a fifth of a millisecond each. An event
loop takes all of them before it looks whether a request has come, and again before it goes on with that request, so
that an answer that takes two milliseconds takes forty. Here what was begun with ``giving_way`` is taken in turns of a
quarter of a millisecond, and what comes over its connections one at a time; between two turns everything else goes
first. While somebody waits for an answer the loop rests after each turn, thrice as long, so that the threads in which
the store reads and writes come to the interpreter; while nobody does, it offers the processor to other processes.
Delivery goes on for ever: at worst it has a quarter of the loop.

On another event loop the marks mean nothing and harm nobody.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
from collections import ChainMap, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVarTuple

Arguments = TypeVarTuple("Arguments")

TURN_SECONDS = 0.000_25
"""A step that takes longer is finished, so a turn takes at most so long and a step."""
SWITCH_SECONDS = 0.000_1
"""How long one thread keeps the interpreter from another. Python's own 5 ms are due for each call to the operating
system while another thread computes, and a write to the store makes ten."""
REST = 3.0
"""Turns' lengths between two turns while somebody waits for an answer."""
PATIENCE_SECONDS = 1.0
"""Since the last request came. A stream that is open for hours waits for nothing of that kind."""

_patient: ContextVar[bool] = ContextVar("gives way", default=False)


def giving_way() -> Context:
    """The present context for a task that nobody waits for; what it begins gives way as well."""
    context = copy_context()
    context.run(_patient.set, True)
    return context


def going_first() -> Context:
    """The present context for what is due, whoever began it: a lease that is renewed late is lost with all work."""
    context = copy_context()
    context.run(_patient.set, False)
    return context


@contextmanager
def waited_for() -> Iterator[None]:
    """Somebody waits for the end of what is done within."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, CourteousLoop):
        yield
        return
    loop.guests += 1
    loop.attentive_until = loop.time() + PATIENCE_SECONDS
    try:
        yield
    finally:
        loop.guests -= 1


def courteous_loop() -> asyncio.AbstractEventLoop:
    """For ``asyncio.Runner``; sets what the interpreter needs for it, for the whole process."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return CourteousLoop()


class CourteousLoop(asyncio.SelectorEventLoop):
    """One step of a task that gives way is a handle in ``_waiting`` instead of among what is ready."""

    def __init__(self) -> None:
        self.guests = 0
        self.attentive_until = 0.0
        self._waiting: deque[asyncio.Handle] = deque()
        self._turn_is_due = False
        self._plain = Context()
        self._connections = PatientSelector()
        super().__init__(self._connections)

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        context = context if context is not None else copy_context()
        if not context.get(_patient, False):
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._waiting.append(handle)
        if not self._turn_is_due:
            self._turn_is_due = True
            super().call_soon(self._turn, context=self._plain)
        return handle

    def _turn(self) -> None:
        began = self.time()
        end = began + TURN_SECONDS
        try:
            while self._waiting:
                handle = self._waiting.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.time() >= end:
                    break
        finally:
            now = self.time()
            if self.guests and now < self.attentive_until:
                self._connections.rest()
                self.call_at(now + REST * (now - began), self._go_on, context=self._plain)
            elif self._waiting:
                os.sched_yield()  # other processes need not wait until the scheduler thinks of them, up to 3 ms later
                super().call_soon(self._turn, context=self._plain)
            else:
                self._turn_is_due = False

    def _go_on(self) -> None:
        self._connections.go_on()
        if self._waiting:
            super().call_soon(self._turn, context=self._plain)
        else:
            self._turn_is_due = False


class PatientSelector(selectors.DefaultSelector):
    """Of the connections that were made by what gives way tells one at a time, in the order in which they were ready.

    They are in a selector of their own, which this one looks at as at one more connection, but not while it rests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._others = selectors.DefaultSelector()
        self._kept: dict[int, tuple[selectors.SelectorKey, int]] = {}
        self._resting = True
        self.go_on()

    def rest(self) -> None:
        if not self._resting:
            self._resting = True
            super().unregister(self._others.fileno())

    def go_on(self) -> None:
        if self._resting:
            self._resting = False
            super().register(self._others.fileno(), selectors.EVENT_READ)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if _patient.get():
            return self._others.register(fileobj, events, data)
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        if (key := self._others.get_map().get(fileobj)) is None:
            return super().unregister(fileobj)
        self._kept.pop(key.fd, None)
        return self._others.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if (key := self._others.get_map().get(fileobj)) is None:
            return super().modify(fileobj, events, data)
        self._kept.pop(key.fd, None)  # said of what was wanted before; it is told again
        return self._others.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self.get_map()[fileobj]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return ChainMap(self._others.get_map(), super().get_map())  # type: ignore[arg-type]  # neither is written to

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._resting:
            return super().select(timeout)
        own = self._others.fileno()
        told = super().select(0 if self._kept else timeout)
        among = [each for each in told if each[0].fd != own]
        if not self._kept and len(among) < len(told):
            self._kept = {key.fd: (key, events) for key, events in self._others.select(0)}
        if self._kept:
            among.append(self._kept.pop(next(iter(self._kept))))
        return among

    def close(self) -> None:
        self._others.close()
        super().close()
