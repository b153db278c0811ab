"""Where traces are off there is no SDK in the process, no layer around requests and no door before the doors."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from emco_allinone.suite import running
from emco_common.doors import Door
from emco_common.tracing.requests import TracedRequests

HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "requests")

async def main():
    environment = {"EMCO_TRACE_ENDPOINT": sys.argv[2]} if sys.argv[2] else {}
    async with running(Path(sys.argv[1]), environment, ingress_port=0, http_port=0, grpc_port=0) as suite:
        apps = [service.app for service in suite.services.values()]
        layers = sum(layer.cls is TracedRequests for app in apps for layer in app.user_middleware)
        doors = [isinstance(door, Door) for door in (suite.deps.store, suite.deps.bus)]
    heavy = sorted(name for name in sys.modules if name.startswith(HEAVY))
    print(json.dumps({"heavy": heavy[:3], "layers": layers, "doors": doors}))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("endpoint", "layers", "doors"), [("", 0, [False, False]), ("http://127.0.0.1:1", 5, [True, True])]
)
async def test_what_is_not_asked_for_is_not_there(
    tmp_path: Path, endpoint: str, layers: int, doors: list[bool]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(tmp_path / "data"), endpoint),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    found = json.loads(said.splitlines()[-1])
    assert (found["layers"], found["doors"], bool(found["heavy"])) == (layers, doors, bool(endpoint)), found
