"""What it costs to register clusters: ``python -m bench.registration [--clusters N] [--database URL]``.

EMCO is one process, this client another; nothing is behind the kubeconfigs. Each cluster has a certificate of its own,
two labels and two sets of key-value pairs. The part that is not HTTP, database or disk is what is done with the
kubeconfig: reading it by the allow-list, its certificates included, and sealing it; it is measured apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import yaml

from bench.programs import emco
from emco_common.kube import parse_kubeconfig
from emco_common.secrets import Sealer
from emco_simcluster.tls import Authority, User

ORIGINAL = 18.0
"""Seconds in which the original registers a hundred clusters on such a machine, with real etcd and SecantusDB."""
AIM = 2.0


def kubeconfigs(number: int) -> list[bytes]:
    """Kubeconfigs with client certificates of one authority."""
    authority = Authority("bench")

    def one(name: str) -> bytes:
        pair = authority.client(User(name, ("system:masters",)))
        data = [b64encode(part).decode() for part in (authority.certificate, pair.certificate, pair.key)]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [
                {"name": "c", "cluster": {"server": "https://203.0.113.1", "certificate-authority-data": data[0]}}
            ],
            "users": [{"name": "u", "user": {"client-certificate-data": data[1], "client-key-data": data[2]}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        return yaml.safe_dump(config).encode()

    return [one(f"user-{index}") for index in range(number)]


def alone(files: Sequence[bytes]) -> tuple[float, float]:
    """Seconds for reading and for sealing all of them, without anything else."""
    began = time.perf_counter()
    for file in files:
        parse_kubeconfig(file)
    read = time.perf_counter() - began
    sealer = Sealer("bench")
    began = time.perf_counter()
    for file in files:
        sealer.seal(file, record="r")
    return read, time.perf_counter() - began


async def timed(label: str, total: int, in_flight: int, work: Callable[[int], Awaitable[None]]) -> float:
    numbers = iter(range(total))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(in_flight)])
    seconds = time.perf_counter() - began
    print(f"  {label:28} {in_flight:2} in flight  {seconds:6.2f} s  {total / seconds:7.0f} /s")
    return seconds


class Registrar:
    """Sends what a user of clm sends."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def post(self, path: str, body: object) -> None:
        async with self._session.post(f"{self._base}/v2/cluster-providers{path}", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def cluster(self, provider: str, name: str, file: bytes) -> None:
        form = aiohttp.FormData()
        form.add_field("metadata", json.dumps({"metadata": {"name": name}}))
        form.add_field("file", file, filename="filename", content_type="application/octet-stream")
        async with self._session.post(f"{self._base}/v2/cluster-providers/{provider}/clusters", data=form) as answer:
            assert answer.status == 201, await answer.text()


async def measure(url: str, files: Sequence[bytes]) -> None:
    async with aiohttp.ClientSession() as session:
        user = Registrar(session, url)
        for in_flight in (1, 16):
            provider = f"p{in_flight}"
            await user.post("", {"metadata": {"name": provider}})

            async def cluster(index: int, provider: str = provider) -> None:
                await user.cluster(provider, f"c{index}", files[index])

            async def label(index: int, provider: str = provider) -> None:
                path = f"/{provider}/clusters/c{index // 2}/labels"
                await user.post(path, {"clusterLabel": f"l{index % 2}"})

            async def pairs(index: int, provider: str = provider) -> None:
                body = {"metadata": {"name": f"kv{index % 2}"}, "spec": {"kv": [{"a": "1"}, {"b": "2"}]}}
                await user.post(f"/{provider}/clusters/c{index // 2}/kv-pairs", body)

            seconds = await timed(f"{len(files)} clusters", len(files), in_flight, cluster)
            share = 100 / len(files)
            print(f"    a hundred: {seconds * share:.2f} s (aim {AIM:g} s, the original {ORIGINAL:g} s)")
            await timed(f"{2 * len(files)} labels", 2 * len(files), in_flight, label)
            await timed(f"{2 * len(files)} kv-pairs", 2 * len(files), in_flight, pairs)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--database", default="", help="another store than SQLite, as `mongodb://…`")
    options = parser.parse_args()
    files = kubeconfigs(options.clusters)
    read, sealed = alone(files)
    print(f"  kubeconfigs alone: reading {read:.2f} s, sealing {sealed:.3f} s")
    environment = {"EMCO_DATABASE_URL": options.database} if options.database else {}
    with tempfile.TemporaryDirectory() as folder:
        async with emco(Path(folder) / "data", environment) as running:
            await measure(running.services["clm"], files)


if __name__ == "__main__":
    asyncio.run(main())
