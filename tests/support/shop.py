"""A small composite application over REST: everything a deployment needs, for any number of clusters."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.support.charts import chart, profile

WEB = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-web
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""
CONFIG = """{{- range $i := until 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Name }}-config-{{ $i }}
data: {colour: {{ $.Values.colour }}}
{{- end }}
"""
GROUPS = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups"
SETTLED = 60.0


class Shop:
    """Onboards and drives one composite application of two apps, ``web`` and ``config``."""

    def __init__(self, client: httpx.AsyncClient, *, rsync_port: int) -> None:
        self.client = client
        self._rsync_port = rsync_port

    async def onboard(self, kubeconfigs: Mapping[str, str]) -> None:
        """Clusters by name (all labelled ``edge``), project, logical cloud, composite application."""
        await self.found()
        for name, kubeconfig in kubeconfigs.items():
            await self.register({"metadata": {"name": name}}, kubeconfig.encode())
        await self.stock(list(kubeconfigs))

    async def found(self) -> None:
        """rsync and the provider of clusters."""
        rsync = {"metadata": {"name": "rsync"}, "spec": {"host": "127.0.0.1", "port": self._rsync_port}}
        await self.post("/v2/controllers", rsync)
        await self.post("/v2/cluster-providers", {"metadata": {"name": "acme"}})

    async def register(self, body: Any, file: bytes) -> None:
        """A cluster, labelled ``edge``."""
        await self.upload("/v2/cluster-providers/acme/clusters", body, file)
        name = body["metadata"]["name"]
        await self.post(f"/v2/cluster-providers/acme/clusters/{name}/labels", {"clusterLabel": "edge"})

    async def stock(self, clusters: Sequence[str]) -> None:
        """Project, logical cloud over these clusters, composite application."""
        await self.post("/v2/projects", {"metadata": {"name": "p"}})
        await self.cloud("lc", clusters)
        spec = {"compositeAppVersion": "v1"}
        await self.post("/v2/projects/p/composite-apps", {"metadata": {"name": "shop"}, "spec": spec})
        base = "/v2/projects/p/composite-apps/shop/v1"
        await self.post(f"{base}/composite-profiles", {"metadata": {"name": "prod"}})
        for app, template in (("web", WEB), ("config", CONFIG)):
            await self.upload(f"{base}/apps", {"metadata": {"name": app}}, chart(app, {"all.yaml": template}))
            body = {"metadata": {"name": f"{app}-prod"}, "spec": {"app": app}}
            await self.upload(f"{base}/composite-profiles/prod/profiles", body, profile())

    async def cloud(self, name: str, clusters: Sequence[str]) -> None:
        path = "/v2/projects/p/logical-clouds"
        await self.post(path, {"metadata": {"name": name}, "spec": {"level": "0"}})
        for cluster in clusters:
            spec = {"clusterProvider": "acme", "cluster": cluster}
            body = {"metadata": {"name": cluster}, "spec": spec}
            await self.post(f"{path}/{name}/cluster-references", body)
        await self.post(f"{path}/{name}/instantiate", expect=202)
        await self.until(f"{path}/{name}/status", lambda status: status.get("deployedStatus") == "Instantiated")

    async def group(self, name: str = "g", *, intent: Any = None, approve: bool = True, **spec: Any) -> str:
        """A deployment intent group; both apps go to all clusters labelled ``edge`` unless ``intent`` is given."""
        body = {"compositeProfile": "prod", "version": name, "logicalCloud": "lc", "overrideValues": []} | spec
        await self.post(GROUPS, {"metadata": {"name": name}, "spec": body})
        path = f"{GROUPS}/{name}"
        await self.post(f"{path}/generic-placement-intents", {"metadata": {"name": "place"}})
        everywhere = {"allOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]}
        for app in ("web", "config"):
            placed = {"metadata": {"name": app}, "spec": {"app": app, "intent": intent or everywhere}}
            await self.post(f"{path}/generic-placement-intents/place/app-intents", placed)
        taking_part = {"metadata": {"name": "i"}, "spec": {"intent": {"genericPlacementIntent": "place"}}}
        await self.post(f"{path}/intents", taking_part)
        if approve:
            await self.post(f"{path}/approve", expect=202)
        return path

    async def ready(self, path: str) -> dict[str, Any]:
        return await self.until(
            f"{path}/status",
            lambda status: status.get("deployedStatus") == "Instantiated" and status.get("readyStatus") == "Ready",
        )

    async def gone(self, path: str) -> dict[str, Any]:
        return await self.until(f"{path}/status", lambda status: status.get("deployedStatus") == "Terminated")

    async def until(self, path: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(SETTLED):
                while True:
                    answer = await self.client.get(path, params={"status": "ready"})
                    assert answer.status_code == 200, answer.text
                    status = answer.json()
                    if reached(status):
                        return status
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"{path} did not get there: {json.dumps(status)[:3000]}") from None

    async def post(self, path: str, body: Any = None, *, expect: int = 201) -> httpx.Response:
        answer = await self.client.post(path, **({} if body is None else {"json": body}))
        assert answer.status_code == expect, f"POST {path}: {answer.status_code} {answer.text}"
        return answer

    async def upload(self, path: str, body: Any, file: bytes, *, expect: int = 201) -> httpx.Response:
        form: dict[str, Any] = {"data": {"metadata": json.dumps(body)}, "files": {"file": ("file", file)}}
        answer = await self.client.post(path, **form)
        assert answer.status_code == expect, f"POST {path}: {answer.status_code} {answer.text}"
        return answer


def objects_of(shop_objects: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(kind, name) of everything EMCO applied, sorted; what controllers in the cluster made is left out."""
    return sorted(
        (item["kind"], item["metadata"]["name"])
        for item in shop_objects
        if "emco/deployment-id" in item["metadata"].get("labels", {}) and "ownerReferences" not in item["metadata"]
    )
