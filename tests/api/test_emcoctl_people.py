"""emcoctl for people, against the running suite with real deployments on simulated clusters."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from emco_emcoctl.main import run
from emco_simcluster import SimCluster
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, running_suite

GROUP = "projects/p/composite-apps/shop/v1/deployment-intent-groups/g"
CLUSTERS = ("edge1", "edge2")


class Emcoctl:
    """emcoctl in a folder, for one suite."""

    def __init__(self, suite: RunningSuite, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        (folder / "cfg.yaml").write_text(f"ingress: {{url: 'http://127.0.0.1:{suite.suite.ingress_port}'}}\n")
        self.out = self.err = ""

    async def __call__(self, *words: str) -> int:
        out, err = io.StringIO(), io.StringIO()
        environ = {"HOME": str(self.folder)}
        line = ["--config", "cfg.yaml", *words]
        code = await asyncio.to_thread(run, line, stdout=out, stderr=err, environ=environ, cwd=self.folder)
        self.out, self.err = out.getvalue(), err.getvalue()
        return code


@pytest.fixture
async def clusters() -> AsyncIterator[dict[str, SimCluster]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(SimCluster(name, ready_after=0.05, established_after=0.05))
            for name in CLUSTERS
        }


async def test_a_deployment_is_brought_up_looked_at_exported_and_brought_up_elsewhere(
    tmp_path: Path, clusters: dict[str, SimCluster]
) -> None:
    kubeconfigs = {name: cluster.kubeconfig for name, cluster in clusters.items()}
    async with running_suite(tmp_path / "one") as suite:
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard(kubeconfigs)
        await shop.group("g")
        emcoctl = Emcoctl(suite, tmp_path / "ctl")

        assert await emcoctl("apply", f"{GROUP}/instantiate", "--wait", "--wait-timeout", "30") == 0, emcoctl.err
        assert f"{GROUP}: Instantiated, 12 of 12" in emcoctl.err
        await shop.ready(f"/v2/{GROUP}")

        assert await emcoctl("status", GROUP) == 0
        assert emcoctl.out.splitlines()[:2] == ["deployed Instantiated", "ready    Ready"]
        assert await emcoctl("tree", "projects/p") == 0
        for line in ("project p", "logical cloud lc  Ready", "deployment g  Ready", "acme+edge2  Available"):
            assert line in emcoctl.out
        assert emcoctl.out.count("Deployment g-web  Ready") == 2
        assert await emcoctl("logs", GROUP) == 0
        assert [line.split()[1] for line in emcoctl.out.splitlines()[1:]] == ["Created", "Approved", "Instantiated"]
        assert await emcoctl("version", "-o", "json") == 0
        assert {one["component"] for one in json.loads(emcoctl.out)} >= {"emcoctl", "orchestrator"}

        assert await emcoctl("export", "--all", "-d", "all") == 0, emcoctl.err
        for name in CLUSTERS:
            assert f"clusters/{name}.kubeconfig is a placeholder" in emcoctl.err
        assert await emcoctl("validate", "-f", "all") == 2
        assert emcoctl.out.splitlines()[-1].endswith("2 with problems")
        secrets = [path for path in (emcoctl.folder / "all").rglob("*") if path.is_file()]
        assert not any(b"client-key-data" in path.read_bytes() for path in secrets)
        held = {path: (await suite.client.get(f"/v2/{path}")).json() for path in (GROUP, "projects/p/logical-clouds")}
        assert await emcoctl("apply", f"{GROUP}/terminate", "--wait") == 0, emcoctl.err
        assert (await shop.gone(f"/v2/{GROUP}"))["deployedStatus"] == "Terminated"

    for name, kubeconfig in kubeconfigs.items():
        (emcoctl.folder / f"all/files/cluster-providers/acme/clusters/{name}.kubeconfig").write_text(kubeconfig)
    async with running_suite(tmp_path / "two") as suite:
        elsewhere = Emcoctl(suite, tmp_path / "ctl")
        (emcoctl.folder / "all/01-controllers.yaml").unlink()
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await suite.register_rsync()

        assert await elsewhere("validate", "-f", "all") == 0, elsewhere.out
        assert await elsewhere("apply", "--wait", "-f", "all") == 0, elsewhere.out + elsewhere.err
        assert (await shop.ready(f"/v2/{GROUP}"))["readyCounts"] == {"Ready": 14}
        assert {path: (await suite.client.get(f"/v2/{path}")).json() for path in held} == held
        assert await elsewhere("apply", "--upsert", "-o", "json", "-f", "all/02-clusters.yaml") == 0, elsewhere.err
        assert {one["method"] for one in json.loads(elsewhere.out)} == {"PUT"}
