"""The process that renders: reads a request, renders, answers, until its input ends. Started by ``pool``.

Everything that a stranger wrote (archives, templates, rendered YAML) is read here and nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from emco_common.helm.api import RenderError
from emco_common.helm.confine import leave_network, limit_resources
from emco_common.helm.engine import Engine
from emco_common.helm.render import render
from emco_common.helm.wire import LENGTH_BYTES, Answer, WorkerSetup, decode_request, encode_answer


def main() -> None:
    setup = WorkerSetup.decode(sys.argv[1])
    requests, answers = _private_streams()
    # What a library logs may hold values; it is not ours to show.
    logging.disable()
    leave_network()
    engine = _engine(setup.engine)
    limit_resources(setup.limits)
    work = Path(setup.work)
    try:
        while (payload := _read_frame(requests)) is not None:
            answers.write(encode_answer(_answer(payload, engine, setup)))
            answers.flush()
    except BrokenPipeError:
        pass
    finally:
        # Also when whoever started us was killed and cannot do it any more.
        shutil.rmtree(work, ignore_errors=True)


def _answer(payload: bytes, engine: Engine, setup: WorkerSetup) -> Answer:
    app, error = None, ""
    with tempfile.TemporaryDirectory(dir=setup.work, ignore_cleanup_errors=True) as folder:
        try:
            request = decode_request(payload)
            app = render(
                request, engine=engine, work=Path(folder), kube_version=setup.kube_version, limits=setup.limits
            )
        except RenderError as failure:
            error = str(failure)
        except (MemoryError, RecursionError):
            error = "rendering passed the memory limit"
    return Answer(cpu_seconds=time.process_time(), app=app, error=error)


def _engine(name: str) -> Engine:
    if name == "sdk":
        from emco_common.helm.sdk import SdkEngine

        return SdkEngine()
    from emco_common.helm.cli import CliEngine

    return CliEngine(executable=name)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes to ourselves, so that nothing a library prints or reads gets between the frames."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


def _read_frame(stream: BinaryIO) -> bytes | None:
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    return stream.read(int.from_bytes(length))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
