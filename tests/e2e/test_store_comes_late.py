"""A service that is started before its MongoDB and etcd says so on its port, and works when they come."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.etcd import EtcdServer, etcd_programs
from tests.support.mongodb import MongoServer
from tests.support.process import Command
from tests.support.program import free_ports

PROBLEM = {"Accept": "application/problem+json"}
PROVIDER = {"metadata": {"name": "acme"}}
SETTLED = 30.0


@asynccontextmanager
async def started(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[Command, httpx.AsyncClient]]:
    """clm, as soon as its port answers."""
    [port] = free_ports(1)
    environment = {"EMCO_DATA_KEY": "a key of this test", "EMCO_HTTP_PORT": str(port), **settings}
    command = Command("serve", "clm", log=folder / "clm.log", environment=environment, folder=folder)
    await command.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            async with asyncio.timeout(SETTLED):
                while True:
                    assert command.runs, command.tail()
                    try:
                        await client.get("/healthz")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
            yield command, client
    finally:
        await command.end(signal.SIGKILL)


async def until(client: httpx.AsyncClient, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What ``/readyz`` answers once it is as ``wanted``."""
    async with asyncio.timeout(SETTLED):
        while True:
            told: dict[str, Any] = (await client.get("/readyz")).json()
            if wanted(told):
                return told
            await asyncio.sleep(0.1)


async def test_a_service_that_comes_before_its_stores_waits_for_them_and_says_so(tmp_path: Path) -> None:
    etcd, mongodb = EtcdServer(etcd_programs()), MongoServer(tmp_path)
    at = mongodb.uri.removeprefix("mongodb://")
    settings = {
        # so short that one try is over before it comes
        "EMCO_DATABASE_URL": f"mongodb://{at}/late?timeoutMS=3000",
        "EMCO_BUS_URL": f"etcd://emco:canary@{etcd.endpoints[0]}",
    }
    try:
        async with started(tmp_path, settings) as (command, client):
            alive, ready = await client.get("/healthz"), await client.get("/readyz")
            refused = await client.post("/v2/cluster-providers", json=PROVIDER, headers=PROBLEM)
            tried = await until(client, lambda told: at in told["checks"]["store"])
            etcd.start()
            half = await until(client, lambda told: told["checks"]["bus"] == "ok")
            mongodb.start()
            await until(client, lambda told: told["status"] == "ok")
            accepted = await client.post("/v2/cluster-providers", json=PROVIDER)
            output = command.output
    finally:
        etcd.close()
        mongodb.stop()

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["status"], set(ready.json()["checks"])) == (
        503,
        "unavailable",
        {"store", "bus", "service"},
    )
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert "clm is not ready: it waits for the store" in refused.json()["title"]
    assert half["checks"]["store"] != "ok"
    assert accepted.status_code == 201
    assert output.count("dependency_missed") == 1, output  # etcd came within one try of ten seconds
    assert "dependency_found" in output
    assert "canary" not in f"{output} {ready.text} {refused.text} {tried} {half}"


async def test_who_waits_ends_at_once_when_asked_to(tmp_path: Path) -> None:
    store, bus = free_ports(2)
    settings = {"EMCO_DATABASE_URL": f"mongodb://127.0.0.1:{store}/x", "EMCO_BUS_URL": f"etcd://127.0.0.1:{bus}"}
    async with started(tmp_path, settings) as (command, _):
        command.signal(signal.SIGTERM)
        assert await command.ended(8.0) == 0, command.tail()  # shorter than one look for etcd


async def test_credentials_that_are_refused_end_it_with_the_reason(
    tmp_path: Path, etcd_server: Callable[..., EtcdServer]
) -> None:
    server = etcd_server()
    for arguments in (
        ("user", "add", "root:secret"),
        ("user", "grant-role", "root", "root"),
        ("auth", "enable"),
    ):
        server.control(*arguments)
    settings = {
        "EMCO_DATABASE_URL": f"sqlite://{tmp_path}/emco.db",
        "EMCO_BUS_URL": f"etcd://root:canary@{server.endpoints[0]}",
        "EMCO_DATA_KEY": "a key of this test",
        "EMCO_HTTP_PORT": "0",
    }
    command = Command("serve", "clm", log=tmp_path / "clm.log", environment=settings, folder=tmp_path)

    code, output = await command.run()

    assert code == 1
    assert "emco: the login at etcd as root failed" in output
    assert "canary" not in output


@pytest.mark.parametrize("password", ["canary", ""])
async def test_mongodb_that_refuses_the_credentials_ends_it_with_the_reason(tmp_path: Path, password: str) -> None:
    server = MongoServer(tmp_path, "--auth")
    [port] = free_ports(1)
    login = f"nobody:{password}@" if password else ""
    settings = {
        "EMCO_DATABASE_URL": server.uri.replace("://", f"://{login}") + "/x",
        "EMCO_BUS_URL": f"etcd://127.0.0.1:{port}",  # what the one waits for does not hide what is wrong with the other
        "EMCO_DATA_KEY": "a key of this test",
        "EMCO_HTTP_PORT": "0",
    }
    command = Command("serve", "clm", log=tmp_path / "clm.log", environment=settings, folder=tmp_path)
    try:
        server.start()
        code, output = await command.run()
    finally:
        server.stop()

    assert code == 1
    assert "emco: The document store cannot be used" in output
    assert "canary" not in output
