"""The program as a process: its entry point, its start, its streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder
from tests.unit.emcoctl.test_watch import Status

COMMAND = [sys.executable, "-c", "from emco_emcoctl.main import cli; cli()"]
HEAVY = ("httpx", "yaml", "grpc", "urllib.request", "emco_common")


def program(*words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HOME": str(folder), **more}
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, env=environ, capture_output=True, text=True, encoding="utf-8", timeout=30
    )


def test_a_run_writes_answers_and_problems_to_their_streams(
    ctl: Ctl, recorder: Recorder, document: Callable[..., str]
) -> None:
    ctl.file("ř.yaml", document("projects", "č") + document("cluster-providers", "p"))
    done = program("--config", "cfg.yaml", "apply", "-f", "ř.yaml", folder=ctl.folder)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "Using config file: cfg.yaml"
    assert recorder.lines == ["orchestrator POST /v2/projects", "clm POST /v2/cluster-providers"]


def test_a_problem_ends_the_process_with_its_code(ctl: Ctl) -> None:
    done = program("--config", "cfg.yaml", "get", "nowhere", folder=ctl.folder, LC_ALL="C")

    assert (done.returncode, done.stderr) == (2, "emcoctl: the anchor 'nowhere' leads to no service\n")


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]], ids=" ".join)
def test_help_names_every_command(words: list[str], tmp_path: Path) -> None:
    done = program(*words, folder=tmp_path)

    assert done.returncode == 0
    for command in ("apply", "update", "get", "delete", "watch", "completion"):
        assert f"  {command} " in done.stdout


def test_help_of_a_command_names_its_flags(tmp_path: Path) -> None:
    done = program("help", "apply", folder=tmp_path)

    assert done.stdout == program("apply", "-h", folder=tmp_path).stdout
    for flag in ("--filename", "--values", "--token", "--config", "--stop", "--waitTime"):
        assert flag in done.stdout


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import io, json, sys; from emco_emcoctl.main import run;"
        "run(['--help'], stdout=io.StringIO(), stderr=sys.stderr); print(json.dumps(list(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script], cwd=tmp_path))

    assert not set(loaded) & set(HEAVY)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion_prints_the_script_and_nothing_else(shell: str, tmp_path: Path) -> None:
    done = program("completion", shell, folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "_EMCOCTL_COMPLETE" in done.stdout
    assert "config" not in done.stdout.splitlines()[0]


@pytest.mark.parametrize("words", [[], ["tcsh"]], ids=["none", "unknown"])
def test_completion_without_a_known_shell_prints_its_help(words: list[str], tmp_path: Path) -> None:
    done = program("completion", *words, folder=tmp_path)

    assert done.returncode == 0
    assert "powershell" in done.stdout


def test_the_completion_completes_commands(tmp_path: Path) -> None:
    done = program(folder=tmp_path, _EMCOCTL_COMPLETE="bash_complete", COMP_WORDS="emcoctl up", COMP_CWORD="1")

    assert done.stdout == "plain,update\n"


def test_a_closed_pipe_is_no_crash(ctl: Ctl) -> None:
    words = " ".join(f"'{word}'" for word in COMMAND)
    done = subprocess.run(
        ["sh", "-c", f"{words} --help | true"], cwd=ctl.folder, capture_output=True, text=True, timeout=30
    )

    assert "Traceback" not in done.stderr


def test_an_interrupted_watch_deregisters_and_has_a_code_of_its_own(ctl: Ctl) -> None:
    status = Status([[messages.StatusNotification(statusValue=messages.READY)]], ends_with=None)
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_StatusNotifyServicer_to_server(status, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ctl.file("cfg.yaml", f"dcm: {{host: 127.0.0.1, statusPort: {port}}}\n")
    words = ["--config", "cfg.yaml", "watch", "projects/p/logical-clouds/l/status"]
    process = subprocess.Popen([*COMMAND, *words], cwd=ctl.folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        left = time.monotonic() + 5
        while not status.deregistered and time.monotonic() < left:
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
        server.stop(None)

    assert lines == ["Using config file: cfg.yaml\n", '{"statusValue":"READY"}\n']
    assert code == 130
    assert status.deregistered == [status.registered[0].clientId]
