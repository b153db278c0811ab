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


class MongoServer:
    """One server process on a port of its own, which is free until it is started."""

    def __init__(self, folder: Path, *flags: str) -> None:
        program = shutil.which("secantusd-py", path=str(Path(sys.executable).parent)) or shutil.which("secantusd-py")
        if program is None:
            skip_or_fail("no MongoDB-wire server", remedy=REMEDY)
        port = free_ports(1)[0]
        self.uri = f"mongodb://127.0.0.1:{port}"
        self._folder = folder
        storage = ("--storage-path", str(folder / "data"), "--standalone", "--cache-size", "128M")
        self._command = [program, "--port", str(port), *storage, *flags]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; again after ``stop``, with the same data."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
        _wait_until_up(self.uri, self._process, self._folder / "log")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server, without a database."""
    own = os.environ.get(VARIABLE)
    if own:
        yield own.rstrip("/")
        return
    server = MongoServer(tmp_path_factory.mktemp("mongodb"))
    try:
        server.start()
        yield server.uri
    finally:
        server.stop()


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
