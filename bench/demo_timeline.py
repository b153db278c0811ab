"""Where the time of one instantiate goes: ``python -m bench.demo_timeline [--clusters 2,200]``.

SmartCity on simulated clusters, in one process with EMCO. The floor is the same objects sent as bare, already encoded
server-side applies on pooled connections to the same clusters, as many at once as EMCO may send.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.programs import simulated_clusters
from emco_allinone.suite import Suite, running
from emco_common.appcontext.io import AppContextStore
from emco_common.kube.client import KubeClient
from emco_common.kube.discovery import Kind
from emco_common.kube.kubeconfig import parse_kubeconfig
from emco_common.log import configure_logging

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "smartcity"
Fleet = Mapping[str, str]
"""Kubeconfigs by name of cluster."""
KINDS = tuple(
    Kind(*words.split())
    for words in (
        "v1 ServiceAccount",
        "v1 Secret",
        "v1 ConfigMap",
        "v1 Service",
        "apps/v1 Deployment",
        "apps/v1 StatefulSet",
    )
)
STEPS = ("read", "place", "render", "assemble", "write", "controllers", "queue")
BASE = "/v2/projects/smartcity/composite-apps/smartcity/v1"
GROUP = f"{BASE}/deployment-intent-groups/city"


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    seconds: float
    remark: str = ""


async def measure(clusters: int) -> Sequence[Row]:
    """One deployment over ``clusters`` clusters: half of them edge, one cloud when there are two."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleet = await stack.enter_async_context(simulated_clusters(clusters, folder))
        suite = await stack.enter_async_context(
            running(folder / "data", {}, ingress_port=0, http_port=0, grpc_port=0, log_level="error")
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{suite.ingress_port}", timeout=120, limits=httpx.Limits(keepalive_expiry=1)
            )
        )
        rows = [await _onboard(client, suite, fleet, folder)]
        rows += await _instantiate(client, suite)
        rows.append(await _status(client))
        applied = await _applied(fleet)
        rows += await _terminate(client, suite)
        return [*rows, await _floor(fleet, applied)]


