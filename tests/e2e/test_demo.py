"""``emco demo`` as a program: it shows SmartCity at work and leaves nothing behind, however it ends."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_simcluster import SimCluster
from tests.support.process import Command
from tests.support.program import free_ports

OBJECTS = 34


class Demo(Command):
    """``emco demo`` with a temporary folder of its own, in which whatever it forgets can be seen."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.scratch = folder / "tmp"
        self.scratch.mkdir()
        environment = {"TMPDIR": str(self.scratch), **environment}
        super().__init__("demo", *arguments, log=folder / "demo.log", environment=environment)

    def left_behind(self) -> list[Any]:
        return [*self.scratch.iterdir(), *self.family()]


@pytest.fixture
async def demos() -> AsyncIterator[list[Demo]]:
    """Whatever a test puts here is ended with it."""
    started: list[Demo] = []
    yield started
    for demo in started:
        await demo.end(signal.SIGKILL)


async def test_it_shows_the_whole_way_and_leaves_nothing_behind(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path)
    demos.append(demo)

    code, output = await demo.run()

    assert code == 0, output
    assert "SIMULATED" in output.splitlines()[0]
    steps = re.findall(r"emcoctl (apply|delete) -f (\d\d)", output)
    assert steps == [*(("apply", f"0{number}") for number in range(8)), ("delete", "07")]
    assert re.search(r"Instantiated: (\d+) of \1 objects ready after", output)
    rows = [line.split() for line in output.splitlines() if "(simulated)" in line]
    listed = [row for row in rows if row[3] != "Pod"]
    assert {row[-1] for row in rows} == {"Ready"}
    assert len(listed) == len({tuple(row) for row in listed}) == OBJECTS
    assert {(row[0], row[1]) for row in rows} == {("edge", "smartcity+edge"), ("web", "smartcity+cloud")}
    assert "every object is gone" in output
    assert "nothing is left behind" in output.splitlines()[-1]
    assert demo.left_behind() == []


async def test_kept_running_it_tells_where_and_goes_away_when_told_to(tmp_path: Path, demos: list[Demo]) -> None:
    ports = dict(
        zip(("INGRESS", "CLM_HTTP", "DCM_HTTP", "ORCHESTRATOR_HTTP", "RSYNC_HTTP"), free_ports(5), strict=True)
    )
    settings = {f"EMCO_{name}_PORT": str(port) for name, port in ports.items()} | {"EMCO_GRPC_PORT": "0"}
    demo = Demo(tmp_path, "--keep", **settings)
    demos.append(demo)

    await demo.start()
    output = await demo.says("takes it all away again")
    [status] = re.findall(r"http://\S+\?status=ready", output)
    kubeconfigs = [Path(found) for found in re.findall(r"kubectl --kubeconfig (\S+) ", output)]
    configuration = Path(re.findall(r"configuration is (\S+)\.", output)[0])
    async with httpx.AsyncClient() as client:
        answer = (await client.get(status)).json()
    assert (answer["deployedStatus"], answer["readyStatus"]) == ("Instantiated", "Ready")
    assert f"port: {ports['CLM_HTTP']}" in await asyncio.to_thread(configuration.read_text)
    assert len(kubeconfigs) == 2
    assert all(path.exists() for path in kubeconfigs)

    assert await demo.end(signal.SIGTERM) == 0, demo.tail()
    assert "every object is gone" in demo.output
    assert demo.left_behind() == []


async def test_broken_off_on_clusters_of_ones_own_it_takes_its_objects_away(
    tmp_path: Path, demos: list[Demo], sim_clusters: list[SimCluster]
) -> None:
    paths = {cluster.name: tmp_path / f"{cluster.name}.kubeconfig" for cluster in sim_clusters}
    before = [_names(cluster) for cluster in sim_clusters]
    for cluster in sim_clusters:
        paths[cluster.name].write_text(cluster.kubeconfig)
    demo = Demo(tmp_path, "--edge", str(paths["edge"]), "--cloud", str(paths["cloud"]))
    demos.append(demo)

    await demo.start()
    await demo.says("apply -f 07-instantiate.yaml")
    code = await demo.end(signal.SIGINT)

    assert code == 130, demo.tail()
    assert "SIMULATED" not in demo.output
    assert "Traceback" not in demo.output
    assert [_names(cluster) for cluster in sim_clusters] == before
    assert demo.left_behind() == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--edge", __file__), "both --edge and --cloud"),
        (("--cloud", __file__), "both --edge and --cloud"),
        (("--edge", "/no/such/file", "--cloud", __file__), "/no/such/file"),
    ],
    ids=["only edge", "only cloud", "no such file"],
)
async def test_wrong_kubeconfig_options_are_a_usage_error(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    demo = Demo(tmp_path, *arguments)

    code, output = await demo.run()

    assert code == 2
    assert reason in output


def _names(cluster: SimCluster) -> list[tuple[str, str]]:
    return [(item["kind"], item["metadata"]["name"]) for item in cluster.objects()]
