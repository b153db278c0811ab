"""What emcoctl knows of resources without a server, and the anchors it completes with that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import emco_emcoctl
from emco_emcoctl import catalogue, routing
from emco_emcoctl.commands import root
from emco_emcoctl.completion import anchors, script
from tests.support.ctlcatalogue import made
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

GROUPS = "projects/p/composite-apps/c/v1/deployment-intent-groups"


def test_the_catalogue_says_what_the_services_declare() -> None:
    kept = Path(emco_emcoctl.__file__).with_name("catalogue.json")

    assert kept.read_text(encoding="utf-8") == made(), "python -m tests.support.ctlcatalogue > …/catalogue.json"


def test_every_kind_leads_to_a_service() -> None:
    assert {routing.service_of("/".join(kind.path)) for kind in catalogue.kinds()} >= {"orchestrator", "clm", "gac"}


@pytest.mark.parametrize(
    ("anchor", "item"),
    [
        ("projects", "projects/p"),
        (GROUPS, f"{GROUPS}/g"),
        ("projects/p/composite-apps", "projects/p/composite-apps/c/v1"),
    ],
)
def test_a_kind_is_found_by_its_collection_and_by_one_of_it(anchor: str, item: str) -> None:
    assert catalogue.kind_of(anchor) == catalogue.item_of(item) is not None
    assert catalogue.item_of(anchor) is None
    assert catalogue.kind_of(f"{anchor}?x=1") == catalogue.kind_of(anchor)


def completed(ctl: Ctl, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("HOME", str(ctl.folder))
    context = click.Context(root, info_name="get")
    context.params["config"] = str(ctl.folder / "cfg.yaml")
    return [item.value for item in anchors(context, root.params[0], text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pro", ["projects/"]),
        ("projects/p/log", ["projects/p/logical-clouds/"]),
        ("projects/p/composite-apps/c/v1/deployment-intent-groups/g/st", [f"{GROUPS}/g/status"]),
        ("nowhere/", []),
    ],
)
def test_the_words_of_anchors_are_completed(
    text: str, words: list[str], ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed(ctl, text, monkeypatch) == words


def test_names_are_completed_from_the_services(ctl: Ctl, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = b'[{"metadata":{"name":"c"},"spec":{"compositeAppVersion":"v1"}},{"metadata":{"name":"d d"}}]'
    recorder.script = [Reply(200, listed), Reply(200, listed), Reply(500)]

    assert completed(ctl, "projects/p/composite-apps/", monkeypatch) == [
        "projects/p/composite-apps/c/",
        "projects/p/composite-apps/d%20d/",
    ]
    assert completed(ctl, "projects/p/composite-apps/c/", monkeypatch) == ["projects/p/composite-apps/c/v1/"]
    assert completed(ctl, "projects/p/composite-apps/c/", monkeypatch) == []


def test_a_completed_collection_leaves_the_cursor_where_it_is() -> None:
    assert "compopt -o nospace" in (script("bash", command=root, program="emcoctl") or "")


def test_the_program_completes_an_anchor_after_its_command(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, b'[{"metadata":{"name":"alpha"}}]')]
    words = "emcoctl --config cfg.yaml get projects/a"
    environ = {"_EMCOCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4", "HOME": str(ctl.folder)}
    done = subprocess.run(
        [sys.executable, "-m", "emco_emcoctl"], env=os.environ | environ, cwd=ctl.folder, capture_output=True, text=True
    )

    assert done.stdout == "plain,projects/alpha/\n", done.stderr