async def _applied(fleet: Fleet) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """What EMCO applied, read back from the clusters."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, kubeconfig in fleet.items():
        client = KubeClient(parse_kubeconfig(kubeconfig))
        listed = [await client.list(kind, namespace="default") for kind in KINDS]
        found[name] = [item for answer in listed for item in answer.items if _ours(item)]
        await client.close()
    return found


async def _onboard(client: httpx.AsyncClient, suite: Suite, fleet: Fleet, folder: Path) -> Row:
    began = time.perf_counter()
    packages = folder / "packages"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE / "package.py"), str(packages), stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    rsync = {"host": "127.0.0.1", "port": suite.services["rsync"].grpc_port}
    await _post(client, "/v2/controllers", {"metadata": {"name": "rsync"}, "spec": rsync})
    await _post(client, "/v2/cluster-providers", {"metadata": {"name": "sim"}})
    registered = time.perf_counter()
    await asyncio.gather(*(_register(client, name, kubeconfig) for name, kubeconfig in fleet.items()))
    registered = time.perf_counter() - registered
    await _post(client, "/v2/projects", {"metadata": {"name": "smartcity"}})
    clouds = "/v2/projects/smartcity/logical-clouds"
    await _post(client, clouds, {"metadata": {"name": "lc"}, "spec": {"level": "0"}})
    for name in fleet:
        spec = {"clusterProvider": "sim", "cluster": name}
        await _post(client, f"{clouds}/lc/cluster-references", {"metadata": {"name": name}, "spec": spec})
    await _post(client, f"{clouds}/lc/instantiate", None)
    await _until(client, f"{clouds}/lc/status", lambda status: status.get("deployedStatus") == "Instantiated")
    await _application(client, packages)
    return Row("onboard", time.perf_counter() - began, f"of it {registered:.2f} s to register the clusters")


async def _register(client: httpx.AsyncClient, name: str, kubeconfig: str) -> None:
    path = "/v2/cluster-providers/sim/clusters"
    await _upload(client, path, {"metadata": {"name": name}}, kubeconfig.encode())
    label = "cloud" if name == "c0" else "edge"
    await _post(client, f"{path}/{name}/labels", {"clusterLabel": label})


async def _application(client: httpx.AsyncClient, packages: Path) -> None:
    spec = {"compositeAppVersion": "v1"}
    await _post(client, "/v2/projects/smartcity/composite-apps", {"metadata": {"name": "smartcity"}, "spec": spec})
    await _post(client, f"{BASE}/composite-profiles", {"metadata": {"name": "city"}})
    for app, chart in (("edge", "edge"), ("web", "cloud")):
        files = [packages / f"{chart}.tar.gz", packages / f"{app}-profile.tar.gz"]
        packed, profile = await asyncio.to_thread(lambda files=files: [file.read_bytes() for file in files])
        await _upload(client, f"{BASE}/apps", {"metadata": {"name": app}}, packed)
        body = {"metadata": {"name": app}, "spec": {"app": app}}
        await _upload(client, f"{BASE}/composite-profiles/city/profiles", body, profile)
    body = {"compositeProfile": "city", "version": "v1", "logicalCloud": "lc", "overrideValues": []}
    await _post(client, f"{BASE}/deployment-intent-groups", {"metadata": {"name": "city"}, "spec": body})
    await _post(client, f"{GROUP}/generic-placement-intents", {"metadata": {"name": "place"}})
    for app, label in (("edge", "edge"), ("web", "cloud")):
        intent = {"allOf": [{"clusterProvider": "sim", "clusterLabel": label}]}
        placed = {"metadata": {"name": app}, "spec": {"app": app, "intent": intent}}
        await _post(client, f"{GROUP}/generic-placement-intents/place/app-intents", placed)
    intents = {"metadata": {"name": "i"}, "spec": {"intent": {"genericPlacementIntent": "place"}}}
    await _post(client, f"{GROUP}/intents", intents)
    await _post(client, f"{GROUP}/approve", None)


async def _instantiate(client: httpx.AsyncClient, suite: Suite) -> Sequence[Row]:
    url = f"http://127.0.0.1:{suite.services['orchestrator'].http_port}/metrics"
    began = time.perf_counter()
    await _post(client, f"{GROUP}/instantiate", None)
    answered = time.perf_counter() - began
    await _until_state(suite, client, "Instantiated")
    applied = time.perf_counter() - began
    await _until(client, f"{GROUP}/status", lambda status: status.get("readyStatus") == "Ready")
    ready = time.perf_counter() - began
    spent = _spent((await client.get(url)).text)
    steps = [Row(f"  {step}", spent.get(step, 0.0)) for step in STEPS]
    return [Row("instantiate answered", answered), *steps, Row("all applied", applied), Row("all ready", ready)]


async def _status(client: httpx.AsyncClient) -> Row:
    began = time.perf_counter()
    answer = await client.get(f"{GROUP}/status", params={"status": "ready"})
    return Row("status read", time.perf_counter() - began, f"{len(answer.content) / 1024:.0f} KiB")


async def _terminate(client: httpx.AsyncClient, suite: Suite) -> Sequence[Row]:
    began = time.perf_counter()
    await _post(client, f"{GROUP}/terminate", None)
    answered = time.perf_counter() - began
    await _until_state(suite, client, "Terminated")
    return [Row("terminate answered", answered), Row("all gone", time.perf_counter() - began)]


async def _floor(fleet: Fleet, applied: Mapping[str, Sequence[Mapping[str, Any]]]) -> Row:
    count = sum(map(len, applied.values()))
    clients = [KubeClient(parse_kubeconfig(kubeconfig)) for kubeconfig in fleet.values()]
    began = time.perf_counter()
    await asyncio.gather(
        *(_apply_all(client, objects) for client, objects in zip(clients, applied.values(), strict=True))
    )
    seconds = time.perf_counter() - began
    await asyncio.gather(*(client.close() for client in clients))
    return Row("floor: the same applies, bare", seconds, f"{count} objects, {count / seconds:.0f}/s")


async def _apply_all(client: KubeClient, objects: Sequence[Mapping[str, Any]]) -> None:
    bare = [{k: v for k, v in o.items() if k != "status"} | {"metadata": _metadata(o)} for o in objects]
    turns = asyncio.Semaphore(8)

    async def apply(one: Mapping[str, Any]) -> None:
        async with turns:
            await client.apply(one, manager="floor", force=True)

    await asyncio.gather(*(apply(one) for one in bare))


def _metadata(one: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in one["metadata"].items() if k in ("name", "namespace", "labels", "annotations")}


def _ours(one: Mapping[str, Any]) -> bool:
    return "emco/deployment-id" in one["metadata"].get("labels", {}) and "ownerReferences" not in one["metadata"]


def _spent(text: str) -> dict[str, float]:
    spent: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "emco_instantiate_step_seconds_sum":
                spent[sample.labels["step"]] = sample.value
    return spent


async def _until_state(suite: Suite, client: httpx.AsyncClient, state: str) -> None:
    """Watches the one key on the bus, which costs EMCO nothing."""
    instance = await _instance(client)
    contexts = AppContextStore(suite.deps.bus)
    async with asyncio.timeout(300):
        while await contexts.get_status(instance) != state:  # noqa: ASYNC110  # another process could not set an event
            await asyncio.sleep(0.005)


async def _instance(client: httpx.AsyncClient) -> str:
    answer = await client.get(f"{GROUP}/status", params={"output": "summary"})
    return str(answer.json()["states"]["actions"][-1]["instance"])


async def _until(client: httpx.AsyncClient, path: str, reached: Any, form: str = "ready") -> None:
    """Ask again and again, but spend no more than a tenth of the time on it: EMCO works in the same process."""
    deadline = time.perf_counter() + 300
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        answer = await client.get(path, params={"status": form, "output": "summary"})
        if reached(answer.json()):
            return
        await asyncio.sleep(max(0.01, 9 * (time.perf_counter() - began)))
    raise SystemExit(f"{path} did not get there: {answer.text[:500]}")


async def _post(client: httpx.AsyncClient, path: str, body: Any) -> None:
    answer = await client.post(path, **({} if body is None else {"json": body}))
    if answer.status_code >= 300:
        raise SystemExit(f"POST {path}: {answer.status_code} {answer.text}")


async def _upload(client: httpx.AsyncClient, path: str, body: Any, file: bytes) -> None:
    answer = await client.post(path, data={"metadata": json.dumps(body)}, files={"file": ("file", file)})
    if answer.status_code >= 300:
        raise SystemExit(f"POST {path}: {answer.status_code} {answer.text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", default="2,200", help="numbers of simulated clusters")
    configure_logging("error")
    for clusters in map(int, parser.parse_args().clusters.split(",")):
        print(f"\nSmartCity on {clusters} simulated clusters")
        for row in asyncio.run(measure(clusters)):
            print(f"  {row.what:<32}{row.seconds:8.3f} s  {row.remark}")


if __name__ == "__main__":
    main()
