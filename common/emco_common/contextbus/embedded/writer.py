"""The thread that writes the file of the embedded bus. Requests that wait together share one commit, so one fsync."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from emco_common.contextbus.api import BusUnavailable
from emco_common.contextbus.embedded.ledger import Batch, Ledger, Outcome, Request
from emco_common.errors import EmcoError

_MAX_BATCH = 256
"""Requests in one commit at most: enough to share an fsync, few enough that the first does not wait long."""


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    answer: asyncio.Future[Outcome]


class Writer:
    """Alone uses the ledger. ``publish`` runs in the event loop after each commit, before the callers go on."""

    def __init__(self, ledger: Ledger, *, loop: asyncio.AbstractEventLoop, publish: Callable[[Batch], None]) -> None:
        self._ledger = ledger
        self._loop = loop
        self._publish = publish
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="contextbus-writer", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> asyncio.Future[Outcome]:
        """Hand a request in. It is done even if the caller stops waiting: its events must reach the watches."""
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        self._jobs.put(_Job(request, answer))
        return answer

    def stop(self) -> None:
        """Finish what was handed in, then end the thread. Blocks; not for the event loop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            jobs, stopping = self._next_jobs()
            if jobs:
                self._commit(jobs)

    def _next_jobs(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MAX_BATCH:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            batch = self._ledger.apply([job.request for job in jobs])
        except Exception as error:  # the border of the thread: what went wrong is told to every caller of the batch
            outcome = error if isinstance(error, EmcoError) else BusUnavailable(f"the context bus failed: {error}")
            batch = Batch(outcomes=[outcome for _ in jobs], revision=self._ledger.revision)
        try:
            self._loop.call_soon_threadsafe(self._deliver, jobs, batch)
        except RuntimeError:
            return  # the event loop is closed, nobody waits for an answer

    def _deliver(self, jobs: list[_Job], batch: Batch) -> None:
        self._publish(batch)
        for job, outcome in zip(jobs, batch.outcomes, strict=True):
            if job.answer.done():
                continue
            if isinstance(outcome, EmcoError):
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)
