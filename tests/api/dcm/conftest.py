"""A running dcm, spoken to without a socket, on the embedded store and bus, with a stand-in for rsync.

The stand-in notes what it is asked and, like rsync, writes the status of a context; what rsync itself does is tested
with rsync.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml
from pydantic import SecretStr

from emco_common.appcontext import (
    AppContextStore,
    ClusterStatus,
    ClusterUpdate,
    ContextState,
    ResourceStatus,
    ResourceUpdate,
    StatusUpdate,
    keys,
    values,
)
from emco_common.cloudconfig import Access, AccessMissing, CloudConfigs
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Operation, Phase, Subject
from emco_common.runtime import Deps, Service, open_deps
from emco_common.store.api import Document, Key
from emco_dcm.app import create_service
from emco_dcm.privatekey import KeyType, new_key
from emco_dcm.settings import DcmSettings
from emco_simcluster.tls import Authority
from tests.fakes.rsync import FakeRsync, fake_rsync
from tests.support.statuses import write_statuses

CLOUDS = "/v2/projects/shop/logical-clouds"
LC = f"{CLOUDS}/lc"
T = TypeVar("T")
_STATES = {
    "install": ContextState.INSTANTIATED,
    "uninstall": ContextState.TERMINATED,
    "update": ContextState.INSTANTIATED,
}


@dataclass
class Dcm:
    """``statuses`` is what rsync makes of an operation; take one out and the context stays as it is."""

    service: Service
    deps: Deps
    rsync: FakeRsync
    settings: DcmSettings
    client: httpx.AsyncClient = field(init=False)
    background: list[asyncio.Future[None]] = field(init=False)
    statuses: dict[str, str] = field(default_factory=lambda: dict(_STATES))
    authority: Authority = field(default_factory=lambda: Authority("clusters"))

    @property
    def contexts(self) -> AppContextStore:
        return AppContextStore(self.deps.bus)

    async def post(self, path: str, body: Any = None, *, expect: int = 201) -> httpx.Response:
        return self._checked(await self.client.post(path, json=body), expect)

    async def get(self, path: str, *, expect: int = 200) -> Any:
        answer = self._checked(await self.client.get(path), expect)
        return answer.json() if expect == 200 else answer.text

    async def delete(self, path: str, *, expect: int = 204) -> str:
        return self._checked(await self.client.delete(path), expect).text.removesuffix("\n")

    async def refused(self, path: str, expect: int, body: Any = None) -> str:
        """The text of a POST that is refused."""
        return (await self.post(path, body, expect=expect)).text.removesuffix("\n")

    async def cloud(self, *clusters: str, name: str = "lc", level: str = "0") -> None:
        """A cloud that refers to registered clusters of provider ``acme``."""
        spec = {"level": level, "namespace": "shop-ns", "user": {"userName": "bob"}}
        await self.post(CLOUDS, {"metadata": {"name": name}, "spec": spec})
        for cluster in clusters:
            await self.cluster(cluster)
            await self.post(f"{CLOUDS}/{name}/cluster-references", reference(f"{cluster}-ref", cluster))

    async def cluster(self, name: str, *, namespace: str = "default") -> None:
        """Register a cluster as clm would."""
        key = {"clusterProvider": "acme", "cluster": name}
        if await self.deps.store.get(key) is None:
            await self.deps.store.create(Document(key=key, body={"metadata": {"name": name}}))
            access = Access("acme", name, namespace=namespace, kubeconfig=kubeconfig(name))
            await CloudConfigs(self.deps.store, self.deps.sealer).create(access)

    async def instantiated(self, *clusters: str) -> str:
        """An instantiated cloud; answers its context."""
        await self.cloud(*(clusters or ("hq",)))
        await self.post(f"{LC}/instantiate", expect=202)
        return (await self.info()).instance

    async def info(self) -> StateInfo:
        document = await self.deps.store.get({"project": "shop", "logicalCloud": "lc"})
        assert document is not None
        return StateInfo.from_json(document.tags["stateInfo"])

    async def set_info(self, *actions: tuple[State, str]) -> None:
        """Put the cloud where a crash or an earlier life might have left it."""
        document = await self.deps.store.get({"project": "shop", "logicalCloud": "lc"})
        assert document is not None
        info = StateInfo(
            actions[-1][1], tuple(Action(state, one, self.deps.clock(), n) for n, (state, one) in enumerate(actions))
        )
        await self.deps.store.replace(replace(document, tags={**document.tags, "stateInfo": info.as_json()}))

    async def leave(self, verb: str, phase: Phase, instance: str, *, source: str = "") -> None:
        """Record an operation as a process that is gone has left it."""
        document = await self.deps.store.get({"project": "shop", "logicalCloud": "lc"})
        assert document is not None
        left = Operation(verb, phase, instance, "somebody gone", "2026-01-01T00:00:00.000+00:00", source)
        await self.deps.store.replace(Subject(document).with_operation(left).document)

    async def set_status(self, instance: str, status: str) -> None:
        await self.deps.bus.put(keys.status(instance), values.encode_state(status))

    async def custom(self, *clusters: str, name: str = "lc", **spec: Any) -> None:
        """A level-1 cloud in namespace ``<name>-ns`` on registered clusters, with a permission there."""
        user = {"userName": "bob", "type": "certificate"}
        body = {"level": "1", "namespace": f"{name}-ns", "user": user} | spec
        await self.post(CLOUDS, {"metadata": {"name": name}, "spec": body})
        await self.post(f"{CLOUDS}/{name}/user-permissions", permission("main", f"{name}-ns"))
        for cluster in clusters:
            await self.cluster(cluster)
            await self.post(f"{CLOUDS}/{name}/cluster-references", reference(f"{cluster}-ref", cluster))

    async def requests(self) -> dict[str, dict[str, Any]]:
        """The signing requests of the present context, by cluster."""
        context = await self.contexts.read((await self.info()).instance)
        found = {}
        for cluster in context.apps[0].clusters:
            for resource in cluster.resources:
                if resource.name.endswith("+CertificateSigningRequest"):
                    found[cluster.name] = yaml.safe_load(resource.manifest)
        return found

    async def report(self, cluster: str, *requests: dict[str, Any], tell: bool = True) -> None:
        """Write, as rsync does, that these requests were seen on a cluster."""
        info = await self.info()
        text = json.dumps({"ready": False, "resourceCount": 0, "csrStatuses": requests}, separators=(",", ":"))
        updates: list[StatusUpdate] = [ClusterUpdate("logical-cloud", cluster, ClusterStatus(status=text))]
        for request in (await self.requests()).values():
            name = f"{request['metadata']['name']}+CertificateSigningRequest"
            updates.append(ResourceUpdate("logical-cloud", cluster, name, ResourceStatus(status="Applied")))
        await write_statuses(self.deps.bus, info.status_context, updates)
        if tell:
            self.rsync.alert(info.status_context)

    async def sign(self, cluster: str, *, valid: timedelta = timedelta(days=365), tell: bool = True) -> bytes:
        """Approve, sign and report the request of a cluster. Answers the certificate."""
        request = (await self.requests())[cluster]
        pem = self.authority.sign(base64.b64decode(request["spec"]["request"]), valid=valid)
        status = {"conditions": [{"type": "Approved", "status": "True"}], "certificate": base64.b64encode(pem).decode()}
        await self.report(cluster, {**request, "status": status}, tell=tell)
        return pem

    async def access(self, cluster: str, namespace: str = "lc-ns") -> Access | None:
        """The access record of the cloud's user."""
        try:
            return await CloudConfigs(self.deps.store, self.deps.sealer).get(
                "acme", cluster, level="1", namespace=namespace
            )
        except AccessMissing:
            return None

    async def granted(self, cluster: str) -> Access:
        """The access record as soon as it is there."""
        found = await eventually(lambda: self.access(cluster))
        assert found is not None
        return found

    async def contexts_on_the_bus(self) -> set[str]:
        return {*(await self.contexts.ids()).complete, *(await self.contexts.ids()).incomplete}

    async def group(self, name: str, state: State, instance: str = "") -> None:
        """A deployment intent group that names the cloud, as the orchestrator would keep it."""
        info = StateInfo(instance, (Action(State.CREATED, time=self.deps.clock()), Action(state, instance)))
        key: Key = {
            "project": "shop",
            "compositeApp": "pos",
            "compositeAppVersion": "v1",
            "deploymentIntentGroup": name,
        }
        uses = {"project": "shop", "logicalCloud": "lc"}
        body = {"metadata": {"name": name}, "spec": {"logicalCloud": "lc"}}
        await self.deps.store.create(
            Document(key=key, body=body, tags={"stateInfo": info.as_json()}, references=(uses,))
        )

    async def restart(self) -> None:
        """A new life of the process on the same data, after the old one ended."""
        await self.stop()
        self.service = create_service(self.settings, self.deps, make_key=quick_key)
        self.start()

    def start(self) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.service.app), base_url="http://dcm")
        self.background = [asyncio.ensure_future(work()) for work in self.service.background]

    async def stop(self) -> None:
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.client.aclose()

    async def take(self, operation: str, context: str) -> None:
        """What the stand-in does inside a call."""
        status = self.statuses.get(operation)
        if status is not None:
            await self.set_status(context.rpartition(">")[2], status)

    def _checked(self, answer: httpx.Response, expect: int) -> httpx.Response:
        assert answer.status_code == expect, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
        return answer


