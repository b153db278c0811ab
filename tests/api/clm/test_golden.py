"""The recorded session of the original replays against our clm without a difference (``wanted`` answers count)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from emco_common.store.api import Document
from tests.api.clm.conftest import Clm, serving_clm
from tests.api.clm.controllers import Listener

SHARED = Path(os.environ.get("EMCO_SHARED", Path(__file__).parents[4] / "shared"))
GOLDEN = SHARED / "emco" / "golden"
RECORDED_CONTROLLER_PORT = 49099
REFERENCE = {"project": "cndrcproj", "logicalCloud": "cndrlc", "clusterReference": "r1"}


def recorded(controller_port: int) -> list[dict[str, Any]]:
    """clm's own lines, in order, with the controller where it listens now."""
    text = (GOLDEN / "clm.jsonl").read_text().replace(str(RECORDED_CONTROLLER_PORT), str(controller_port))
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [with_whole_file(line) for line in lines if line["service"] == "clm"]


def with_whole_file(line: dict[str, Any]) -> dict[str, Any]:
    """The recorder took the file's last newline for the end of the original's unterminated answer (clm, defect 5)."""
    for part in (line.get("answer") or {}).get("parts", ()) if isinstance(line.get("answer"), dict) else ():
        if "base64" in part:
            part["base64"] = base64.b64encode(base64.b64decode(part["base64"]) + b"\n").decode()
    return line


async def replay(lines: list[dict[str, Any]], clm: Clm) -> str:
    file = clm.data / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--clm", str(clm.client.base_url), "--prefix-from", "cndr", "--have", "clm-controller"]
    replaying = await asyncio.create_subprocess_exec(
        sys.executable, str(GOLDEN / "replay.py"), str(file), *options, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(replaying.communicate(), 60)
    return output.decode()


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="EMCO_SHARED names no folder with the recorded sessions")
async def test_the_recorded_session_has_no_difference(tmp_path: Path) -> None:
    listener = Listener()
    async with listener.serving() as port, serving_clm(tmp_path, unchecked_certificates=True) as clm:
        lines = recorded(port)
        used = next(number for number, line in enumerate(lines) if line["id"] == "ref-c-del-used")
        parts = [await replay(lines[:used], clm)]
        # what the session has dcm do here: refer to the cluster from a logical cloud, and take it back
        cluster = {"clusterProvider": "cndrp1", "cluster": "c1"}
        await clm.deps.store.create(Document(REFERENCE, {}, references=(cluster,)))
        parts.append(await replay(lines[used : used + 1], clm))
        await clm.deps.store.delete(REFERENCE)
        parts.append(await replay(lines[used + 1 :], clm))
    assert [part.split(",")[1:3] for part in parts] == [[" 0 different", " 0 left out"]] * 3, "\n".join(parts)
