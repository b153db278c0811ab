"""``emco demo``: SmartCity from nothing to running on two clusters, shown while it goes, and taken away again.

It does what a user would do: every step is an emcoctl call with a file of ``examples/smartcity``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import yaml

from emco_allinone.showing import Progress, summary, table
from emco_allinone.stopping import watch_signals
from emco_allinone.suite import Suite, running
from emco_common.errors import EmcoError
from emco_simcluster import SimCluster

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "smartcity"
STEPS = (
    ("00-controllers.yaml", "register the resource synchronizer"),
    ("01-clusters.yaml", "register two clusters, labelled edge and cloud"),
    ("02-project.yaml", "create the project"),
    ("03-logical-cloud.yaml", "create the logical cloud"),
    ("04-composite-app.yaml", "upload two charts with their profiles"),
    ("05-deployment-intent-group.yaml", "say what goes where, by intents"),
    ("06-approve.yaml", "approve"),
    ("07-instantiate.yaml", "instantiate"),
)
CLOUD_STATUS = "/v2/projects/smartcity/logical-clouds/default/status"
GROUP_STATUS = "/v2/projects/smartcity/composite-apps/smartcity/v1/deployment-intent-groups/city/status"
INTERRUPTED = 130
"""Exit code of a demonstration that was broken off, as a shell would give it."""
DEADLINE = 120.0
"""Seconds that the clusters may take to become ready, or to be empty again."""


class DemoFailed(EmcoError):
    """A step did not succeed; the text holds what emcoctl or EMCO said."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds since ``begun`` at which things were seen."""

    begun: float = field(default_factory=time.monotonic)

    def read(self) -> float:
        return time.monotonic() - self.begun