async def eventually(look: Callable[[], Awaitable[T]], *, seconds: float = 20.0) -> T:
    """What ``look`` answers as soon as it is true. Fails when that takes too long."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110  # over HTTP
            await asyncio.sleep(0.02)
        return found


def reference(name: str, cluster: str, provider: str = "acme") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"clusterProvider": provider, "cluster": cluster}}


def permission(name: str, namespace: str, *, verbs: Sequence[str] = ("*",)) -> dict[str, Any]:
    spec = {"namespace": namespace, "apiGroups": ["", "apps"], "resources": ["*"], "verbs": list(verbs)}
    return {"metadata": {"name": name}, "spec": spec}


def kubeconfig(cluster: str) -> bytes:
    """As an administrator would register it."""
    way = {"server": f"https://{cluster}:6443", "certificate-authority-data": base64.b64encode(b"ca").decode()}
    document = {
        "clusters": [{"name": "other", "cluster": {**way, "server": "https://other"}}, {"name": "c", "cluster": way}],
        "users": [{"name": "admin", "user": {"token": "secret"}}],
        "contexts": [{"name": "admin@c", "context": {"cluster": "c", "user": "admin"}}],
        "current-context": "admin@c",
    }
    return yaml.safe_dump(document).encode()


def quick_key(_kind: KeyType) -> bytes:
    """Whatever is asked for; an RSA key takes its time."""
    return new_key(KeyType.ECDSA)


class TravellingClock:
    """The time, and as much more as a test wants."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> TravellingClock:
    return TravellingClock()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
async def dcm(tmp_path: Path, clock: TravellingClock, database_url: str) -> AsyncIterator[Dcm]:
    settings = DcmSettings(
        database_url=SecretStr(database_url),
        bus_url=SecretStr(f"embedded://{tmp_path}/bus.db"),
        data_key=SecretStr("test key"),
        grpc_connect_timeout=2,
        rsync_timeout=5,
    )
    async with open_deps(settings) as opened, fake_rsync() as rsync:
        deps = replace(opened, clock=clock)
        await rsync.register(deps.store)
        await deps.store.create(Document(key={"project": "shop"}, body={"metadata": {"name": "shop"}}))
        made = Dcm(create_service(settings, deps, make_key=quick_key), deps, rsync, settings)
        rsync.then = made.take
        made.start()
        yield made
        await made.stop()
