"""One simulated cluster, and fleets of them: wiring, start and stop, kubeconfig, and eyes for tests."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import structlog
import yaml

from emco_simcluster.controllers.garbage import Garbage
from emco_simcluster.controllers.platform import Platform
from emco_simcluster.controllers.pods import Pods
from emco_simcluster.controllers.workloads import Workloads
from emco_simcluster.controllers.world import World, controller_of
from emco_simcluster.deletes import Deleter
from emco_simcluster.discovery import VERSION
from emco_simcluster.faults import Faults
from emco_simcluster.incoming import Options
from emco_simcluster.kinds import Kind, KindTable, built_in_kinds
from emco_simcluster.listener import Listener
from emco_simcluster.network import Network
from emco_simcluster.server import ApiServer
from emco_simcluster.storage import Change, Store
from emco_simcluster.tls import Authority, Door, Pair, User
from emco_simcluster.verbs import Verbs
from emco_simcluster.writes import Writer

Json = dict[str, Any]
log = structlog.get_logger()

ADMINISTRATOR = User("simulated-admin", ("system:masters",))
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_MARK = {"simulated": "true"}


class SimCluster:
    """A simulated Kubernetes cluster with an API server on loopback.

    ``ready_after``: seconds until a pod is ready (a bound claim, a load balancer address, an emptied namespace).
    ``established_after``: seconds until a custom kind is served. ``history``: changes per resource that a watch may lag
    behind before it gets a 410. ``bookmark_every``: seconds between watch bookmarks. ``seed``: makes uids, generated
    names and random faults repeatable. ``door``: one to share between clusters; without it the cluster makes its own,
    with an authority of its own. ``kinds``: the built-in kinds, which clusters of a fleet share.
    """

    def __init__(
        self,
        name: str,
        *,
        ready_after: float = 0.05,
        established_after: float = 0.05,
        seed: int = 0,
        history: int = 10_000,
        nodes: int = 1,
        bookmark_every: float = 60.0,
        door: Door | None = None,
        kinds: Sequence[Kind] | None = None,
    ) -> None:
        self.name = name
        self._door = door or Door(Authority(f"{name}-simulated-ca"))
        self._authority = self._door.authority
        chance = random.Random(f"{seed}/{name}")
        self._store = Store(history=history)
        self._kinds = KindTable(kinds if kinds is not None else built_in_kinds())
        self._network = Network()
        self._writer = Writer(self._store, self._kinds, self._network, _now, chance)
        deleter = Deleter(self._store, self._kinds, lambda: datetime.now(UTC))
        self._world = World(
            store=self._store,
            kinds=self._kinds,
            writer=self._writer,
            deleter=deleter,
            authority=self._authority,
            ready_after=ready_after,
            established_after=established_after,
            nodes=tuple(f"{name}-simulated-node-{i + 1}" for i in range(nodes)),
        )
        self._listener: Listener | None = None
        self._url = ""
        self._administrator: Pair | None = None
        self._token = f"simulated-{chance.getrandbits(128):032x}"
        self.revoked: set[str] = set()
        """Names of users whose credentials are no longer accepted (401)."""
        self.faults = Faults(
            self, random.Random(chance.random()), forget_history=self._store.forget_history, wipe=self._wipe
        )
        self._server = ApiServer(
            name=name,
            store=self._store,
            kinds=self._kinds,
            verbs=Verbs(self._store, self._writer, deleter),
            faults=self.faults,
            tokens={self._token: ADMINISTRATOR},
            revoked=self.revoked,
            bookmark_every=bookmark_every,
        )
        self._workloads = Workloads(self._world)
        self._reactions = (Pods(self._world), self._workloads, Garbage(self._world), Platform(self._world))
        self._store.listen(self._changed)

    async def start(self, *, host: str = "127.0.0.1", port: int = 0, advertise: str = "") -> None:
        """Listen; port 0 takes a free one. Raises OSError if the address is taken.

        ``advertise`` is the name by which clients reach ``host``, in kubeconfigs and the certificate.
        """
        name = advertise or host
        self._listener = Listener(self._server.handle, self._door.context(name), buffer=self._door.buffer)
        self._listener.start(host, port)
        shown = f"[{name}]" if ":" in name else name
        self._url = f"https://{shown}:{self._listener.port}"
        self._populate()
        log.info("simulated cluster started", cluster=self.name, url=self._url, simulated=True)

    async def stop(self) -> None:
        """Cut all connections and end; what was stored is forgotten with the object."""
        self._world.agenda.clear()
        self.faults.clear()
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
            log.info("simulated cluster stopped", cluster=self.name, simulated=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where it listens, ``https://127.0.0.1:<port>``; empty before ``start``."""
        return self._url

    @property
    def certificate_authority(self) -> str:
        """The PEM certificate of the authority that signed the server's."""
        return self._authority.certificate.decode()

    @property
    def token(self) -> str:
        """A bearer token of the administrator."""
        return self._token

    @property
    def kubeconfig(self) -> str:
        """The administrator's kubeconfig: inline data only, one context, and it is the current one."""
        if self._administrator is None:
            self._administrator = self._authority.client(ADMINISTRATOR)
        return self.kubeconfig_for(self._administrator)

    def kubeconfig_for(self, pair: Pair) -> str:
        """A kubeconfig with this client certificate."""
        name = f"{self.name}-simulated"
        certificate, key, authority = (
            base64.b64encode(part).decode() for part in (pair.certificate, pair.key, self._authority.certificate)
        )
        cluster = {"server": self._url, "certificate-authority-data": authority}
        user = {"client-certificate-data": certificate, "client-key-data": key}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        return yaml.safe_dump(config, sort_keys=False)

    def client(self, user: User) -> Pair:
        """A client certificate for any user, as its administrator could issue one."""
        return self._authority.client(user)

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """Requests about objects so far, by verb and resource: ``counts["apply", "deployments"]``.

        Verbs are those of Kubernetes and ``apply``; a subresource follows a slash: ``("update", "pods/status")``.
        Clear it with ``counts.clear()``.
        """
        return self._server.counts

    @property
    def revision(self) -> int:
        """The resource version of the last write."""
        return self._store.revision

    @property
    def uid(self) -> str:
        """The uid of the namespace kube-system, by which clusters are told apart."""
        entry = self._store.get(("", "namespaces"), "", "kube-system")
        return str(entry.obj["metadata"]["uid"]) if entry else ""

    def objects(self, kind: str | None = None, namespace: str | None = None) -> list[Json]:
        """Copies of the objects it holds: all, or of one kind (``Deployment`` or ``deployments.apps``)."""
        keys = None if kind is None else {k.key for k in self._kinds.named(kind)}
        found = [e for key, e in self._store.everything() if keys is None or key in keys]
        copies: list[Json] = [json.loads(e.encoded) for e in found]
        if namespace is not None:
            copies = [c for c in copies if c["metadata"].get("namespace", "") == namespace]
        return sorted(copies, key=lambda o: (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]))

    # What faults do to the server.

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()

    def open(self) -> None:
        if self._listener is not None:
            self._listener.open()

    def deafen(self) -> None:
        if self._listener is not None:
            self._listener.deafen()

    def cut(self) -> None:
        if self._listener is not None:
            self._listener.cut()

    @property
    def connections(self) -> int:
        """How many connections are open to its API server."""
        return self._listener.connections if self._listener is not None else 0

    def go_away(self) -> None:
        """Ask the clients of open HTTP/2 connections to make new ones, as a server that is about to stop does."""
        if self._listener is not None:
            self._listener.go_away()

    def _changed(self, change: Change) -> None:
        for reaction in self._reactions:
            reaction.changed(change)
        owner = controller_of(change.entry.obj["metadata"])
        if owner:
            place = self._store.by_uid(owner)
            if place is not None:
                self._workloads.plan(place)

    def _wipe(self) -> None:
        """Become a fresh cluster under the same address."""
        self._world.agenda.clear()
        self._store.wipe()
        self._kinds.reset()
        self._populate()

    def _populate(self) -> None:
        """What every cluster has from the beginning."""
        options = Options(manager="emco-simulated")
        for name in _NAMESPACES:
            metadata: Json = {"name": name}
            if name == "kube-system":
                metadata |= {"labels": dict(_MARK), "annotations": dict(_MARK)}
            self._create("namespaces", "", {"metadata": metadata}, options)
        for node in self._world.nodes:
            self._create("nodes", "", _node(node), options)
        ports = [{"name": "https", "port": 443, "targetPort": 6443}]
        spec = {"clusterIP": "10.96.0.1", "ports": ports}
        self._create("services", "default", {"metadata": {"name": "kubernetes"}, "spec": spec}, options)
        self._create("storageclasses", "", _STORAGE_CLASS, options, group="storage.k8s.io")

    def _create(self, plural: str, namespace: str, body: Json, options: Options, *, group: str = "") -> None:
        kind = self._kinds.of((group, plural))
        if kind is not None and self._store.get(kind.key, namespace, body["metadata"]["name"]) is None:
            self._writer.create(kind, namespace, body, options=options)


