"""The whole resource synchronizer in the loop of a test: embedded store and bus, simulated clusters, real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from emco_common.appcontext import keys
from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import App, AppContext, Approval, Cluster, Dependency, Meta, Resource
from emco_common.appcontext.status import ContextStatus
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.embedded.bus import EmbeddedBus
from emco_common.kube.descriptors import Descriptors
from emco_common.kube.network import Network
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc, updateapp_pb2, updateapp_pb2_grpc
from emco_common.rpc.channels import Channels
from emco_common.runtime import Deps, Service
from emco_common.secrets import Sealer
from emco_common.store.sqlite import SqliteStore
from emco_rsync.app import create_service
from emco_rsync.settings import RsyncSettings

DEADLINE = 60.0

CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}"""
WIDGET = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\nspec: {a: 1}"


def config_map(name: str, **data: str) -> str:
    pairs = "".join(f"\n  {key}: {value!r}" for key, value in (data or {"a": "b"}).items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:{pairs}"


def deployment(name: str, *, replicas: int = 1) -> str:
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: c, image: nginx}}]}}"""


def job(name: str, *, hook: str = "") -> str:
    annotations = f", annotations: {{helm.sh/hook: {hook}}}" if hook else ""
    return f"""apiVersion: batch/v1
kind: Job
metadata: {{name: {name}{annotations}}}
spec:
  template:
    spec: {{restartPolicy: Never, containers: [{{name: c, image: nginx}}]}}"""


def resources(*manifests: str) -> tuple[Resource, ...]:
    """Resources named after their manifests."""
    import yaml

    found = [(text, yaml.safe_load(text)) for text in manifests]
    return tuple(Resource(f"{obj['metadata']['name']}+{obj['kind']}", text) for text, obj in found)


def context(
    identity: str,
    apps: Mapping[str, Mapping[str, Iterable[str]]],
    *,
    level: str = "0",
    namespace: str = "default",
    dependencies: Mapping[str, tuple[Dependency, ...]] | None = None,
    status_context: str = "",
) -> AppContext:
    """``apps``: app → cluster (without provider) → manifests."""
    return AppContext(
        identity,
        apps=tuple(
            App(
                name,
                tuple(Cluster(f"p+{cluster}", resources=resources(*texts)) for cluster, texts in clusters.items()),
                (dependencies or {}).get(name, ()),
            )
            for name, clusters in apps.items()
        ),
        meta=Meta(namespace=namespace, level=level),
        status_context=status_context,
    )


class Registrable(Protocol):
    """A cluster, simulated or real."""

    name: str

    @property
    def kubeconfig(self) -> str: ...


class Rig:
    """``clusters`` by name, registered as ``p+<name>``."""

    def __init__(self, service: Service, deps: Deps, bus: ContextBus, clusters: Mapping[str, Any]) -> None:
        self.service = service
        self.deps = deps
        self.bus = bus
        self.clusters = clusters
        self.contexts = AppContextStore(bus)

    async def register(self, cluster: Registrable, *, level: str = "0", namespace: str = "default") -> None:
        access = Access("p", cluster.name, level, namespace, kubeconfig=cluster.kubeconfig.encode())
        await CloudConfigs(self.deps.store, self.deps.sealer).put(access)

    async def _stub(self) -> Any:
        channel = await self.deps.channels.ready("127.0.0.1", self.service.grpc_port)
        return installapp_pb2_grpc.installappStub(channel)

    async def install(self, written: AppContext | str) -> None:
        """Write the context if one is given, and have it installed."""
        if isinstance(written, AppContext):
            await self.contexts.write_new(written)
        identity = written.id if isinstance(written, AppContext) else written
        await (await self._stub()).InstallApp(installapp_pb2.InstallAppRequest(app_context=identity), timeout=5)

    async def uninstall(self, identity: str) -> None:
        await (await self._stub()).UninstallApp(installapp_pb2.UninstallAppRequest(app_context=identity), timeout=5)

    async def update(self, old: str, written: AppContext | str) -> str:
        """Write the context if one is given, and have it replace ``old``. Answers its id."""
        if isinstance(written, AppContext):
            await self.contexts.write_new(written)
        new = written.id if isinstance(written, AppContext) else written
        channel = await self.deps.channels.ready("127.0.0.1", self.service.grpc_port)
        request = updateapp_pb2.UpdateAppRequest(update_from_appContext=old, update_to_appContext=new)
        assert (await updateapp_pb2_grpc.updateappStub(channel).UpdateApp(request, timeout=5)).app_context_updated
        return new

    async def roll_back(self, old: str, new: str) -> None:
        channel = await self.deps.channels.ready("127.0.0.1", self.service.grpc_port)
        request = updateapp_pb2.RollbackAppRequest(rollback_from_appContext=old, rollback_to_appContext=new)
        assert (await updateapp_pb2_grpc.updateappStub(channel).RollbackApp(request, timeout=5)).app_context_rolledback

    async def read(self, identity: str) -> None:
        await (await self._stub()).ReadAppContext(installapp_pb2.ReadAppContextRequest(app_context=identity), timeout=5)

    async def status(self, identity: str) -> ContextStatus:
        return await self.contexts.read_status(identity)

    async def until(self, identity: str, condition: Callable[[ContextStatus], bool]) -> ContextStatus:
        """Wait until the status fulfils the condition."""
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while not condition(status := await self.status(identity)):
            assert asyncio.get_running_loop().time() < deadline, f"not in time; {await self.dump(identity)}"
            await asyncio.sleep(0.01)
        return status

    async def until_state(self, identity: str, state: str) -> ContextStatus:
        return await self.until(identity, lambda status: status.status == state)

    async def error(self, identity: str, *place: str) -> str:
        """The reason kept for the context, or for app, cluster[, resource] of it."""
        status = await self.status(identity)
        if not place:
            return status.reason or ""
        return (status.cluster(*place) if len(place) == 2 else status.resource(*place)).reason or ""

    async def dump(self, identity: str) -> str:
        found = await self.bus.range(keys.root(identity))
        return "\n".join(f"{entry.key} {entry.value[:200].decode()}" for entry in found.entries)

    def labelled(self, cluster: str, kind: str | None = None) -> list[str]:
        """``Kind/name`` of what was applied on a simulated cluster; what its controllers made is left out."""
        return sorted(
            f"{obj['kind']}/{obj['metadata']['name']}"
            for obj in self.clusters[cluster].objects(kind)
            if "emco/deployment-id" in obj["metadata"].get("labels", {}) and not obj["metadata"].get("ownerReferences")
        )


@asynccontextmanager
async def running(
    folder: Path,
    clusters: Iterable[Registrable] = (),
    *,
    wrap_bus: Callable[[ContextBus], Any] | None = None,
    descriptors: Descriptors | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A resource synchronizer over the store and bus in ``folder``, which a later one may take over.

    ``wrap_bus`` makes what the service sees of the bus; the test itself sees it as it is. ``descriptors`` are what
    connections to clusters may take.
    """
    store = await SqliteStore.open(folder / "store.db")
    bus = await EmbeddedBus.open(folder / "bus.db")
    channels = Channels(connect_timeout=2)
    deps = Deps(store, wrap_bus(bus) if wrap_bus else bus, Sealer("test key"), channels)
    quick = {"cluster_timeout": 2.0, "probe_timeout": 1.0, "http_port": 0, "grpc_port": 0, **settings}
    network = Network(descriptors) if descriptors is not None else None
    service = create_service(RsyncSettings(**quick), deps, network=network)
    rig = Rig(service, deps, bus, {cluster.name: cluster for cluster in clusters})
    try:
        for cluster in rig.clusters.values():
            await rig.register(cluster)
        await service.start()
        yield rig
    finally:
        await service.stop()
        await channels.close()
        await bus.close()
        await store.close()


__all__ = ["CRD", "WIDGET", "Approval", "Rig", "config_map", "context", "deployment", "job", "resources", "running"]
