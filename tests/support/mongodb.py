"""Fixtures: a MongoDB-wire server. ``EMCO_TEST_MONGODB`` (a URI) names one of your own; else SecantusDB is started.

SecantusDB is GPL and stays what it is: a separate process we talk to over the wire, never imported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.support.program import free_ports
from tests.support.realserver import skip_or_fail

VARIABLE = "EMCO_TEST_MONGODB"
START_TIMEOUT = 30.0  # seconds; it takes two on an idle machine
REMEDY = f"pip install 'emco[test]', or {VARIABLE}=mongodb://… for a server of your own"


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server, without a database."""
    own = os.environ.get(VARIABLE)
    if own:
        yield own.rstrip("/")
        return
    program = shutil.which("secantusd-py", path=str(Path(sys.executable).parent)) or shutil.which("secantusd-py")
    if program is None:
        skip_or_fail("no MongoDB-wire server", remedy=REMEDY)
    folder = tmp_path_factory.mktemp("mongodb")
    uri = f"mongodb://127.0.0.1:{(port := free_ports(1)[0])}"
    arguments = ["--port", str(port), "--storage-path", str(folder / "data"), "--standalone", "--cache-size", "128M"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, cwd=folder)
    try:
        _wait_until_up(uri, process, folder / "log")
        yield uri
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def mongodb_url(mongodb_server: str) -> Iterator[str]:
    """The URI of a fresh database, dropped after the test."""
    name = f"emco_test_{uuid.uuid4().hex[:12]}"
    address, _, options = mongodb_server.partition("?")
    yield f"{address.rstrip('/')}/{name}" + (f"?{options}" if options else "")
    with MongoClient[dict[str, object]](mongodb_server, timeoutMS=10_000) as client:
        client.drop_database(name)


def _wait_until_up(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=200) as client:
        while True:
            try:
                client.admin.command("ping")
                return
            except PyMongoError:
                if process.poll() is not None or time.monotonic() > deadline:
                    skip_or_fail(f"SecantusDB did not start: {log.read_text()[-500:]}", remedy=REMEDY)
