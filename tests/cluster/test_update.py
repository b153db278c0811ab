"""A deployment on two real control planes is updated, taken back and removed; the official client is the witness."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.charts import chart
from tests.support.controlplane import ControlPlane
from tests.support.shop import WEB, Shop
from tests.support.suite import running_suite
from tests.support.witness import Witness

pytestmark = pytest.mark.xdist_group("cluster")
BASE = "/v2/projects/p/composite-apps/shop/v1"
ONLY_EDGE = {"allOf": [{"clusterProvider": "acme", "cluster": "edge"}]}
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-%s}\ndata: {x: y}\n"
DEFINITION = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: seats.%(group)s}
spec:
  group: %(group)s
  names: {kind: Seat, plural: seats, singular: seat, listKind: SeatList}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
SEAT = "apiVersion: %s/v1\nkind: Seat\nmetadata: {name: {{ .Release.Name }}-seat}\nspec: {row: 7}\n"
PATHS = {
    "configmaps": "/api/v1/namespaces/default/configmaps",
    "services": "/api/v1/namespaces/default/services",
    "deployments": "/apis/apps/v1/namespaces/default/deployments",
    "jobs": "/apis/batch/v1/namespaces/default/jobs",
}
HOOK = """apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: pre-upgrade}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}
"""


@dataclass
class Site:
    """What a release has brought to a cluster."""

    witness: Witness
    release: str

    def _list(self, path: str) -> list[dict[str, Any]]:
        items = self.witness.send("GET", path, labelSelector="emco/deployment-id").body.get("items", [])
        return [item for item in items if item["metadata"]["name"].startswith(self.release)]

    async def found(self, **more: str) -> dict[str, list[str]]:
        """Names without the release, by plural."""

        def look() -> dict[str, list[str]]:
            seen = {plural: self._list(path) for plural, path in (PATHS | more).items()}
            prefix = f"{self.release}-"
            return {
                plural: sorted(item["metadata"]["name"].removeprefix(prefix) for item in items)
                for plural, items in seen.items()
                if items
            }

        return await asyncio.to_thread(look)

    async def deployment(self) -> dict[str, Any]:
        (found,) = await asyncio.to_thread(self._list, PATHS["deployments"])
        return found


@pytest.fixture
async def shop(tmp_path: Path, control_planes: tuple[ControlPlane, ControlPlane]) -> AsyncIterator[Shop]:
    async with running_suite(tmp_path / "data") as suite:
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard(dict(zip(("edge", "cloud"), (plane.kubeconfig for plane in control_planes), strict=True)))
        yield shop


async def test_a_deployment_is_updated_taken_back_and_removed(
    shop: Shop, control_planes: tuple[ControlPlane, ControlPlane]
) -> None:
    release = f"u{uuid.uuid4().hex[:8]}"
    api = f"{release}.example.com"
    edge, cloud = (Site(Witness(plane.kubeconfig), release) for plane in control_planes)
    before = {"configmaps": [f"config-{n}" for n in range(4)], "deployments": ["web"], "services": ["web"]}
    g = await shop.group(release)
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    assert (await edge.found(), await cloud.found()) == (before, before)
    uid = (await edge.deployment())["metadata"]["uid"]

    await put_chart(shop, "web", {"web.yaml": WEB.replace("replicas: 1", "replicas: 2"), "hook.yaml": HOOK})
    seats = {"seat.yaml": SEAT % api, "crd.yaml": DEFINITION % {"group": api}, "config.yaml": CONFIG_MAP % "one"}
    await put_chart(shop, "config", seats)
    body = {"metadata": {"name": "config"}, "spec": {"app": "config", "intent": ONLY_EDGE}}
    answer = await shop.client.put(f"{g}/generic-placement-intents/place/app-intents/config", json=body)
    assert answer.status_code == 200
    assert (await shop.post(f"{g}/update", expect=202)).json() == 2
    await shop.ready(g)
    custom = {"seats": f"/apis/{api}/v1/namespaces/default/seats"}
    plain = {"deployments": ["web"], "services": ["web"], "jobs": ["migrate"]}
    assert await cloud.found() == plain
    assert await edge.found(**custom) == plain | {"configmaps": ["one"], "seats": ["seat"]}
    deployment = await edge.deployment()
    assert (deployment["metadata"]["uid"], deployment["spec"]["replicas"]) == (uid, 2)

    await shop.post(f"{g}/rollback", {"spec": {"revision": "1"}}, expect=202)
    await shop.ready(g)
    assert (await edge.found(**custom), await cloud.found()) == (before, before)
    deployment = await edge.deployment()
    assert (deployment["metadata"]["uid"], deployment["spec"]["replicas"]) == (uid, 1)

    await shop.post(f"{g}/update", expect=202)
    await shop.post(f"{g}/terminate", expect=202)
    await shop.gone(g)
    assert (await edge.found(**custom), await cloud.found()) == ({}, {})
    for site in (edge, cloud):
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await asyncio.to_thread(site.witness.send, "DELETE", f"{definitions}/seats.{api}")
        site.witness.close()


async def put_chart(shop: Shop, app: str, templates: dict[str, str]) -> None:
    form: dict[str, Any] = {
        "data": {"metadata": f'{{"metadata":{{"name":"{app}"}}}}'},
        "files": {"file": chart(app, templates)},
    }
    answer = await shop.client.put(f"{BASE}/apps/{app}", **form)
    assert answer.status_code == 200, answer.text
