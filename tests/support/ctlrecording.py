"""Records emcoctl on a terminal, against the running suite and two simulated clusters, as text:
``python -m tests.support.ctlrecording > docs/emcoctl-recording.md``."""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from emco_emcoctl.commands import root
from emco_emcoctl.main import run
from emco_simcluster import SimCluster
from emco_simcluster.faults import Rule
from tests.support.screen import Played, played
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, running_suite

GROUP = "projects/p/composite-apps/shop/v1/deployment-intent-groups/g"
CLUSTERS = ("edge1", "edge2")
_HEAD = """# emcoctl at work

Recorded from a terminal by `python -m tests.support.ctlrecording`, against the running suite and two *simulated*
clusters, one of which is slow. Where something moves, some of its frames follow each other.
"""
_BETWEEN = "  ⋮"


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with _clusters() as clusters:
            await _prepare(folder, clusters)
            async with running_suite(folder / "data") as suite:
                _configure(suite, folder)
                await suite.register_rsync()
                print(_HEAD)
                for words in _session():
                    done = await asyncio.to_thread(_emcoctl, folder, *words)
                    print(f"```console\n$ emcoctl {' '.join(words)}\n{_told(done)}\n```\n")


def _session() -> list[tuple[str, ...]]:
    plan = [("plan", GROUP)] if "plan" in root.commands else []
    return [
        ("validate", "-f", "shop"),
        ("apply", "-f", "shop"),
        ("apply", f"{GROUP}/approve"),
        *plan,
        ("apply", f"{GROUP}/instantiate", "--wait"),
        ("status", GROUP),
        ("tree", "projects/p"),
        *plan,
        ("logs", GROUP),
    ]


def _told(done: Played) -> str:
    """The end, and before it some frames of what moved."""
    moving = [frame[-1] for frame in done.frames[:-1] if "━" in frame[-1]]
    chosen = list(dict.fromkeys(moving[:: max(len(moving) // 3, 1)]))
    lines = list(done.frames[-1]) if done.frames else []
    if chosen:
        lines[-1:] = [*chosen, _BETWEEN, *lines[-1:]]
    return "\n".join(line for line in lines if not line.startswith("configuration: "))


@asynccontextmanager
async def _clusters() -> AsyncIterator[dict[str, SimCluster]]:
    async with contextlib.AsyncExitStack() as stack:
        found = {name: await stack.enter_async_context(SimCluster(name, ready_after=1.0)) for name in CLUSTERS}
        found[CLUSTERS[-1]].faults.add(Rule(verb="apply", latency=1.2))
        yield found


async def _prepare(folder: Path, clusters: dict[str, SimCluster]) -> None:
    """The files of the session: what a first suite holds, exported, with the kubeconfigs filled in."""
    async with running_suite(folder / "first") as suite:
        _configure(suite, folder)
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard({name: cluster.kubeconfig for name, cluster in clusters.items()})
        await shop.group("g")
        out = io.StringIO()
        words = ("--config", "emco.yaml", "export", "--all", "-d", "shop")
        environ = {"HOME": str(folder)}
        code = await asyncio.to_thread(run, words, stdout=out, stderr=out, environ=environ, cwd=folder)
        assert code == 0, out.getvalue()
    (folder / "shop" / "01-controllers.yaml").unlink()
    for name, cluster in clusters.items():
        (folder / f"shop/files/cluster-providers/acme/clusters/{name}.kubeconfig").write_text(cluster.kubeconfig)


def _configure(suite: RunningSuite, folder: Path) -> None:
    (folder / "emco.yaml").write_text(f"ingress: {{url: 'http://127.0.0.1:{suite.suite.ingress_port}'}}\n")


def _emcoctl(folder: Path, *words: str) -> Played:
    line = ("-m", "emco_emcoctl", "--config", "emco.yaml", *words)
    return played(*line, cwd=folder, environ={"HOME": str(folder)})


if __name__ == "__main__":
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(io.StringIO()))
    asyncio.run(main())
