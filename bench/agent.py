"""Calls through an agent beside the same calls made directly, to one simulated cluster. ``python -m bench.agent``

Cluster and agent are processes of their own; the two ways take turns, so that both see the same machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.table import Figure, middle, show
from emco_common.kube import KubeClient, parse_kubeconfig
from tests.support.agents import agent_process, hosts, register
from tests.support.process import Command

CLUSTER = "p+edge"
ROUNDS = 5
CALLS = 800
AT_ONCE = 8


def config_map(number: int, *, size: int) -> dict[str, Any]:
    metadata = {"name": f"c{number % 50}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "x" * size}}


async def pace(call: Callable[[int], Awaitable[object]]) -> float:
    """Calls a second, so many at once."""
    numbers = iter(range(CALLS))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return CALLS / (time.perf_counter() - began)


async def main() -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emco-bench-")))
        (host,) = await stack.enter_async_context(hosts(folder, timeout=15.0))
        await register(host.deps, CLUSTER)
        cluster = Command(
            *("--clusters", "edge", "--write-kubeconfigs", str(folder)),
            log=folder / "cluster.log",
            module="emco_simcluster",
        )
        await cluster.start()
        stack.push_async_callback(cluster.end)
        await cluster.says("edge.kubeconfig")
        kubeconfig = (folder / "edge.kubeconfig").read_text()
        agent = agent_process(CLUSTER, kubeconfig, folder, port=host.port)
        await agent.start()
        stack.push_async_callback(agent.end)
        await host.until_here(CLUSTER)
        ways = {
            "direct": await stack.enter_async_context(KubeClient(parse_kubeconfig(kubeconfig))),
            "agent": await stack.enter_async_context(host.client(CLUSTER)),
        }
        figures = []
        for what, size in (("version", 0), ("apply, 1 kB", 1_000), ("apply, 100 kB", 100_000)):
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, client in ways.items():
                    found[name].append(await pace(caller_of(client, size)))
            direct, through = (middle(found[name]) for name in ways)
            figures.append(Figure(what, f"{through:.0f}/s", f"{direct:.0f}/s", through / direct))
        show(
            f"calls to one simulated cluster, {AT_ONCE} at once, through an agent (ours) and directly (reference)",
            figures,
            remarks=[f"medians of {ROUNDS} rounds of {CALLS} calls, the two ways in turn"],
        )


def caller_of(client: KubeClient, size: int) -> Callable[[int], Awaitable[object]]:
    if not size:
        return lambda _number: client.version()
    return lambda number: client.apply(config_map(number, size=size), manager="bench", force=True)


if __name__ == "__main__":
    asyncio.run(main())
