"""Bad input on the way from nothing to a running deployment: each gets its 4xx and its reason, and leaves nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from emco_simcluster import SimCluster
from tests.support.charts import archive, bomb, chart, link_archive, profile
from tests.support.shop import GROUPS, Shop
from tests.support.suite import running_suite

CLUSTERS = "/v2/cluster-providers/acme/clusters"
APPS = "/v2/projects/p/composite-apps/shop/v1/apps"
PROFILES = "/v2/projects/p/composite-apps/shop/v1/composite-profiles/prod/profiles"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[SimCluster]:
    cluster = SimCluster("edge")
    await cluster.start()
    yield cluster
    await cluster.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, cluster: SimCluster) -> AsyncIterator[Shop]:
    async with running_suite(tmp_path_factory.mktemp("suite") / "data") as started:
        shop = Shop(started.client, rsync_port=started.suite.services["rsync"].grpc_port)
        await shop.onboard({"edge": cluster.kubeconfig})
        yield shop


async def refused(shop: Shop, path: str, body: Any, file: bytes, *, expect: int) -> str:
    """The reason; and the collection is as long as before."""
    before = (await shop.client.get(path)).json()
    answer = await shop.upload(path, body, file, expect=expect)
    assert (await shop.client.get(path)).json() == before
    assert "Traceback" not in answer.text
    return answer.text


class TestCharts:
    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            (b"not an archive", "Error in file format"),
            (archive({"web/values.yaml": "a: 1"}), "Chart.yaml"),
            (archive({"web/Chart.yaml": "name: web\nversion: 1.0.0\napiVersion: v2", "../evil": "x"}), "../evil"),
            (archive({"/etc/evil": "x"}), "/etc/evil"),
            (link_archive("web/Chart.yaml", "/etc/passwd"), "web/Chart.yaml"),
        ],
        ids=["no archive", "no chart", "leaves the archive", "absolute path", "symbolic link"],
    )
    async def test_that_are_none_are_refused_with_the_entry_named(self, shop: Shop, file: bytes, reason: str) -> None:
        assert reason in await refused(shop, APPS, {"metadata": {"name": "bad"}}, file, expect=422)

    async def test_that_grow_without_end_are_stopped(self, shop: Shop) -> None:
        packed = await asyncio.to_thread(bomb, 256 << 20)
        began = time.monotonic()
        answer = await shop.client.post(
            APPS, data={"metadata": '{"metadata":{"name":"bomb"}}'}, files={"file": ("b", packed)}
        )
        assert answer.status_code in (413, 422)
        assert "is larger than" in answer.text
        assert time.monotonic() - began < 30

    async def test_that_do_not_render_fail_the_instantiate_with_helms_words(self, shop: Shop) -> None:
        broken = chart("web", {"a.yaml": "{{ fail `the colour is missing` }}"})
        body = {"data": {"metadata": '{"metadata":{"name":"web"}}'}, "files": {"file": ("f", broken)}}
        whole = (await shop.client.get(f"{APPS}/web", headers={"Accept": "application/octet-stream"})).content
        assert (await shop.client.put(f"{APPS}/web", **body)).status_code == 200
        group = await shop.group("broken")
        answer = await shop.post(f"{group}/instantiate", expect=422)
        assert "the colour is missing" in answer.text
        status = (await shop.client.get(f"{group}/status")).json()
        assert [action["state"] for action in status["states"]["actions"]] == ["Created", "Approved"]
        body["files"] = {"file": ("f", whole)}
        assert (await shop.client.put(f"{APPS}/web", **body)).status_code == 200


class TestProfiles:
    async def test_without_manifest_are_refused(self, shop: Shop) -> None:
        body = {"metadata": {"name": "bad"}, "spec": {"app": "other"}}
        assert "manifest.yaml" in await refused(shop, PROFILES, body, archive({"values.yaml": ""}), expect=422)

    async def test_that_name_files_outside_are_refused(self, shop: Shop) -> None:
        body = {"metadata": {"name": "bad"}, "spec": {"app": "other"}}
        evil = profile(manifest="type:\n  values: ../../etc/passwd\n")
        assert "../../etc/passwd" in await refused(shop, PROFILES, body, evil, expect=422)


class TestKubeconfigs:
    async def test_that_run_programs_or_read_files_are_refused(self, shop: Shop, cluster: SimCluster) -> None:
        def with_user(**user: Any) -> bytes:
            config = yaml.safe_load(cluster.kubeconfig)
            config["users"][0]["user"] = user
            return yaml.safe_dump(config).encode()

        canary = "canary-d41d8cd98f"
        cases = {
            "exec": with_user(exec={"command": "sh", "args": [canary], "apiVersion": "v1"}),
            "client-certificate": with_user(**{"client-certificate": "/c.pem", "client-key": f"/{canary}"}),
            "tokenFile": with_user(tokenFile=f"/{canary}"),
            "auth-provider": with_user(**{"auth-provider": {"name": canary}}),
        }
        for field, kubeconfig in cases.items():
            text = await refused(shop, CLUSTERS, {"metadata": {"name": "bad"}}, kubeconfig, expect=400)
            assert field in text
            assert canary not in text


class TestIntents:
    async def test_with_an_unknown_label_name_it(self, shop: Shop) -> None:
        group = await shop.group("lost", intent={"allOf": [{"clusterProvider": "acme", "clusterLabel": "nowhere"}]})
        assert "label nowhere" in (await shop.post(f"{group}/instantiate", expect=422)).text

    async def test_for_a_missing_logical_cloud_name_it(self, shop: Shop) -> None:
        spec = {"compositeProfile": "prod", "version": "r", "logicalCloud": "gone", "overrideValues": []}
        answer = await shop.post(GROUPS, {"metadata": {"name": "g"}, "spec": spec}, expect=409)
        assert "logicalCloud gone" in answer.text

    async def test_are_not_carried_out_before_approval(self, shop: Shop) -> None:
        group = await shop.group("early", approve=False)
        answer = await shop.post(f"{group}/instantiate", expect=409)
        assert answer.text == "DeploymentIntentGroup must be Approved before instantiatingearly\n"

    async def test_for_a_cluster_outside_the_logical_cloud_are_refused(self, shop: Shop, cluster: SimCluster) -> None:
        await shop.upload(CLUSTERS, {"metadata": {"name": "other"}}, cluster.kubeconfig.encode())
        group = await shop.group("outside", intent={"allOf": [{"clusterProvider": "acme", "cluster": "other"}]})
        answer = await shop.post(f"{group}/instantiate", expect=400)
        assert answer.text == "The specified Logical Cloud doesn't provide the mandatory clusters\n"


class TestRequests:
    @pytest.mark.parametrize(
        "path",
        ["/v2/projects/none/composite-apps", "/v2/cluster-providers/acme/clusters/none/labels", f"{GROUPS}/no/intents"],
    )
    async def test_below_an_unknown_parent_are_refused(self, shop: Shop, path: str) -> None:
        body = {
            "metadata": {"name": "x"},
            "clusterLabel": "x",
            "spec": {"compositeAppVersion": "v", "intent": {}},
        }
        answer = await shop.post(path, body, expect=409)
        assert answer.text == "Cannot perform requested operation. Parent resource not found\n"

    async def test_with_wrong_types_name_the_field(self, shop: Shop) -> None:
        for path, body, field in (
            ("/v2/projects", {"metadata": {"name": 7}}, "metadata.name"),
            ("/v2/controllers", {"metadata": {"name": "c"}, "spec": {"port": "9"}}, "spec.port"),
            ("/v2/cluster-providers", {"metadata": []}, "metadata"),
        ):
            assert field in (await shop.post(path, body, expect=422)).text

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
    @pytest.mark.parametrize("declared", [True, False])
    async def test_of_a_hundred_megabytes_are_cut_short(self, shop: Shop, kind: str, declared: bool) -> None:
        piece, count = b"x" * (1 << 20), 100
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(count):
                sent += len(piece)
                yield piece

        headers = {"Content-Type": kind} | ({"Content-Length": str(count << 20)} if declared else {})
        path = APPS if kind.startswith("multipart") else "/v2/projects"
        try:
            answer = await shop.client.post(path, content=body(), headers=headers)
        except httpx.WriteError:
            # The service answered and closed before the client had sent everything, which is the point.
            return
        # A form that is no form is refused at its first line, without reading on.
        assert answer.status_code == 413 or "form" in answer.text
        assert answer.status_code in (413, 422)
        assert (await shop.client.get("/healthz")).status_code == 200

    async def test_that_arrive_slowly_do_not_hold_up_others(self, shop: Shop) -> None:
        release = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"metadata":'
            await release.wait()
            yield b'{"name":"slow"}}'

        waiting = asyncio.create_task(shop.client.post("/v2/projects", content=slow()))
        assert (await shop.client.get("/v2/projects/p")).status_code == 200
        release.set()
        assert (await waiting).status_code == 201
