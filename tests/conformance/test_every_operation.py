"""Every resource of the core services makes its round: created, listed, read, replaced where offered, deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.clm.kubeconfigs import kubeconfig
from tests.conformance.cases import world
from tests.support.charts import chart, profile
from tests.support.core import APPS, CLOUDS, CLUSTERS, GROUPS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

G = f"{GROUPS}/g"
PLACE = f"{G}/generic-placement-intents"
CLUSTER = f"{CLUSTERS}/hq"
GAC = {"host": "gac", "port": 9033, "type": "action", "priority": 1}
KV = {"kv": [{"a": "1"}]}
SUBNETS = [{"name": "blue4", "subnet": "10.71.0.0/24", "gateway": "10.71.0.1/24"}]
VLAN = {
    "vlanID": "300",
    "providerInterfaceName": "ens5",
    "logicalInterfaceName": "ens5.300",
    "vlanNodeSelector": "any",
    "nodeLabelList": [],
}


@dataclass(frozen=True)
class Round:
    """``replaces`` is the status of PUT on what is there, 0 where PUT is not offered; ``file`` is uploaded."""

    collection: str
    item: str
    body: dict[str, Any]
    replaces: int = 200
    file: bytes = b""

    @property
    def sent(self) -> dict[str, Any]:
        return form(self.body, self.file) if self.file else {"json": self.body}


ROUNDS = {
    "project": Round("/v2/projects", "round", named("round")),
    "composite app": Round("/v2/projects/p/composite-apps", "round/v1", named("round", compositeAppVersion="v1")),
    "app": Round(f"{APPS}/apps", "round", named("round"), file=chart("round")),
    "app dependency": Round(
        f"{APPS}/apps/web/dependency", "round", named("round", app="other", opStatus="Ready", wait=5)
    ),
    "composite profile": Round(f"{APPS}/composite-profiles", "round", named("round")),
    "app profile": Round(
        f"{APPS}/composite-profiles/prod/profiles", "round", named("round", app="other"), file=profile()
    ),
    "deployment intent group": Round(
        GROUPS, "round", named("round", compositeProfile="prod", version="r1", logicalCloud="lc", overrideValues=[])
    ),
    "group intent": Round(f"{G}/intents", "round", named("round", intent={"genericPlacementIntent": "place"})),
    "placement intent": Round(PLACE, "round", named("round")),
    "app placement intent": Round(
        f"{PLACE}/place/app-intents",
        "round",
        named("round", app="web", intent={"anyOf": [{"clusterProvider": "acme", "cluster": "hq"}]}),
    ),
    "controller": Round("/v2/controllers", "round", named("round", **GAC)),
    "clm-controller": Round("/v2/clm-controllers", "round", named("round", host="hpa", port=9099, priority=1)),
    "cluster provider": Round("/v2/cluster-providers", "round", named("round"), 201),
    "cluster": Round(CLUSTERS, "round", named("round"), 0, kubeconfig()),
    "cluster label": Round(f"{CLUSTER}/labels", "round", {"clusterLabel": "round"}, 201),
    "cluster kv-pairs": Round(f"{CLUSTER}/kv-pairs", "round", named("round", **KV), 201),
    "cluster sync object": Round("/v2/cluster-providers/acme/cluster-sync-objects", "round", named("round", **KV), 201),
    "network": Round(f"{CLUSTER}/networks", "round", named("round", cniType="ovn4nfv", ipv4Subnets=SUBNETS), 201),
    "provider network": Round(
        f"{CLUSTER}/provider-networks",
        "uplink",
        named("uplink", cniType="ovn4nfv", ipv4Subnets=SUBNETS, providerNetType="VLAN", vlan=VLAN),
        201,
    ),
    "logical cloud": Round(CLOUDS, "round", named("round", level="0"), 201),
    "cluster reference": Round(
        f"{CLOUDS}/own/cluster-references", "round", named("round", clusterProvider="acme", cluster="hq")
    ),
    "user permission": Round(
        f"{CLOUDS}/own/user-permissions",
        "round",
        named("round", namespace="own", apiGroups=[""], resources=["pods"], verbs=["get"]),
    ),
    "cluster quota": Round(f"{CLOUDS}/own/cluster-quotas", "round", named("round", pods="120")),
    "cloud kv-pairs": Round(f"{CLOUDS}/own/kv-pairs", "round", named("round", **KV)),
}


@pytest.fixture(scope="module")
def started() -> dict[str, bool]:
    return {}


async def _own_things(world: Core, started: dict[str, bool]) -> None:
    """What some rounds stand upon: an app without profile and a level-1 cloud."""
    if not started:
        started["done"] = True
        await world.upload(f"{APPS}/apps", named("other"), chart("other"))
        user = {"userName": "bob", "type": "certificate"}
        await world.post(CLOUDS, named("own", level="1", namespace="own", user=user))


@pytest.mark.parametrize("what", ROUNDS)
async def test_a_resource_makes_its_round(world: Core, started: dict[str, bool], what: str) -> None:
    await _own_things(world, started)
    one = ROUNDS[what]
    item = f"{one.collection}/{one.item}"

    made = await world.call("POST", one.collection, expect=201, **one.sent)
    listed = await world.call("GET", one.collection, expect=200)
    read = await world.call("GET", item, expect=200)

    assert made.json() == read.json()
    assert _holds(one.body, read.json())
    assert _shows(listed.json(), read.json())
    if one.replaces:
        replaced = await world.call("PUT", item, expect=one.replaces, **one.sent)
        assert replaced.json() == read.json()
    await world.call("DELETE", item, expect=204)
    await world.call("GET", item, expect=404)


def _holds(wanted: Any, found: Any) -> bool:
    """Everything that was sent is there; more may be."""
    if isinstance(wanted, dict):
        return all(key in found and _holds(value, found[key]) for key, value in wanted.items() if value not in ([], {}))
    return bool(wanted == found)


def _shows(listed: Any, item: Any) -> bool:
    """The collection of group intents answers maps without names (spec orchestrator-api 5.8)."""
    if isinstance(listed, dict):
        return item["spec"]["intent"] in listed["intent"]
    return item in listed


@pytest.mark.parametrize("what", ["app profile", "group intent", "app placement intent"])
async def test_a_collection_may_be_written_with_a_slash_at_its_end(
    world: Core, started: dict[str, bool], what: str
) -> None:
    """The published file and the original swap the two forms (spec orchestrator-api 4)."""
    await _own_things(world, started)
    one = ROUNDS[what]

    await world.call("POST", f"{one.collection}/", expect=201, **one.sent)
    plain = await world.call("GET", one.collection, expect=200)
    slashed = await world.call("GET", f"{one.collection}/", expect=200)

    assert json.loads(slashed.text) == json.loads(plain.text)
    await world.call("DELETE", f"{one.collection}/{one.item}", expect=204)
