"""The two files of the published walk-through work as they stand, against a running suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.process import Command
from tests.support.suite import RunningSuite, running_suite

CONTROLLERS = """---
version: emco/v2
resourceContext:
   anchor: controllers
metadata :
   name: rsync
spec:
   host: "192.168.121.103"
   port: 30546
"""
SECTIONS = {
    "orchestrator": "orchestrator",
    "clm": "clm",
    "ncm": "orchestrator",
    "ovnaction": "orchestrator",
    "dcm": "dcm",
}
"""Sections of the published configuration, and whose port stands in them; ncm and ovnaction are not asked here."""


@pytest.fixture
async def suite(tmp_path: Path) -> AsyncIterator[RunningSuite]:
    async with running_suite(tmp_path / "data") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, suite: RunningSuite) -> Path:
    sections = [f"{name}:\n  host: 127.0.0.1\n  port: {suite.port(service)}\n" for name, service in SECTIONS.items()]
    (tmp_path / "local-cfg.yaml").write_text("".join(sections))
    (tmp_path / "controllers.yaml").write_text(CONTROLLERS)
    return tmp_path


async def emcoctl(folder: Path, command: str) -> tuple[int, str]:
    arguments = ("--config", "local-cfg.yaml", command, "-f", "controllers.yaml")
    return await Command(*arguments, module="emco_emcoctl", folder=folder, log=folder / f"{command}.log").run()


async def test_the_published_controllers_file_is_answered_with_201(folder: Path, suite: RunningSuite) -> None:
    code, output = await emcoctl(folder, "apply")

    assert code == 0
    assert "Response Code: 201" in output
    spec = (await suite.client.get("/v2/controllers/rsync")).json()["spec"]
    assert (spec["host"], spec["port"]) == ("192.168.121.103", 30546)

    assert "Response Code: 204" in (await emcoctl(folder, "delete"))[1]
    assert (await suite.client.get("/v2/controllers")).json() == []
