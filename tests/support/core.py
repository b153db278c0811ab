"""The core services over one store and one bus, spoken to without a socket, with a stand-in for rsync.

Whatever services the catalogue has are here, except rsync itself: the stand-in notes what it is asked and, as rsync
would, writes the status of a context. What rsync does with clusters is tested with rsync.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from emco_allinone.catalogue import CATALOGUE
from emco_allinone.ingress import Ingress
from emco_common.appcontext import AppContextStore, ContextState, keys, values
from emco_common.runtime import Deps, Service, open_deps
from emco_common.settings import Settings
from emco_common.store.api import Key
from tests.api.clm.kubeconfigs import kubeconfig
from tests.fakes.rsync import FakeRsync, fake_rsync
from tests.support.charts import chart, profile

APPS = "/v2/projects/p/composite-apps/shop/v1"
GROUPS = f"{APPS}/deployment-intent-groups"
CLOUDS = "/v2/projects/p/logical-clouds"
CLUSTERS = "/v2/cluster-providers/acme/clusters"
GROUP_KEY = {"project": "p", "compositeApp": "shop", "compositeAppVersion": "v1"}
SETTLED = {
    "install": ContextState.INSTANTIATED,
    "uninstall": ContextState.TERMINATED,
    "update": ContextState.INSTANTIATED,
}
UNDER_WAY = {
    "install": ContextState.INSTANTIATING,
    "uninstall": ContextState.TERMINATING,
    "update": ContextState.UPDATING,
}
FAILED = {
    "install": ContextState.INSTANTIATE_FAILED,
    "uninstall": ContextState.TERMINATE_FAILED,
    "update": ContextState.UPDATE_FAILED,
}


def named(name: str, **spec: Any) -> dict[str, Any]:
    """A body."""
    return {"metadata": {"name": name}} | ({"spec": spec} if spec else {})


def form(body: Any, file: bytes) -> dict[str, Any]:
    """A body with its file, as arguments of a request."""
    return {"data": {"metadata": json.dumps(body)}, "files": {"file": ("file", file)}}


@dataclass
class Core:
    """``outcome`` is the status that rsync gives a context after an operation; take one out and it stays as it is."""

    client: httpx.AsyncClient
    deps: Deps
    services: Mapping[str, Service]
    rsync: FakeRsync
    outcome: dict[str, str] = field(default_factory=lambda: dict(SETTLED))
    _charts: dict[str, bytes] = field(default_factory=dict)

    @property
    def contexts(self) -> AppContextStore:
        return AppContextStore(self.deps.bus)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 0, **more: Any) -> httpx.Response:
        """One request; ``expect`` is the status it must have."""
        if body is not None:
            more["json"] = body
        answer = await self.client.request(method, path, **more)
        assert not expect or answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    async def post(self, path: str, body: Any = None, *, expect: int = 201, **more: Any) -> httpx.Response:
        return await self.call("POST", path, body, expect=expect, **more)

    async def upload(self, path: str, body: Any, file: bytes, *, expect: int = 201) -> httpx.Response:
        return await self.call("POST", path, expect=expect, **form(body, file))

    async def cluster(self, name: str, *labels: str) -> None:
        await self.upload(CLUSTERS, named(name), kubeconfig())
        for label in labels:
            await self.post(f"{CLUSTERS}/{name}/labels", {"clusterLabel": label})

    async def world(self) -> None:
        """Two clusters of provider acme, an instantiated cloud over both, an application, a controller."""
        await self.post("/v2/cluster-providers", named("acme"))
        await self.cluster("hq", "edge")
        await self.cluster("east", "edge", "gpu")
        await self.post("/v2/projects", named("p"))
        await self.cloud("lc", "hq", "east")
        await self.post(f"{CLOUDS}/lc/instantiate", expect=202)
        await self.version("v1")

    async def cloud(self, name: str, *clusters: str, **spec: Any) -> str:
        await self.post(CLOUDS, named(name, **({"level": "0"} | spec)))
        for cluster in clusters:
            reference = named(f"{cluster}-ref", clusterProvider="acme", cluster=cluster)
            await self.post(f"{CLOUDS}/{name}/cluster-references", reference)
        return f"{CLOUDS}/{name}"

    async def version(self, version: str) -> None:
        """A version of the composite application ``shop``, of one app ``web``, with its profile."""
        await self.post("/v2/projects/p/composite-apps", named("shop", compositeAppVersion=version))
        base = f"/v2/projects/p/composite-apps/shop/{version}"
        await self.upload(f"{base}/apps", named("web"), self._charts.setdefault("web", chart()))
        await self.post(f"{base}/composite-profiles", named("prod"))
        profiled = self._charts.setdefault("profile", profile())
        await self.upload(f"{base}/composite-profiles/prod/profiles", named("web-prod", app="web"), profiled)

    async def group(self, name: str, *, version: str = "v1", placed: bool = True, **spec: Any) -> str:
        """A deployment intent group in ``Created``; answers its path."""
        base = f"/v2/projects/p/composite-apps/shop/{version}/deployment-intent-groups"
        body = {"compositeProfile": "prod", "version": name, "logicalCloud": "lc"} | spec
        await self.post(base, named(name, **body))
        path = f"{base}/{name}"
        if placed:
            await self.placed(path)
        return path

    async def placed(self, path: str, intent: Any = None) -> None:
        await self.post(f"{path}/generic-placement-intents", named("place"))
        rule = intent or {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
        placement = named("web", app="web", intent=rule)
        await self.post(f"{path}/generic-placement-intents/place/app-intents", placement)
        await self.post(f"{path}/intents", named("i", intent={"genericPlacementIntent": "place"}))

    async def state_of(self, key: Key) -> dict[str, Any]:
        """The history of a document, as it is stored."""
        document = await self.deps.store.get(key)
        assert document is not None, key
        history: dict[str, Any] = document.tags["stateInfo"]
        return history

    async def put_state(self, key: Key, *actions: tuple[str, str]) -> None:
        """Give a document the history of these states and contexts, as an earlier life might have left it."""
        document = await self.deps.store.get(key)
        assert document is not None, key
        time = "2026-01-01T00:00:00.000Z"
        history = [
            {"state": state, "instance": instance, "time": time, "revision": number}
            for number, (state, instance) in enumerate(actions)
        ]
        first = next((instance for _, instance in actions if instance), "")
        tags = {**document.tags, "stateInfo": {"statusctxid": first, "actions": history}}
        await self.deps.store.replace(replace(document, tags=tags))

    async def set_status(self, instance: str, status: str) -> None:
        """What rsync says of a context."""
        await self.deps.bus.put(keys.status(instance), values.encode_state(status))

    async def take(self, operation: str, context: str) -> None:
        status = self.outcome.get(operation)
        if status is not None:
            await self.set_status(context.rpartition(">")[2], status)


@asynccontextmanager
async def core(folder: Path, *, store_url: str = "") -> AsyncIterator[Core]:
    """All core services, started; an empty store."""
    given: dict[str, Any] = {
        "http_port": 0,
        "grpc_port": 0,
        "database_url": store_url or f"sqlite://{folder}/store.db",
        "bus_url": f"embedded://{folder}/bus.db",
        "data_key": "test key",
        "grpc_connect_timeout": 2,
        "rsync_timeout": 5,
    }
    async with open_deps(Settings.load("emco", {}, **given)) as deps, fake_rsync() as rsync:
        await rsync.register(deps.store)
        entries = [entry for entry in CATALOGUE if entry.name != "rsync"]
        services = {e.name: e.create(e.settings.load(e.name, {}, **given), deps) for e in entries}
        transport = httpx.ASGITransport(
            Ingress({name: service.app for name, service in services.items()}), raise_app_exceptions=False
        )
        works = [asyncio.ensure_future(work()) for service in services.values() for work in service.background]
        async with httpx.AsyncClient(transport=transport, base_url="http://core") as client:
            made = Core(client, deps, services, rsync)
            rsync.then = made.take
            yield made
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        for service in services.values():
            if service.closing is not None:
                await service.closing()


async def seeded(made: Core) -> dict[str, list[str]]:
    """Put one of everything where it belongs, if it is not there; answers the names by path parameter."""
    for kind in ("clm-controllers", "ncm-controllers"):  # made up ones answer nobody, which is a 5xx of its own
        for controller in (await made.client.get(f"/v2/{kind}")).json():
            await made.client.delete(f"/v2/{kind}/{controller['metadata']['name']}")
    for path, body, file in _SEEDS:
        await made.client.post(path, **(form(body, file()) if file else {"json": body}))
    return _SEEDED


_GROUP = f"{GROUPS}/g"
_SUBNET = {"name": "s", "subnet": "10.71.0.0/24"}
_VLAN = {
    "vlanID": "7",
    "providerInterfaceName": "e",
    "logicalInterfaceName": "e.7",
    "vlanNodeSelector": "any",
    "nodeLabelList": [],
}
_KV = {"kv": [{"a": "1"}]}
_USER = {"userName": "bob", "type": "certificate"}
_RULE = {"namespace": "own", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
_SEEDS: tuple[tuple[str, Any, Callable[[], bytes] | None], ...] = (
    ("/v2/cluster-providers", named("acme"), None),
    ("/v2/cluster-providers/acme/cluster-sync-objects", named("sync", **_KV), None),
    (CLUSTERS, named("hq"), kubeconfig),
    (CLUSTERS, named("spare"), kubeconfig),
    (f"{CLUSTERS}/hq/labels", {"clusterLabel": "edge"}, None),
    (f"{CLUSTERS}/hq/kv-pairs", named("facts", **_KV), None),
    (f"{CLUSTERS}/spare/networks", named("net", cniType="ovn4nfv", ipv4Subnets=[_SUBNET]), None),
    (
        f"{CLUSTERS}/spare/provider-networks",
        named("uplink", cniType="ovn4nfv", ipv4Subnets=[_SUBNET], providerNetType="VLAN", vlan=_VLAN),
        None,
    ),
    ("/v2/projects", named("p"), None),
    (CLOUDS, named("lc", level="0"), None),
    (f"{CLOUDS}/lc/cluster-references", named("hq-ref", clusterProvider="acme", cluster="hq"), None),
    (f"{CLOUDS}/lc/instantiate", None, None),
    (CLOUDS, named("own", level="1", namespace="own", user=_USER), None),
    (f"{CLOUDS}/own/cluster-references", named("hq-ref", clusterProvider="acme", cluster="hq"), None),
    (f"{CLOUDS}/own/user-permissions", named("main", **_RULE), None),
    (f"{CLOUDS}/own/cluster-quotas", named("small", pods="1"), None),
    (f"{CLOUDS}/own/kv-pairs", named("facts", **_KV), None),
    ("/v2/controllers", named("gac", host="127.0.0.1", port=1, type="action", priority=1), None),
    ("/v2/projects/p/composite-apps", named("shop", compositeAppVersion="v1"), None),
    (f"{APPS}/apps", named("web"), chart),
    (f"{APPS}/apps", named("db"), lambda: chart("db")),
    (f"{APPS}/apps/web/dependency", named("first", app="db", opStatus="Ready"), None),
    (f"{APPS}/composite-profiles", named("prod"), None),
    (f"{APPS}/composite-profiles/prod/profiles", named("web-prod", app="web"), profile),
    (f"{APPS}/composite-profiles/prod/profiles", named("db-prod", app="db"), profile),
    (GROUPS, named("g", compositeProfile="prod", version="r1", logicalCloud="lc"), None),
    (f"{_GROUP}/generic-placement-intents", named("place"), None),
    *(
        (
            f"{_GROUP}/generic-placement-intents/place/app-intents",
            named(app, app=app, intent={"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}),
            None,
        )
        for app in ("web", "db")
    ),
    (f"{_GROUP}/intents", named("i", intent={"genericPlacementIntent": "place"}), None),
)
_SEEDED = {
    "clusterProvider": ["acme"],
    "clusterSyncObject": ["sync"],
    "cluster": ["hq", "spare"],
    "clusterLabel": ["edge"],
    "clusterKv": ["facts"],
    "network": ["net"],
    "providerNetwork": ["uplink"],
    "project": ["p"],
    "logicalCloud": ["lc", "own"],
    "clusterReference": ["hq-ref"],
    "userPermission": ["main"],
    "clusterQuota": ["small"],
    "logicalCloudKv": ["facts"],
    "controller": ["gac"],
    "compositeApp": ["shop"],
    "compositeAppVersion": ["v1"],
    "app": ["web", "db"],
    "appDependency": ["first"],
    "compositeProfile": ["prod"],
    "appProfile": ["web-prod", "db-prod"],
    "deploymentIntentGroup": ["g"],
    "genericPlacementIntent": ["place"],
    "genericAppPlacementIntent": ["web", "db"],
    "groupIntent": ["i"],
}
