"""Real Kubernetes API servers for a measurement: etcd and kube-apiserver each, no controllers, so that nothing of the
clusters' own doing disturbs the figures. What ``make testbed`` built is used.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from emco_common.kube.certificates import tls_context
from emco_common.kube.kubeconfig import parse_kubeconfig
from tests.support.cluster_programs import PROGRAMS
from tests.support.controlplane import ControlPlane, find_assets, missing_programs

WRITES = frozenset({"APPLY", "CREATE", "DELETE", "DELETECOLLECTION", "PATCH", "POST", "PUT", "UPDATE"})
"""Verbs of ``apiserver_request_total`` that change something."""
Fleet = Mapping[str, str]
"""Kubeconfigs by the name of the cluster."""


class ApiServer(ControlPlane):
    """An API server and its etcd, which does not sync to disk; nothing else of a cluster."""

    def _start_controllers(self) -> None:
        """None: pods and their like would take the processors that are being measured."""


@asynccontextmanager
async def api_servers(count: int) -> AsyncIterator[Fleet]:
    """So many of them, started side by side, named ``c0``, ``c1``, …"""
    assets = find_assets()
    missing = PROGRAMS if assets is None else missing_programs(assets)
    if assets is None or missing:
        raise SystemExit(f"no Kubernetes control plane ({', '.join(missing)}): run `make testbed`")
    servers = [ApiServer(assets, name=f"c{number}") for number in range(count)]
    try:
        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, server.start) for server in servers))
        yield {server.name: server.kubeconfig for server in servers}
    finally:
        for server in servers:
            server.stop()


@dataclass(frozen=True, slots=True)
class Admin:
    """Bare requests to one cluster, by whoever onboarded it."""

    server: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> bytes:
        """The answer's bytes; anything but success ends the measurement."""
        async with self.session.request(method, self.server + path, json=body) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
            return content

    async def writes(self) -> float:
        """How many writing requests the server has answered since it started, whoever sent them."""
        text = (await self.call("GET", "/metrics")).decode()
        lines = (line for line in text.splitlines() if line.startswith("apiserver_request_total{"))
        return sum(float(line.rpartition(" ")[2]) for line in lines if _is_write(line))


@asynccontextmanager
async def admin(kubeconfig: str, *, connections: int = 4) -> AsyncIterator[Admin]:
    parsed = parse_kubeconfig(kubeconfig)
    connector = aiohttp.TCPConnector(limit=connections, ssl=context_of(kubeconfig), keepalive_timeout=120)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Admin(parsed.server, session)


def context_of(kubeconfig: str) -> ssl.SSLContext | bool:
    """How TLS is spoken with the server; ``True`` where it is not."""
    parsed = parse_kubeconfig(kubeconfig)
    if not parsed.server.startswith("https:"):
        return True
    return tls_context(
        ca=parsed.ca_data, certificate=parsed.client_certificate, key=parsed.client_key, verify=parsed.verify
    )


async def count_writes(fleet: Fleet) -> float:
    """Over all clusters; leases that a server renews for itself are among them."""
    total = 0.0
    for kubeconfig in fleet.values():
        async with admin(kubeconfig) as cluster:
            total += await cluster.writes()
    return total


def written(fleet: Fleet, folder: Path) -> Mapping[str, Path]:
    """The kubeconfigs as files, for kubectl."""
    paths = {}
    for name, kubeconfig in fleet.items():
        paths[name] = folder / f"{name}.kubeconfig"
        paths[name].touch(mode=0o600)
        paths[name].write_text(kubeconfig)
    return paths


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for what a measurement writes, on the disk of the working folder and not in memory."""
    return tempfile.TemporaryDirectory(prefix="emco-bench-", dir=Path.cwd())


def _is_write(line: str) -> bool:
    """The server's own renewals (its lease, its event of being there) are no answer to a client of ours."""
    labels = line.partition("{")[2].rpartition("}")[0]
    values = dict(part.split("=", 1) for part in labels.split(",") if "=" in part)
    return values.get("verb", "").strip('"') in WRITES and values.get("resource", "").strip('"') not in (
        "leases",
        "flowschemas",
        "prioritylevelconfigurations",
    )