async def run_demo(edge: Path | None, cloud: Path | None, *, ingress_port: int | None) -> int:
    """The whole demonstration; answers the exit code. With a port it is left running there until it is told to stop."""
    keep = ingress_port is not None
    begun = Stopwatch()
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emco-demo-")))
        simulated = edge is None or cloud is None
        kubeconfigs = (
            await stack.enter_async_context(_simulated(work))
            if edge is None or cloud is None
            else {"edge": edge, "cloud": cloud}
        )
        ports = {} if keep else {"http_port": 0, "grpc_port": 0}
        suite = await stack.enter_async_context(
            running(work / "data", os.environ, ingress_port=ingress_port or 0, **ports)
        )
        what = "two SIMULATED clusters" if simulated else "your two clusters"
        click.echo(f"EMCO is up in one process, on {what}: edge and cloud")
        demo = _Demo(suite, work, kubeconfigs)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=demo.ingress, timeout=30))
        await demo.prepare()
        stopped = watch_signals()
        try:
            await _unless(stopped, _deploy(demo, client, simulated=simulated))
            if keep and not stopped.is_set():
                _tell(demo)
                await stopped.wait()
        finally:
            await _remove(demo, client)
        click.echo(f"done in {begun.read():.1f} s; nothing is left behind")
    return 0 if keep or not stopped.is_set() else INTERRUPTED


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, or break it off as soon as ``stopped`` is set."""
    working = asyncio.create_task(work, name="demonstration")
    waiting = asyncio.create_task(stopped.wait(), name="stop")
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


class _Demo:
    """Where things are, and how emcoctl is called."""

    def __init__(self, suite: Suite, work: Path, kubeconfigs: Mapping[str, Path]) -> None:
        self.suite = suite
        self.work = work
        self.kubeconfigs = kubeconfigs
        self.ingress = f"http://127.0.0.1:{suite.ingress_port}"

    async def prepare(self) -> None:
        """Pack the charts; write emcoctl's configuration and the values for this run."""
        await asyncio.to_thread(self._write_files)
        await self._call(sys.executable, str(EXAMPLE / "package.py"), str(self.work / "packages"))

    async def emcoctl(self, command: str, file: str) -> None:
        """Run emcoctl with one file of the example. Raises ``DemoFailed`` with its output."""
        await self._call(
            *(sys.executable, "-m", "emco_emcoctl", "--config", "emco-cfg.yaml"),
            *(command, "-v", "values.yaml", "-w", "1" if command == "delete" else "0", "-f", str(EXAMPLE / file)),
        )

    def _write_files(self) -> None:
        values = yaml.safe_load((EXAMPLE / "values.yaml").read_text())
        services = self.suite.services
        values["Rsync"] = {"Host": "127.0.0.1", "Port": services["rsync"].grpc_port}
        for cluster in values["Clusters"]:
            cluster["KubeConfig"] = str(self.kubeconfigs[cluster["Name"]])
        values["Packages"] = str(self.work / "packages")
        config = {
            name: {"host": "127.0.0.1", "port": services[name].http_port} for name in ("orchestrator", "clm", "dcm")
        }
        (self.work / "values.yaml").write_text(yaml.safe_dump(values))
        (self.work / "emco-cfg.yaml").write_text(yaml.safe_dump(config))

    async def _call(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.work, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(DEADLINE):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise DemoFailed(f"{' '.join(command[2:])}\n{output.decode(errors='replace')}")


async def _deploy(demo: _Demo, client: httpx.AsyncClient, *, simulated: bool) -> None:
    for file, what in STEPS[:-1]:
        await _step(demo, "apply", file, what)
        if file.startswith("03"):
            await _until(client, CLOUD_STATUS, lambda status: status.get("deployedStatus") == "Instantiated")
    since = Stopwatch()
    await _step(demo, "apply", *STEPS[-1])
    progress = Progress()
    ready = await _until(client, GROUP_STATUS, _is_ready, show=lambda status: progress.show(summary(status)))
    progress.end(f"{summary(ready)} after {since.read():.1f} s")
    click.echo()
    click.echo(table(ready, simulated=simulated))
    click.echo()


def _tell(demo: _Demo) -> None:
    click.echo(f"Left running. Everything is behind {demo.ingress}/v2, the status is at")
    click.echo(f"  {demo.ingress}{GROUP_STATUS}?status=ready")
    for name, path in demo.kubeconfigs.items():
        click.echo(f"  kubectl --kubeconfig {path} get all   # {name}")
    click.echo(f"emcoctl's configuration is {demo.work / 'emco-cfg.yaml'}. Ctrl-C takes it all away again.")


async def _remove(demo: _Demo, client: httpx.AsyncClient) -> None:
    answer = await client.get(GROUP_STATUS, params={"status": "deployed", "output": "summary"})
    if answer.status_code == 200 and answer.json().get("deployedStatus"):
        since = Stopwatch()
        await _step(demo, "delete", STEPS[-1][0], "terminate")
        progress = Progress()
        await _until(
            client,
            GROUP_STATUS,
            lambda status: status.get("deployedStatus") == "Terminated",
            show=lambda status: progress.show(str(status.get("deployedStatus", ""))),
            form="deployed",
        )
        progress.end(f"every object is gone after {since.read():.1f} s")
        for file, _ in reversed(STEPS[:-2]):
            await demo.emcoctl("delete", file)


async def _step(demo: _Demo, command: str, file: str, what: str) -> None:
    since = Stopwatch()
    await demo.emcoctl(command, file)
    click.echo(f"  {since.read():5.2f} s  {what:<48} emcoctl {command} -f {file}")


async def _until(
    client: httpx.AsyncClient, path: str, reached: Any, *, show: Any = None, form: str = "ready"
) -> dict[str, Any]:
    since = Stopwatch()
    while True:
        answer = await client.get(path, params={"status": form})
        status: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        if show is not None:
            show(status)
        if reached(status):
            return status
        if since.read() > DEADLINE:
            raise DemoFailed(f"{path} did not get there within {DEADLINE:g} s; it says:\n{answer.text}")
        await asyncio.sleep(0.1)


def _is_ready(status: Mapping[str, Any]) -> bool:
    return status.get("deployedStatus") == "Instantiated" and status.get("readyStatus") == "Ready"


@asynccontextmanager
async def _simulated(work: Path) -> AsyncIterator[Mapping[str, Path]]:
    async with AsyncExitStack() as stack:
        paths: dict[str, Path] = {}
        for name in ("edge", "cloud"):
            cluster = SimCluster(name, ready_after=0.3)
            await cluster.start()
            stack.push_async_callback(cluster.stop)
            paths[name] = work / f"{name}.kubeconfig"
            await asyncio.to_thread(paths[name].write_text, cluster.kubeconfig)
        yield paths
