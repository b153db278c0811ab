"""The recorded deployment of the original, with hooks of every kind, a CRD and a dependency, made by us from its input.

What is recorded is the REST input, the context on the bus, and what then stood on the API server. Ours must have the
same context, but for what rsync notes in a way of its own, and the same objects as far as EMCO says what they are.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from emco_simcluster import SimCluster
from tests.conformance.published import SHARED
from tests.support.core import named
from tests.support.suite import RunningSuite, suite
from tests.unit.appcontext.test_golden import written_by_rsync

__all__ = ["suite"]
CONTEXT = SHARED / "golden" / "appcontext-hooks.json"
OBJECTS = SHARED / "golden" / "objects-hooks.json"
pytestmark = pytest.mark.skipif(not CONTEXT.exists(), reason="EMCO_SHARED names no folder with emco/golden")
PROJECT = "/v2/projects/larproj-h"
GROUP = f"{PROJECT}/composite-apps/cah2/v1/deployment-intent-groups/d"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def ground(suite: RunningSuite, cluster: SimCluster) -> None:
    """What the recording stands upon: the cluster, the project and its cloud."""
    await suite.register_rsync()
    await suite.post("/v2/cluster-providers", named("larh"))
    form = {
        "data": {"metadata": json.dumps(named("c1"))},
        "files": {"file": ("kubeconfig", cluster.kubeconfig.encode())},
    }
    await suite.post("/v2/cluster-providers/larh/clusters", **form)
    await suite.post("/v2/projects", named("larproj-h"))
    clouds = f"{PROJECT}/logical-clouds"
    await suite.post(clouds, named("lc", level="0"))
    await suite.post(f"{clouds}/lc/cluster-references", named("c1", clusterProvider="larh", cluster="c1"))
    await suite.post(f"{clouds}/lc/instantiate", expect=202)
    await until_instantiated(suite, f"{clouds}/lc")


async def until_instantiated(suite: RunningSuite, path: str) -> Any:
    """The status of what is deployed, when rsync is done with it."""
    status: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while status.get("deployedStatus") != "Instantiated":
            await asyncio.sleep(0.05)
            status = (await suite.client.get(f"{path}/status?status=deployed")).json()
    return status


async def send(suite: RunningSuite, request: Mapping[str, Any]) -> None:
    form: dict[str, Any] = {}
    if "multipart" in request:
        ((name, file),) = request["multipart"]["files"].items()
        form["data"] = {"metadata": json.dumps(request["multipart"]["metadata"])}
        form["files"] = {name: (file["name"], base64.b64decode(file["base64"]))}
    action = request["path"].rsplit("/", 1)[-1] in ("approve", "instantiate")
    await suite.post(request["path"], request.get("json"), expect=202 if action else 201, **form)


async def test_the_recorded_input_makes_the_recorded_context_and_objects(
    suite: RunningSuite, sim_cluster: SimCluster
) -> None:
    recorded = json.loads(CONTEXT.read_text())
    await ground(suite, sim_cluster)
    for request in recorded["input"]:
        await send(suite, request)
    status = await until_instantiated(suite, GROUP)

    (instance,) = {action["instance"] for action in status["states"]["actions"]} - {""}
    history = [{name: action[name] for name in ("state", "revision")} for action in status["states"]["actions"]]
    assert history == [{name: action[name] for name in ("state", "revision")} for action in recorded["history"]]
    entries = (await suite.suite.deps.bus.range(f"/context/{instance}/")).entries
    ours = {entry.key.replace(instance, "<ac1>"): entry.value.decode().replace(instance, "<ac1>") for entry in entries}
    wanted = {k: v for k, v in recorded["contexts"]["<ac1>"].items() if not written_by_rsync(k)}
    assert {key: ours.get(key) for key in wanted} == wanted
    objects = [one for one in json.loads(OBJECTS.read_text())["objects"] if is_of_emco(one)]
    assert len(objects) == 18
    assert [wrong for one in objects for wrong in differences(one, sim_cluster, instance)] == []


def is_of_emco(recorded: Mapping[str, Any]) -> bool:
    """Applied by EMCO, and not its monitor's own."""
    if recorded["kind"] == "ResourceBundleState":
        return False
    return recorded["kind"] == "CustomResourceDefinition" or LAST_APPLIED in recorded["metadata"].get("annotations", {})


def differences(recorded: Mapping[str, Any], cluster: SimCluster, instance: str) -> list[str]:
    """How an object that EMCO applied differs from ours."""
    applied = recorded["metadata"].get("annotations", {}).get(LAST_APPLIED)
    name = recorded["metadata"]["name"]
    found = [one for one in cluster.objects() if (one["kind"], one["metadata"]["name"]) == (recorded["kind"], name)]
    if not found:
        return [f"{recorded['kind']} {name} is not there"]
    wanted = (
        json.loads(applied.replace("<ac1>", instance)) if applied else {"spec": {"group": recorded["spec"]["group"]}}
    )
    wanted.get("metadata", {}).pop("annotations", None)
    for key, text in wanted.pop("stringData", {}).items():
        wanted.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
    return [f"{recorded['kind']} {name}: {wrong}" for wrong in _lacking(wanted, found[0], "")]


def _lacking(wanted: Any, found: Any, place: str) -> list[str]:
    """Everything wanted is found; more may be."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [w for key, value in wanted.items() for w in _lacking(value, found.get(key), f"{place}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [w for n, (a, b) in enumerate(zip(wanted, found, strict=True)) for w in _lacking(a, b, f"{place}[{n}]")]
    return [] if wanted == found or wanted is None else [f"{place} is {found!r}, not {wanted!r}"]
