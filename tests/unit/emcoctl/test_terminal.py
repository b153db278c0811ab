"""What a person sees on a real terminal, read through its other end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from emco_common.rpc import statusnotify_pb2 as messages
from emco_emcoctl.output import TerminalOutput
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply
from tests.unit.emcoctl.test_following import GROUP, status
from tests.unit.emcoctl.test_watch import Status, served

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(ctl: Ctl, *words: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code of emcoctl as a program, and everything it wrote to its terminal."""
    pid, ours = pty.fork()
    if not pid:
        os.chdir(ctl.folder)
        os.environ.update({"HOME": str(ctl.folder), "TERM": "xterm", **(environ or {})})
        os.execv(sys.executable, [sys.executable, "-m", "emco_emcoctl", "--config", "cfg.yaml", *words])
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # how a terminal says that nobody is left at its other end
        pass
    finally:
        os.close(ours)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_a_run_shows_a_line_per_document_and_follows_with_a_bar(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [
        Reply(202),
        status("Instantiating", deployedCounts={"Applied": 1, "Pending": 2}),
        status("Instantiated", deployedCounts={"Applied": 3}),
    ]
    code, written = on_a_terminal(ctl, "apply", f"{GROUP}/instantiate", "--wait")
    plain = _CONTROL.sub("", written)

    assert code == 0
    assert "\x1b[32m✓" in written
    assert f"✓ POST {GROUP}/instantiate  202" in plain
    assert "Instantiating, 1 of 3" in plain
    assert "━" in plain
    assert plain.rstrip().endswith(f"✓ {GROUP}  Instantiated, 3 of 3")


def test_no_color_leaves_the_colours_out(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(409, b"exists")]
    code, written = on_a_terminal(ctl, "apply", "projects", environ={"NO_COLOR": "1"})

    assert code == 3
    assert "\x1b[3" not in written
    assert "✗ POST projects  409: exists" in written


def test_what_a_server_says_cannot_steer_the_terminal(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(400, b"bad \x1b]0;owned\x07 name")]
    _, written = on_a_terminal(ctl, "apply", "projects")

    assert "\x1b]0;" not in written
    assert "bad  ]0;owned  name" in written


def test_a_watch_is_a_table_that_stays_in_place(ctl: Ctl) -> None:
    first = messages.StatusNotification(statusValue=messages.NOT_READY)
    app = first.details.add().app
    app.app, app.statusValue = "web", messages.NOT_READY
    cluster = app.clusters.add(clusterProvider="acme", cluster="edge", statusValue=messages.NOT_READY)
    cluster.resources.add(name="web", gvk=messages.GVK(kind="Deployment"), statusValue=messages.NOT_READY)
    second = messages.StatusNotification()
    second.CopyFrom(first)
    second.statusValue = messages.READY
    server = Status([[first, second]])
    with served(server, ctl):
        code, written = on_a_terminal(ctl, "watch", f"{GROUP}/status")
    plain = _CONTROL.sub("", written)

    assert code == 3
    assert server.registered[0].output == messages.ALL
    assert re.search(r"APP +CLUSTER +OBJECT +STATUS", plain)
    assert re.search(r"web +acme\+edge +Deployment web +NOT_READY", plain)
    assert f"{GROUP}/status  READY" in plain
    assert "\x1b[1A" in written
    assert '{"statusValue"' not in plain


class Moments:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_upload_shows_itself_only_if_it_takes_long(tmp_path: Path) -> None:
    clock = Moments()
    with (tmp_path / "out").open("w+") as out:
        shown = TerminalOutput(stdout=out, stderr=out, colour=False, clock=clock)
        for now, sent in ((0.0, 0), (1.0, 1 << 20), (1.9, 2 << 20)):
            clock.now = now
            shown.uploading("apps", sent=sent, total=4 << 20)
        assert (tmp_path / "out").read_text() == ""
        clock.now = 2.5
        shown.uploading("apps", sent=3 << 20, total=4 << 20)
        shown.uploading("apps", sent=4 << 20, total=4 << 20)

    assert "3 of 4 MiB" in (tmp_path / "out").read_text()


def test_how_far_an_upload_is_comes_from_what_was_sent(ctl: Ctl, recorder: Recorder) -> None:
    from emco_emcoctl.config import load
    from emco_emcoctl.planning import Call, Upload
    from emco_emcoctl.requests import Sender
    from emco_emcoctl.routing import address

    ctl.file("big", bytes(600_000))
    news: list[tuple[int, int]] = []
    config = load("cfg.yaml", environ={}, cwd=ctl.folder)
    with Sender(
        token="", timeout=10, environ={}, cwd=ctl.folder, sending=lambda anchor, sent, total: news.append((sent, total))
    ) as sender:
        call = Call("POST", address("projects/p/composite-apps/c/v/apps"), "r:1", "{}", Upload("file", ("big",), "f"))
        assert sender.send(call, endpoint=config.endpoint("orchestrator")).ok

    total = len(recorder.seen[0].body)
    assert recorder.seen[0].headers["content-length"] == str(total)
    assert "transfer-encoding" not in recorder.seen[0].headers
    assert news == [(0, total), (262144, total), (524288, total), (total, total)]
