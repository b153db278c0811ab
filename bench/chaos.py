"""Nothing lost, nothing doubled, whatever is killed: ``python -m bench.chaos [--kills N] [--replicas N] [--seed N]``.

Deployments are installed, updated, gone back and terminated on simulated clusters, over a real etcd and a SecantusDB.
First undisturbed; then the same once more while rsync is killed with SIGKILL at random moments, and etcd and the store
are killed and started again on the way. Both must end in the same: each object on each cluster as often changed as the
first time, each context in the same state. Recovery is from a kill to the moment when a deployment with work in
progress is owned by a process that lives.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bench import programs
from emco_common.appcontext import keys
from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import App, AppContext, Cluster, Meta, Resource
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.factory import open_bus
from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeClient, parse_kubeconfig
from emco_common.log import configure_logging
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc, updateapp_pb2, updateapp_pb2_grpc
from emco_common.rpc.channels import Channels, PeerUnreachable
from emco_common.secrets import Sealer
from emco_common.store.factory import open_store
from emco_rsync.events.ownership import OWNERS, REPLICAS
from tests.support.etcd import etcd_programs
from tests.support.program import Nest, Program, free_ports

CLUSTERS = 4
AT_ONCE = 6
OBJECTS = 6
LEASE = 3
SETTLED_SECONDS = 120.0
RESTARTS = 20
"""Of etcd and of the store each, spread over the kills."""
CONFIG_MAP, DEPLOYMENT = Kind("v1", "ConfigMap"), Kind("apps/v1", "Deployment")
_DATA_KEY = "bench"


@dataclass(frozen=True, slots=True)
class End:
    """What there is when all is quiet: by cluster the objects with what they hold and how often they were changed, and
    the state of each context with those of its resources."""

    objects: Mapping[str, Mapping[str, str]]
    states: Mapping[str, Any]


@dataclass(slots=True)
class Servers:
    """etcd and the store, which keep their ports and their data when they are started again."""

    etcd: Program
    store: Program
    ports: tuple[int, int]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "EMCO_BUS_URL": f"etcd://127.0.0.1:{self.ports[0]}",
            "EMCO_DATABASE_URL": f"mongodb://127.0.0.1:{self.ports[1]}/chaos",
            "EMCO_DATA_KEY": _DATA_KEY,
            "EMCO_HTTP_PORT": "0",
            "EMCO_RSYNC_LEASE": str(LEASE),
            "EMCO_LOG_LEVEL": "warning",
        }

    async def start(self) -> None:
        for program, port in zip((self.etcd, self.store), self.ports, strict=True):
            program.start()
            await _until_open(port)


@dataclass(slots=True)
class Replica:
    """One rsync process with a port of its own."""

    port: int
    environment: Mapping[str, str]
    log: Path
    process: Process | None = None
    kills: int = 0

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "emco_allinone.main", "serve", "rsync"),
                env={**os.environ, **self.environment, "EMCO_GRPC_PORT": str(self.port)},
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=log,
            )

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


@dataclass(slots=True)
class World:
    """Everything of one run."""

    bus: ContextBus
    contexts: AppContextStore
    servers: Servers
    replicas: Sequence[Replica]
    fleet: Mapping[str, str]
    channels: Channels
    disturbed: bool = False
    """Somebody kills and may keep work from coming to its end for long; nobody is late then."""

    async def ask(self, call: Callable[[Any], Awaitable[object]]) -> None:
        """Ask any replica that answers, again and again; asking twice does no harm."""
        deadline = time.monotonic() + SETTLED_SECONDS
        turn = 0
        while True:
            replica = self.replicas[turn % len(self.replicas)]
            turn += 1
            try:
                await call(await self.channels.ready("127.0.0.1", replica.port))
            except (grpc.RpcError, PeerUnreachable, EmcoError):
                if time.monotonic() > deadline and not self.disturbed:
                    raise
                await asyncio.sleep(0.05)
            else:
                return

    async def install(self, context: str) -> None:
        request = installapp_pb2.InstallAppRequest(app_context=context)
        await self.ask(lambda channel: installapp_pb2_grpc.installappStub(channel).InstallApp(request, timeout=5))

    async def uninstall(self, context: str) -> None:
        request = installapp_pb2.UninstallAppRequest(app_context=context)
        await self.ask(lambda channel: installapp_pb2_grpc.installappStub(channel).UninstallApp(request, timeout=5))

    async def update(self, old: str, new: str) -> None:
        request = updateapp_pb2.UpdateAppRequest(update_from_appContext=old, update_to_appContext=new)
        await self.ask(lambda channel: updateapp_pb2_grpc.updateappStub(channel).UpdateApp(request, timeout=5))

    async def write(self, context: AppContext) -> None:
        await _surely(lambda: self.contexts.write_new(context))

    async def until(self, context: str, state: str) -> None:
        deadline = time.monotonic() + SETTLED_SECONDS
        while (status := await _surely(lambda: self.contexts.read_status(context))).status != state:
            if self.disturbed:
                deadline = time.monotonic() + SETTLED_SECONDS
            elif time.monotonic() > deadline:
                raise SystemExit(f"context {context} is {status.status} ({status.reason}) and not {state}")
            await asyncio.sleep(0.03)


def _context(identity: str, status_context: str, group: int, revision: int) -> AppContext:
    """Each revision changes something, brings something, and drops something of the one before."""
    config = [
        Resource(
            f"g{group}-c{number}+ConfigMap",
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: g{group}-c{number}}}\ndata: {{r: 'r{revision}'}}",
        )
        for number in range(revision, OBJECTS + revision)
    ]
    web = Resource(
        f"g{group}-web+Deployment",
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: g{group}-web}}\n"
        f"spec:\n  replicas: {1 + revision % 2}\n  selector: {{matchLabels: {{app: g{group}}}}}\n"
        f"  template: {{metadata: {{labels: {{app: g{group}}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}",
    )
    targets = [f"p+c{(group + offset) % CLUSTERS}" for offset in range(2)]
    apps = (
        App("config", tuple(Cluster(target, resources=tuple(config)) for target in targets)),
        App("web", tuple(Cluster(target, resources=(web,)) for target in targets)),
    )
    return AppContext(identity, apps, Meta(namespace="default", level="0"), status_context=status_context)


async def _life(world: World, group: int) -> None:
    """Of one deployment: installed, updated twice, gone back; every other one is terminated then."""
    first, second, third = (str(1_000 + group * 10 + revision) for revision in range(3))
    for number, name in enumerate((first, second, third)):
        await world.write(_context(name, first, group, number))
    await world.install(first)
    await world.until(first, "Instantiated")
    for old, new in ((first, second), (second, third), (third, second)):
        await world.update(old, new)
        await world.until(new, "Instantiated")
    if group % 2:
        await world.uninstall(second)
        await world.until(second, "Terminated")


async def _lives(world: World, groups: int, more: Callable[[], bool]) -> int:
    """At least ``groups`` of them and as long as ``more``, some at a time; how many there were."""
    begun = 0

    async def one_after_the_other() -> None:
        nonlocal begun
        while begun < groups or more():
            begun += 1
            await _life(world, begun - 1)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one_after_the_other())
    return begun


class Chaos:
    """Kills; notes how long each recovery took."""

    def __init__(self, world: World, kills: int, chance: random.Random) -> None:
        self.kills = 0
        self.recoveries: list[float] = []
        self.restarts = 0
        self._world = world
        self._kills = kills
        self._chance = chance

    async def run(self) -> None:
        self._world.disturbed = True
        every = max(1, self._kills // RESTARTS)
        for number in range(self._kills):
            await asyncio.sleep(self._chance.uniform(0.0, 1.0))
            if number % every == every - 1 and self.restarts < RESTARTS:
                self.restarts += 1
                await self._restart(self._world.servers.store, self._world.servers.ports[1])
                await self._restart(self._world.servers.etcd, self._world.servers.ports[0])
            await self._kill()
            if sys.stderr.isatty():
                print(f"\r{number + 1} kills", end="", file=sys.stderr)
        self._world.disturbed = False

    async def _restart(self, server: Program, port: int) -> None:
        server.kill()
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        server.start()
        await _until_open(port)

    async def _kill(self) -> None:
        replica = self._chance.choice(self._world.replicas)
        dead = await _surely(lambda: self._known_at(replica.port))
        await replica.kill()
        began = time.monotonic()
        self.kills += 1
        hit = not await _surely(lambda: self._works(dead))
        await replica.start()
        while not await _surely(lambda: self._works(dead)):
            if time.monotonic() - began > SETTLED_SECONDS:
                raise SystemExit("rsync did not recover")
            await asyncio.sleep(0.02)
        if hit:
            self.recoveries.append(time.monotonic() - began)

    async def _known_at(self, port: int) -> set[str]:
        """The replicas that the bus knows at an address: the one to be killed, and dead ones until their lease ends."""
        found = await self._world.bus.range(REPLICAS)
        return {
            entry.key.removeprefix(REPLICAS).strip("/")
            for entry in found.entries
            if json.loads(entry.value)["address"].endswith(f":{port}")
        }

    async def _works(self, dead: set[str]) -> bool:
        """Whether every deployment with work in progress is owned by a replica that lives, and calls are taken."""
        bus = self._world.bus
        alive = {entry.key.removeprefix(REPLICAS).strip("/") for entry in (await bus.range(REPLICAS)).entries} - dead
        owned = {
            entry.key.removeprefix(OWNERS).strip("/")
            for entry in (await bus.range(OWNERS)).entries
            if entry.value.decode() in alive
        }
        names = set()
        for entry in (await bus.range(keys.ACTIVE)).entries:
            context = entry.key.removeprefix(keys.ACTIVE).strip("/")
            names.add(str(int(context) // 10 * 10))  # the first revision has the status
        return bool(alive) and names <= owned and await self._answers()

    async def _answers(self) -> bool:
        for replica in self._world.replicas:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", replica.port)
            except OSError:
                continue
            writer.close()
            return True
        return False


async def _end(world: World, groups: int) -> End:
    objects: dict[str, dict[str, str]] = {}
    for name, kubeconfig in world.fleet.items():
        async with KubeClient(parse_kubeconfig(kubeconfig)) as client:
            found = [*(await client.list(CONFIG_MAP)).items, *(await client.list(DEPLOYMENT)).items]
        objects[name] = {
            f"{obj['kind']}/{obj['metadata']['name']}": f"{obj.get('data')} {obj.get('spec', {}).get('replicas')}"
            f" generation {obj['metadata'].get('generation')}"
            for obj in found
            if "emco/deployment-id" in obj["metadata"].get("labels", {})
        }
    states: dict[str, Any] = {}
    for group in range(groups):
        for revision in range(3):
            status = await world.contexts.read_status(str(1_000 + group * 10 + revision))
            resources = sorted((place, one.status) for place, one in status.resources.items())
            states[status.id] = (status.status, resources)
    return End(objects, states)


@asynccontextmanager
async def _world(folder: Path, replicas: int) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(programs.simulated_clusters(CLUSTERS, folder))
        nest = Nest("emco-chaos")
        stack.callback(nest.close)
        servers = _servers(nest)
        await servers.start()
        bus = await open_bus(servers.environment["EMCO_BUS_URL"])
        stack.push_async_callback(bus.close)
        store = await open_store(servers.environment["EMCO_DATABASE_URL"])
        for name, kubeconfig in fleet.items():
            access = Access("p", name, "0", "default", kubeconfig=kubeconfig.encode())
            await CloudConfigs(store, Sealer(_DATA_KEY)).put(access)
        await store.close()
        channels = Channels(connect_timeout=1)
        stack.push_async_callback(channels.close)
        processes = [Replica(port, servers.environment, folder / f"rsync-{port}.log") for port in free_ports(replicas)]
        for replica in processes:
            stack.push_async_callback(replica.kill)
            await replica.start()
            await _until_open(replica.port)
        yield World(bus, AppContextStore(bus), servers, processes, fleet, channels)


def _servers(nest: Nest) -> Servers:
    store = shutil.which("secantusd-py", path=str(Path(sys.executable).parent))
    if store is None:
        raise SystemExit("secantusdb is not installed: pip install -e '.[test]'")
    client, peer, database = free_ports(3)
    url, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    etcd: list[str | Path] = [
        etcd_programs() / "etcd",
        f"--data-dir={nest.folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--log-level=error",
    ]
    database_command: list[str | Path] = [
        *(store, "--port", str(database), "--storage-path", str(nest.folder / "store"), "--standalone")
    ]
    return Servers(nest.program("etcd", etcd), nest.program("store", database_command), (client, database))


async def _until_open(port: int) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing listens on port {port}") from None
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


async def _surely(call: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        try:
            return await call()
        except EmcoError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(0.05)


async def _run(kills: int, replicas: int, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="emco-chaos-") as name:
        disturbed_folder, calm_folder = (Path(name) / part for part in ("disturbed", "calm"))
        for folder in (disturbed_folder, calm_folder):
            folder.mkdir()
        async with _world(disturbed_folder, replicas) as world:
            chaos = Chaos(world, kills, random.Random(seed))
            running = asyncio.create_task(chaos.run())
            groups = await _lives(world, AT_ONCE, lambda: not running.done())
            await running
            disturbed = await _end(world, groups)
        async with _world(calm_folder, replicas) as world:
            await _lives(world, groups, lambda: False)
            calm = await _end(world, groups)
    return _report(calm, disturbed, chaos, groups=groups)


def _report(calm: End, disturbed: End, chaos: Chaos, *, groups: int) -> int:
    lost = doubled = otherwise = 0
    for name, wanted in calm.objects.items():
        found = disturbed.objects[name]
        lost += len(wanted.keys() - found.keys())
        doubled += len(found.keys() - wanted.keys())
        for key in wanted.keys() & found.keys():
            if wanted[key] != found[key]:
                otherwise += 1
                print(f"{name} {key}: {found[key]!r} instead of {wanted[key]!r}")
    states = [context for context in calm.states if calm.states[context] != disturbed.states.get(context)]
    for context in states[:10]:
        print(f"context {context}: {disturbed.states.get(context)} instead of {calm.states[context]}")
    objects = sum(len(found) for found in calm.objects.values())
    print(f"deployments             {groups:8}   (5 events each)")
    print(f"objects at the end      {objects:8}")
    print(f"kills of rsync          {chaos.kills:8}   ({len(chaos.recoveries)} hit work in progress)")
    print(f"restarts, etcd and store{chaos.restarts:8}")
    print(f"lost                    {lost:8}")
    print(f"duplicate or left over  {doubled:8}")
    print(f"changed otherwise       {otherwise:8}")
    print(f"other state             {len(states):8}")
    recoveries = chaos.recoveries or [0.0]
    print(f"recovery, median        {statistics.median(recoveries):8.2f} s")
    print(f"recovery, worst         {max(recoveries):8.2f} s   (lease {LEASE} s)")
    return 1 if lost or doubled or otherwise or states else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    configure_logging("error")
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_run(given.kills, given.replicas, given.seed)))


if __name__ == "__main__":
    main()
