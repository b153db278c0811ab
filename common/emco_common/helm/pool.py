"""A renderer on a few warm worker processes; one that dies takes its own render with it and is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from emco_common.errors import Unavailable
from emco_common.helm.api import RenderedApp, RenderError, RenderRequest
from emco_common.helm.engine import describe_crash
from emco_common.helm.wire import LENGTH_BYTES, Answer, WorkerSetup, decode_answer, encode_request

_STOP_SECONDS = 10.0
_TAIL_BYTES = 4096

log = structlog.get_logger()


class PooledRenderer:
    """``helm.api.Renderer`` on worker processes. ``warm`` starts them ahead of the first request."""

    def __init__(self, setup: WorkerSetup, *, size: int) -> None:
        self._setup = setup
        self._free = asyncio.Semaphore(size)
        self._size = size
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def warm(self) -> None:
        """Have a worker ready for each render that may run at once."""
        missing = self._size - len(self._all)
        self._idle.extend(await asyncio.gather(*(self._start() for _ in range(missing))))

    async def render(self, request: RenderRequest) -> RenderedApp:
        async with self._free:
            worker = await self._take()
            try:
                answer = await worker.ask(encode_request(request), seconds=self._setup.limits.seconds)
            except BaseException:
                # Whatever it was, cancellation included: the worker is in the middle of something.
                await self._retire(worker)
                raise
            await self._give_back(worker, answer)
        if answer.app is None:
            raise RenderError(answer.error)
        return answer.app

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._all))
        self._all.clear()
        self._idle.clear()

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                return worker
            # Something else than a chart ended it; the next request must not pay for that.
            self._all.discard(worker)
            await worker.stop()
        return await self._start()

    async def _give_back(self, worker: _Worker, answer: Answer) -> None:
        fresh = answer.cpu_seconds < self._setup.limits.cpu_seconds
        if fresh and len(self._all) <= self._size and not self._closed:
            self._idle.append(worker)
        else:
            await self._retire(worker)

    async def _retire(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.stop()
        if len(self._all) < self._size and not self._closed:
            task = asyncio.create_task(self._replace(), name="helm-worker-replace")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        try:
            self._idle.append(await self._start())
        except Unavailable as error:
            # The next render starts one itself and tells its caller.
            log.warning("helm_worker_not_started", reason=str(error))

    async def _start(self) -> _Worker:
        if self._closed:
            raise RuntimeError("the renderer is closed")
        try:
            worker = await _Worker.start(self._setup)
        except OSError as error:
            raise Unavailable(f"no process can be started to render in: {error.strerror}") from error
        self._all.add(worker)
        return worker


@dataclass(eq=False, slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    folder: Path
    tail: bytearray
    listener: asyncio.Task[None]

    @staticmethod
    async def start(setup: WorkerSetup) -> _Worker:
        folder = Path(tempfile.mkdtemp(prefix="emco-helm-"))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-m", "emco_common.helm.worker", replace(setup, work=str(folder)).encode()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(folder, setup),
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        tail = bytearray()
        listener = asyncio.create_task(_keep_tail(process, tail), name="helm-worker-stderr")
        return _Worker(process=process, folder=folder, tail=tail, listener=listener)

    async def ask(self, frame: bytes, *, seconds: float) -> Answer:
        """Raises ``RenderError`` if the worker dies or takes longer than ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(frame)
        except TimeoutError as error:
            raise RenderError(f"rendering took longer than {seconds:g} seconds and was stopped") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise RenderError(await self._why()) from error

    async def stop(self) -> None:
        """Kill it with its children and remove what it wrote."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        async with asyncio.timeout(_STOP_SECONDS):
            await self.process.wait()
            await self.listener
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _exchange(self, frame: bytes) -> Answer:
        writer, reader = self.process.stdin, self.process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(frame)
        await writer.drain()
        length = await reader.readexactly(LENGTH_BYTES)
        return decode_answer(await reader.readexactly(int.from_bytes(length)))

    async def _why(self) -> str:
        async with asyncio.timeout(_STOP_SECONDS):
            code = await self.process.wait()
            await self.listener
        text = self.tail.decode(errors="replace")
        reason = describe_crash(code, text)
        log.warning("helm_worker_died", code=code, reason=reason, stderr=text[:500])
        return reason


async def _keep_tail(process: asyncio.subprocess.Process, tail: bytearray) -> None:
    assert process.stderr is not None
    while piece := await process.stderr.read(_TAIL_BYTES):
        tail += piece
        # A Go crash says why first and then prints its stacks: the beginning is what is kept.
        del tail[_TAIL_BYTES:]


def _environment(folder: Path, setup: WorkerSetup) -> dict[str, str]:
    """All that a worker, and a ``helm`` below it, knows of the machine."""
    places = {name: str(folder) for name in ("HOME", "TMPDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    go = {"GOMAXPROCS": "2", "GOMEMLIMIT": str(setup.limits.memory_bytes * 3 // 4), "GOTRACEBACK": "none"}
    return {**places, **go, "LC_ALL": "C.UTF-8", "HELM_PLUGINS": str(folder / "no-plugins")}