_STORAGE_CLASS: Json = {
    "metadata": {"name": "simulated", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "simulated",
}


def _node(name: str) -> Json:
    resources = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti"}
    labels = {**_MARK, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    condition = {"type": "Ready", "status": "True", "reason": "Simulated", "message": "this node is simulated"}
    info = {"kubeletVersion": VERSION, "osImage": "simulated", "containerRuntimeVersion": "simulated://0"}
    info |= dict.fromkeys(("kernelVersion", "machineID", "systemUUID", "bootID"), "simulated")
    return {
        "metadata": {"name": name, "labels": labels, "annotations": dict(_MARK)},
        "spec": {"providerID": f"simulated://{name}"},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{**condition, "lastTransitionTime": _now(), "lastHeartbeatTime": _now()}],
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "kubeProxyVersion": VERSION, **info},
        },
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SimFleet:
    """Many simulated clusters in one process. They share one certificate authority and the table of built-in kinds."""

    def __init__(self, names: Sequence[str], **settings: Any) -> None:
        door, kinds = Door(Authority("fleet-simulated-ca")), tuple(built_in_kinds())
        self.clusters = [SimCluster(n, door=door, kinds=kinds, **settings) for n in names]

    async def start(self, *, host: str = "127.0.0.1", port_base: int = 0, advertise: str = "") -> None:
        """Start all; with ``port_base`` they take consecutive ports, else free ones."""
        for number, cluster in enumerate(self.clusters):
            await cluster.start(host=host, port=port_base + number if port_base else 0, advertise=advertise)
            await asyncio.sleep(0)

    async def stop(self) -> None:
        for cluster in self.clusters:
            await cluster.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
