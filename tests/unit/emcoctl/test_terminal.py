"""What a person sees on a real terminal, read through its other end."""

from __future__ import annotations

import re
from pathlib import Path

from emco_common.rpc import statusnotify_pb2 as messages
from emco_emcoctl.output import TerminalOutput
from tests.support.screen import Played, played
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply
from tests.unit.emcoctl.test_following import GROUP, status
from tests.unit.emcoctl.test_watch import Status, served


def on_a_terminal(ctl: Ctl, *words: str, environ: dict[str, str] | None = None) -> Played:
    """emcoctl as a program on a terminal of its own."""
    line = ("-m", "emco_emcoctl", "--config", "cfg.yaml", *words)
    return played(*line, cwd=ctl.folder, environ={"HOME": str(ctl.folder), **(environ or {})})


def test_a_run_shows_a_line_per_document_and_follows_with_a_bar(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [
        Reply(202),
        status("Instantiating", deployedCounts={"Applied": 1, "Pending": 2}),
        status("Instantiated", deployedCounts={"Applied": 3}),
    ]
    done = on_a_terminal(ctl, "apply", f"{GROUP}/instantiate", "--wait")
    on_the_way = next(frame for frame in done.frames if "1 of 3" in frame[-1])

    assert done.code == 0
    assert "\x1b[32m✓" in done.raw
    assert re.search(r"deployment-intent-groups/d ━+╺━+ Instantiating, 1 of 3 +0:00:0\d$", on_the_way[-1])
    assert done.end.splitlines()[1:] == [
        f"✓ POST {GROUP}/instantiate  202",
        f"✓ {GROUP}  Instantiated, 3 of 3",
    ]


def test_no_color_leaves_the_colours_out(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(409, b"exists")]
    done = on_a_terminal(ctl, "apply", "projects", environ={"NO_COLOR": "1"})

    assert done.code == 3
    assert "\x1b[3" not in done.raw
    assert "✗ POST projects  409: exists" in done.end


def test_what_a_server_says_cannot_steer_the_terminal(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(400, b"bad \x1b]0;owned\x07 name")]
    done = on_a_terminal(ctl, "apply", "projects")

    assert "\x1b]0;" not in done.raw
    assert "bad  ]0;owned  name" in done.raw


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
        done = on_a_terminal(ctl, "watch", f"{GROUP}/status")

    assert done.code == 3
    assert server.registered[0].output == messages.ALL
    assert done.end.splitlines()[1:4] == [
        f"{GROUP}/status  READY",
        "APP  CLUSTER    OBJECT          STATUS",
        "web  acme+edge  Deployment web  NOT_READY",
    ]
    assert '{"statusValue"' not in done.raw


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
