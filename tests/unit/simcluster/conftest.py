"""A client of a simulated cluster in the event loop of the test."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
import yaml

from emco_simcluster import SimCluster

Json = dict[str, Any]


class Client:
    """Requests with the administrator's certificate, or other credentials."""

    def __init__(self, kubeconfig: str, folder: Path, *, token: str = "", certificate: bool = True) -> None:
        config = yaml.safe_load(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        if certificate and not token:
            file = folder / "client.pem"
            file.write_bytes(b"".join(base64.b64decode(user[f"client-{p}-data"]) for p in ("certificate", "key")))
            context.load_cert_chain(file)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = cluster["server"]
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), headers=headers, timeout=aiohttp.ClientTimeout(total=10)
        )

    async def send(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Json, Any]:
        """Status, decoded body (or its text) and headers."""
        data = None if body is None else json.dumps(body)
        media = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        async with self.session.request(
            method, self.url + path, data=data, params=query, headers={"Content-Type": media}
        ) as reply:
            text = await reply.text()
            decoded = json.loads(text) if text.startswith("{") else {"text": text}
            return reply.status, decoded, reply.headers


MakeClient = Callable[..., Client]


@pytest_asyncio.fixture
async def connect(tmp_path: Path) -> AsyncIterator[MakeClient]:
    """``connect(cluster)`` makes a client; all are closed at the end of the test."""
    clients: list[Client] = []

    def make(cluster: SimCluster, **credentials: Any) -> Client:
        client = Client(cluster.kubeconfig, tmp_path, **credentials)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.session.close()
