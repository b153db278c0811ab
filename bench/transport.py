"""What carries requests to a cluster costs: ``python -m bench.transport [--calls 1500] [--connections 500] [--real]``.

The same apply of a ConfigMap by bare aiohttp, by our HTTP/1.1 and by our HTTP/2, one at a time and eight at a time,
against a simulated cluster in a process of its own and, with ``--real``, a real API server. Then the memory of one
watch on each of many clusters with a certificate of their own, and what a further watch adds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from yarl import URL

from bench import programs
from bench.apiservers import api_servers, context_of
from bench.child import child, processor_seconds, resident, serve
from bench.table import Figure, middle, show
from emco_common.kube import Kind, KubeClient, Kubeconfig, encode, parse_kubeconfig
from emco_common.kube.certificates import tls_context
from emco_common.kube.network import Network

WAYS = ("bare aiohttp", "HTTP/1.1", "HTTP/2")
AT_ONCE = (1, 8)
ROUNDS = 3
PER_PROCESS = 125
AIM_KILOBYTES = 80
KINDS = tuple(Kind("v1", kind) for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "LimitRange"))
MAP: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a"},
    "data": {"text": "x" * 200},
}
HEADERS = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json", "User-Agent": "emco"}
Apply = Callable[[], Awaitable[object]]


class Side:
    """The process that is measured."""

    def __init__(self) -> None:
        self._network = Network()
        self._kept: list[object] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def calls(self, kubeconfig: str, way: str, at_once: int, calls: int) -> list[float]:
        """Calls a second, and microseconds of the processor for one."""
        async with _way(kubeconfig, way, at_once) as apply:

            async def some(number: int) -> None:
                for _ in range(number):
                    await apply()

            await asyncio.gather(*(some(10) for _ in range(at_once)))
            used, began = processor_seconds(), time.perf_counter()
            await asyncio.gather(*(some(calls // at_once) for _ in range(at_once)))
            seconds = time.perf_counter() - began
            return [calls / seconds, (processor_seconds() - used) / calls * 1e6]

    async def watch(self, kubeconfigs: list[str], way: str, kinds: int) -> float:
        """Kilobytes of each cluster once so many kinds are watched on it; its kubeconfig was read before."""
        parsed = [parse_kubeconfig(kubeconfig) for kubeconfig in kubeconfigs]
        await asyncio.sleep(0.5)
        gc.collect()
        before = resident(os.getpid())
        begun = asyncio.Semaphore(16)
        for kubeconfig in parsed:
            await begun.acquire()
            task = asyncio.create_task(self._open(kubeconfig, way, kinds))
            task.add_done_callback(lambda _: begun.release())
            self._tasks.append(task)
        await asyncio.gather(*self._tasks)
        await asyncio.sleep(2)
        gc.collect()
        return (resident(os.getpid()) - before) * 1024 / len(kubeconfigs)

    async def _open(self, kubeconfig: Kubeconfig, way: str, kinds: int) -> None:
        if way == "bare aiohttp":
            context = tls_context(
                ca=kubeconfig.ca_data, certificate=kubeconfig.client_certificate, key=kubeconfig.client_key
            )
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
            self._kept.append(session)
            for kind in KINDS[:kinds]:
                url = f"{kubeconfig.server}/api/v1/{kind.kind.lower()}s"
                self._kept.append(await session.get(URL(f"{url}?watch=true&timeoutSeconds=900"), headers=HEADERS))
            return
        network = self._network if way == "HTTP/2" else Network(self._network.descriptors, shared=False)
        client = KubeClient(kubeconfig, network=network)
        version = (await client.list(KINDS[0])).resource_version
        for kind in KINDS[:kinds]:
            watch = client.watch(kind, resource_version=version, renew=900)
            waiting = asyncio.ensure_future(anext(watch))
            self._kept += [watch, waiting, client]
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), 0.05)


@asynccontextmanager
async def _way(kubeconfig: str, way: str, at_once: int) -> AsyncIterator[Apply]:
    body = encode(MAP)
    if way == "bare aiohttp":
        path = "/api/v1/namespaces/default/configmaps/a?fieldManager=bench&force=true"
        url = URL(parse_kubeconfig(kubeconfig).server + path, encoded=True)
        connector = aiohttp.TCPConnector(limit=at_once, ssl=context_of(kubeconfig))
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

            async def bare() -> object:
                async with session.patch(url, data=body, headers=HEADERS) as answer:
                    return await answer.read()

            yield bare
        return
    network = Network(shared=way == "HTTP/2")
    async with KubeClient(parse_kubeconfig(kubeconfig), connections=at_once, network=network) as client:
        yield lambda: client.apply(MAP, manager="bench", force=True, namespace="default", encoded=body)


async def speed(title: str, kubeconfig: str, *, calls: int) -> None:
    found: dict[tuple[int, str], list[list[float]]] = {}
    for _ in range(ROUNDS):
        for at_once in AT_ONCE:
            for way in WAYS:
                async with child("bench.transport", "--side") as side:
                    figures = await side.ask("calls", kubeconfig=kubeconfig, way=way, at_once=at_once, calls=calls)
                found.setdefault((at_once, way), []).append(figures)
    rows = []
    for (at_once, way), measured in found.items():
        rate, used = (middle([figures[index] for figures in measured]) for index in (0, 1))
        reference = middle([figures[1] for figures in found[at_once, WAYS[0]]])
        floor = middle([figures[0] for figures in found[at_once, WAYS[0]]])
        rows.append(
            Figure(
                f"{way}, {at_once} at a time",
                f"{rate:.0f}/s, {used:.0f} µs",
                "" if way == WAYS[0] else f"{floor:.0f}/s, {reference:.0f} µs",
                rate / floor,
                "" if way == WAYS[0] else "≥ 0.90",
                None if way == WAYS[0] else rate / floor >= 0.9,
            )
        )
    show(f"Applies of one ConfigMap, {title}: calls a second, processor time of a call", rows)


async def weight(kubeconfigs: list[str]) -> None:
    rows = []
    for way, kinds in (("bare aiohttp", 1), ("HTTP/1.1", 1), ("HTTP/2", 1), ("HTTP/2", len(KINDS))):
        async with child("bench.transport", "--side") as side:
            size = await side.ask("watch", kubeconfigs=kubeconfigs, way=way, kinds=kinds)
        aim = kinds == 1 and way == "HTTP/2"
        rows.append(
            Figure(
                f"{way}, {kinds} {'watch' if kinds == 1 else 'watches'}",
                f"{size:.0f} KB",
                aim=f"< {AIM_KILOBYTES} KB" if aim else "",
                reached=size < AIM_KILOBYTES if aim else None,
            )
        )
    show(f"Memory of a cluster with idle watches, {len(kubeconfigs)} clusters", rows)


async def measure(*, calls: int, connections: int, real: bool) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        if calls:
            async with programs.simulated_clusters(1, folder / "one") as fleet:
                await speed("simulated cluster", next(iter(fleet.values())), calls=calls)
        if calls and real:
            async with api_servers(1) as servers:
                await speed("real API server", next(iter(servers.values())), calls=calls)
        kubeconfigs: list[str] = []
        for first in range(0, connections, PER_PROCESS):
            number = min(PER_PROCESS, connections - first)
            clusters = programs.simulated_clusters(number, folder / f"clusters{first}", first=first)
            kubeconfigs += (await stack.enter_async_context(clusters)).values()
        if kubeconfigs:
            await weight(kubeconfigs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--only-memory", action="store_true")
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side = Side()

        async def run() -> None:
            await serve({"calls": side.calls, "watch": side.watch})
            os._exit(0)  # what is open need not be closed one by one

        asyncio.run(run())
        return
    calls = 0 if arguments.only_memory else arguments.calls
    asyncio.run(measure(calls=calls, connections=arguments.connections, real=arguments.real))


if __name__ == "__main__":
    main()
