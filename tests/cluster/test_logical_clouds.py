"""Level-1 and privileged clouds on a real control plane: the API server decides who may what (spec dcm 6, 8)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.support.charts import chart, profile
from tests.support.controlplane import ControlPlane
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, suite
from tests.support.witness import Witness, eventually

__all__ = ["suite"]

CLOUDS = "/v2/projects/p/logical-clouds"
CHANGE = ("get", "list", "create", "patch", "delete")


@pytest.fixture
def witness(control_plane: ControlPlane) -> Iterator[Witness]:
    witness = Witness(control_plane.kubeconfig)
    yield witness
    witness.close()


class Tenant:
    """A user of EMCO with a cloud of a name that nobody else has on the shared cluster."""

    def __init__(self, suite: RunningSuite, shop: Shop) -> None:
        self.name = f"lc-{uuid.uuid4().hex[:8]}"
        self.path = f"{CLOUDS}/{self.name}"
        self.client = suite.client
        self.shop = shop

    async def cloud(self, *permissions: Mapping[str, Any], quota: Mapping[str, str] | None = None) -> None:
        user = {"userName": f"{self.name}-op", "type": "certificate"}
        spec = {"level": "1", "namespace": self.name, "labels": {"team": "retail"}, "user": user}
        await self.shop.post(CLOUDS, {"metadata": {"name": self.name}, "spec": spec})
        for number, permission in enumerate(permissions):
            body = {"metadata": {"name": f"p{number}"}, "spec": {"namespace": self.name, **permission}}
            await self.shop.post(f"{self.path}/user-permissions", body)
        if quota:
            await self.shop.post(f"{self.path}/cluster-quotas", {"metadata": {"name": "small"}, "spec": quota})
        reference = {"clusterProvider": "acme", "cluster": "hq"}
        await self.shop.post(f"{self.path}/cluster-references", {"metadata": {"name": "hq-ref"}, "spec": reference})
        await self.shop.post(f"{self.path}/instantiate", expect=202)
        await self.shop.until(f"{self.path}/status", _ready)

    async def group_of(self, manifests: str) -> str:
        """A deployment intent group of one app that is these manifests."""
        shop, base = self.shop, f"/v2/projects/p/composite-apps/{self.name}/v1"
        head, anywhere = {"metadata": {"name": self.name}}, {"clusterProvider": "acme", "clusterLabel": "edge"}
        await shop.post("/v2/projects/p/composite-apps", {**head, "spec": {"compositeAppVersion": "v1"}})
        await shop.upload(f"{base}/apps", {"metadata": {"name": "all"}}, chart("all", {"all.yaml": manifests}))
        await shop.post(f"{base}/composite-profiles", {"metadata": {"name": "prod"}})
        body = {"metadata": {"name": "all"}, "spec": {"app": "all"}}
        await shop.upload(f"{base}/composite-profiles/prod/profiles", body, profile())
        spec = {"compositeProfile": "prod", "version": "r1", "logicalCloud": self.name, "overrideValues": []}
        await shop.post(f"{base}/deployment-intent-groups", {**head, "spec": spec})
        group = f"{base}/deployment-intent-groups/{self.name}"
        await shop.post(f"{group}/generic-placement-intents", {"metadata": {"name": "place"}})
        intent = {"metadata": {"name": "all"}, "spec": {"app": "all", "intent": {"allOf": [anywhere]}}}
        await shop.post(f"{group}/generic-placement-intents/place/app-intents", intent)
        taking_part = {"metadata": {"name": "i"}, "spec": {"intent": {"genericPlacementIntent": "place"}}}
        await shop.post(f"{group}/intents", taking_part)
        await shop.post(f"{group}/approve", expect=202)
        return group

    async def grant(self, name: str, permission: Mapping[str, Any]) -> None:
        body = {"metadata": {"name": name}, "spec": {"namespace": self.name, **permission}}
        await self.shop.post(f"{self.path}/user-permissions", body)
        await self._update()

    async def withdraw(self, name: str) -> None:
        assert (await self.client.delete(f"{self.path}/user-permissions/{name}")).status_code == 204
        await self._update()

    async def _update(self) -> None:
        await self.shop.post(f"{self.path}/update", expect=202)
        await self.shop.until(f"{self.path}/status", _ready)

    async def kubeconfig(self) -> str:
        answer = await self.client.get(f"{self.path}/cluster-references/hq-ref/kubeconfig")
        assert answer.status_code == 200, answer.text
        return answer.text

    async def end(self, path: str) -> None:
        """Terminate a deployment or a cloud and wait until it is gone."""
        await self.shop.post(f"{path}/terminate", expect=202)
        await self.shop.gone(path)


@pytest.fixture
async def tenant(suite: RunningSuite, control_plane: ControlPlane) -> Tenant:
    shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
    await shop.onboard({"hq": control_plane.kubeconfig})
    return Tenant(suite, shop)


def _ready(status: Mapping[str, Any]) -> bool:
    return status.get("deployedStatus") == "Instantiated" and status.get("readyStatus") == "Ready"


def _may(resources: Sequence[str], verbs: Sequence[str] = CHANGE, **scope: Any) -> dict[str, Any]:
    return {"apiGroups": ["", "apps"], "resources": list(resources), "verbs": list(verbs), **scope}


async def test_a_user_may_do_what_the_permissions_say_and_nothing_else(tenant: Tenant, witness: Witness) -> None:
    await tenant.cloud(_may(["configmaps"]), quota={"configmaps": "20"})
    user = Witness(await tenant.kubeconfig())
    config: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}

    def asked() -> list[int]:
        there, elsewhere = f"/api/v1/namespaces/{tenant.name}", "/api/v1/namespaces/default"
        return [
            user.apply(f"{there}/configmaps/mine", config).status,
            user.send("GET", f"{there}/secrets").status,
            user.send("GET", f"{elsewhere}/configmaps").status,
            user.send("GET", "/api/v1/nodes").status,
        ]

    assert await asyncio.to_thread(asked) == [201, 403, 403, 403]
    namespace = await asyncio.to_thread(witness.core.read_namespace, tenant.name)
    quota = await asyncio.to_thread(witness.core.read_namespaced_resource_quota, "small", tenant.name)
    assert namespace.metadata.labels["team"] == "retail"
    assert quota.spec.hard == {"configmaps": "20"}

    await tenant.grant("secrets", _may(["secrets"], ["list"]))
    assert await asyncio.to_thread(asked) == [200, 200, 403, 403]
    await tenant.withdraw("secrets")
    assert await asyncio.to_thread(asked) == [200, 403, 403, 403]
    user.close()
    await tenant.end(tenant.path)
    assert await asyncio.to_thread(eventually, lambda: _is_gone(witness, f"/api/v1/namespaces/{tenant.name}"))


async def test_what_the_user_may_not_is_refused_by_the_cluster_and_reported_object_by_object(
    tenant: Tenant, witness: Witness
) -> None:
    await tenant.cloud(_may(["configmaps"]), _may(["deployments"], ["get", "create", "delete"]))
    group = await tenant.shop.group(tenant.name, logicalCloud=tenant.name)
    await tenant.shop.post(f"{group}/instantiate", expect=202)
    status = await tenant.shop.until(
        f"{group}/status", lambda status: status.get("deployedStatus") == "InstantiateFailed"
    )

    rows = await _rows(tenant, group)
    there = await asyncio.to_thread(_names, witness, tenant.name)

    assert {kind: status for (kind, _), (status, _) in rows.items()} == {
        "ConfigMap": "Applied",
        "Deployment": "Applied",
        "Service": "Failed",
    }
    reason = rows["Service", f"{tenant.name}-web"][1]
    assert f'User "{tenant.name}-op" cannot patch resource "services"' in reason
    assert f'in the namespace "{tenant.name}"' in reason
    assert there == {"configmaps": 4, "deployments": 1, "services": 0}
    assert status["deployedStatus"] == "InstantiateFailed"
    await tenant.end(group)

    status, reason = (await _rows(tenant, group))["Service", f"{tenant.name}-web"]
    assert status == "Failed"
    assert reason.startswith("nothing of this deployment is on the cluster under this name")
    await tenant.end(tenant.path)


BOTH = """apiVersion: v1
kind: ConfigMap
metadata: {{name: {0}-there, namespace: {0}-second}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {{name: {0}}}
value: 7
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {0}-nowhere, namespace: default}}
"""


async def test_a_privileged_cloud_reaches_as_far_as_its_permissions(tenant: Tenant, witness: Witness) -> None:
    second = f"{tenant.name}-second"
    await asyncio.to_thread(witness.core.create_namespace, {"metadata": {"name": second}})
    everywhere = {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": ["*"], "namespace": ""}
    await tenant.cloud(_may(["configmaps"]), _may(["configmaps"], namespace=second), everywhere)
    group = await tenant.group_of(BOTH.format(tenant.name))
    await tenant.shop.post(f"{group}/instantiate", expect=202)
    await tenant.shop.until(f"{group}/status", lambda status: status.get("deployedStatus") == "InstantiateFailed")

    rows = await _rows(tenant, group)

    def brought() -> list[int]:
        core, scheduling = "/api/v1/namespaces", "/apis/scheduling.k8s.io/v1/priorityclasses"
        return [
            witness.send("GET", f"{core}/{second}/configmaps/{tenant.name}-there").status,
            witness.send("GET", f"{scheduling}/{tenant.name}").status,
            witness.send("GET", f"{core}/default/configmaps/{tenant.name}-nowhere").status,
        ]

    assert await asyncio.to_thread(brought) == [200, 200, 404]
    assert {name: status for (_, name), (status, _) in rows.items()} == {
        f"{tenant.name}-there": "Applied",
        tenant.name: "Applied",
        f"{tenant.name}-nowhere": "Failed",
    }
    assert 'in the namespace "default"' in rows["ConfigMap", f"{tenant.name}-nowhere"][1]
    await tenant.end(group)
    assert await asyncio.to_thread(brought) == [404, 404, 404]
    await asyncio.to_thread(witness.core.delete_namespace, second)


def _is_gone(witness: Witness, path: str) -> bool:
    return witness.send("GET", path).status == 404


async def _rows(tenant: Tenant, group: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(status, reason) by kind and name."""
    answer = await tenant.client.get(f"{group}/status", params={"status": "deployed"})
    return {
        (row["GVK"]["Kind"], row["name"]): (row["deployedStatus"], row.get("reason", ""))
        for app in answer.json()["apps"]
        for cluster in app["clusters"]
        for row in cluster["resources"]
    }


def _names(witness: Witness, namespace: str) -> dict[str, int]:
    """How many of each kind that EMCO has brought are in the namespace."""
    paths = {"configmaps": "api/v1", "deployments": "apis/apps/v1", "services": "api/v1"}
    found = {}
    for kind, api in paths.items():
        path = f"/{api}/namespaces/{namespace}/{kind}"
        found[kind] = len(witness.send("GET", path, labelSelector="emco/deployment-id").body["items"])
    return found
