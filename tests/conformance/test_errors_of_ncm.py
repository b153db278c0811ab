"""The error rows of a cluster's networks (spec ncm 2 to 7); where its defects want another answer, that."""

from __future__ import annotations

from typing import Any

import pytest

from emco_common.rsyncclient import CONTROLLER_KEY
from tests.conformance.cases import DELETE_MISSING, MISMATCH, Case, each, world
from tests.support.core import CLUSTERS, Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

C = f"{CLUSTERS}/hq"
NETWORKS = f"{C}/networks"
UPLINKS = f"{C}/provider-networks"
NONE = f"{CLUSTERS}/none"
SUBNET = {"name": "s", "subnet": "10.71.0.0/24"}
NETWORK = {"cniType": "ovn4nfv", "ipv4Subnets": [SUBNET]}
VLAN = {
    "vlanID": "300",
    "providerInterfaceName": "ens5",
    "logicalInterfaceName": "ens5.300",
    "vlanNodeSelector": "any",
    "nodeLabelList": [],
}
UPLINK = NETWORK | {"providerNetType": "VLAN", "vlan": VLAN}


def ncm(row: str) -> str:
    return f"ncm {row}"


def of_subnet(row: str, text: str, **subnet: str) -> Case:
    body = named("n", **NETWORK | {"ipv4Subnets": [SUBNET | subnet]})
    return Case(ncm(row), "POST", NETWORKS, 400, text, body)


def of_vlan(row: str, has: str, **vlan: Any) -> Case:
    return Case(ncm(row), "POST", UPLINKS, 400, has=has, body=named("u", **UPLINK | {"vlan": VLAN | vlan}))


CIDR = "could not parse ipv4 cidr {0}: invalid CIDR address: {0}"
INTENTS = [
    Case(ncm("2: network GET of a missing one"), "GET", f"{NETWORKS}/none", 404, "Network not found"),
    Case(ncm("2: network DELETE of a missing one"), "DELETE", f"{NETWORKS}/none", 404, DELETE_MISSING),
    Case(ncm("2: provider network GET of a missing one"), "GET", f"{UPLINKS}/x", 404, "ProviderNet not found"),
    Case(ncm("2: provider network DELETE of a missing one"), "DELETE", f"{UPLINKS}/x", 404, DELETE_MISSING),
    Case(
        ncm("3: network without subnets"),
        "POST",
        NETWORKS,
        400,
        "Invalid Input:\nMust validate at least one schema (anyOf)\nipv4Subnets is required",
        named("n", cniType="ovn4nfv", ipv4Subnets=[]),
    ),
    Case(
        ncm("3: network without cniType"),
        "POST",
        NETWORKS,
        400,
        has="Does not match pattern",
        body=named("n", ipv4Subnets=[SUBNET]),
    ),
    Case(
        ncm("4: provider network without vlan"),
        "POST",
        UPLINKS,
        400,
        has="Invalid Input:",
        body=named("u", **NETWORK, providerNetType="VLAN"),
    ),
    Case(
        ncm("5: bad network name"),
        "POST",
        NETWORKS,
        400,
        has="Invalid network name - name=[" + "n" * 64,
        body=named("n" * 64, **NETWORK),
    ),
    Case(
        ncm("5: bad provider network name"),
        "POST",
        UPLINKS,
        400,
        has="Invalid provider network name=[" + "n" * 64,
        body=named("n" * 64, **UPLINK),
    ),
    Case(
        ncm("5: unknown cniType"),
        "POST",
        NETWORKS,
        400,
        "Invalid cni type: x",
        named("n", **NETWORK | {"cniType": "x"}),
    ),
    Case(
        ncm("5: unknown providerNetType"),
        "POST",
        UPLINKS,
        400,
        "Invalid provider network type: x",
        named("u", **UPLINK | {"providerNetType": "x"}),
    ),
    of_subnet("5: bad subnet", "invalid subnet: invalid subnet: " + CIDR.format("10.0.0"), subnet="10.0.0"),
    Case(
        ncm("5: bad subnet name"),
        "POST",
        NETWORKS,
        400,
        has="invalid subnet: Invalid subnet name=[" + "s" * 64,
        body=named("n", **NETWORK | {"ipv4Subnets": [SUBNET | {"name": "s" * 64}]}),
    ),
    of_subnet("5: bad gateway", "invalid subnet: invalid gateway: " + CIDR.format("10.71.0.1"), gateway="10.71.0.1"),
    of_subnet("5: bad excludeIps", "invalid subnet: invalid ipv4 exclude list 10.71.0.300", excludeIps="10.71.0.300"),
    of_vlan("5: bad VLAN id", "Invalid VlAN ID 4096 - error: [value greater than maximum]", vlanID="4096"),
    of_vlan("5: bad VLAN node selector", "Invalid VlAN Node Selector some", vlanNodeSelector="some"),
    of_vlan("5: bad node label", "Invalid Label=-/- - errors: [", nodeLabelList=["-/-"]),
    of_vlan(
        "5: specific selector without labels",
        'Node Labels required for VlAN node selector "specific"',
        vlanNodeSelector="specific",
    ),
    Case(ncm("5: PUT without a name"), "PUT", f"{NETWORKS}/n", 400, body={"spec": NETWORK}),
    Case(ncm("5: PUT under another name"), "PUT", f"{NETWORKS}/x", 400, MISMATCH, named("y", **NETWORK)),
    Case(
        ncm("5: network exists"),
        "POST",
        NETWORKS,
        409,
        "Network already exists",
        named("twice", **NETWORK),
        before=[("POST", NETWORKS, named("twice", **NETWORK))],
    ),
    Case(
        ncm("5: provider network exists"),
        "POST",
        UPLINKS,
        409,
        "ProviderNet already exists",
        named("uplink", **UPLINK),
        before=[("POST", UPLINKS, named("uplink", **UPLINK))],
    ),
]
STATUS = [
    Case(ncm("7: wrong type"), "GET", f"{C}/status?type=x", 400, "Invalid query type"),
    Case(ncm("7: wrong status"), "GET", f"{C}/status?status=x", 400, "Invalid query status"),
    Case(ncm("7: wrong output"), "GET", f"{C}/status?output=x", 400, "Invalid query output"),
    Case(ncm("7: wrong app"), "GET", f"{C}/status?app=-", 400, "Invalid app query"),
    Case(ncm("7: wrong cluster"), "GET", f"{C}/status?cluster=acme+hq", 400, "Invalid cluster query"),
    Case(ncm("7: wrong resource"), "GET", f"{C}/status?resource=-", 400, "Invalid resources query"),
    Case(ncm("7: unknown cluster"), "GET", f"{NONE}/status", 404, has="Cluster state not found"),
    Case(ncm("7: unknown instance"), "GET", f"{C}/status?instance=77", 400, "No state information for 77"),
]


@each([*INTENTS, *STATUS])
async def test_a_mistake_is_answered_as_the_specification_says(world: Core, case: Case) -> None:
    await case.hold(world)


@pytest.mark.conforms("ncm 5: unknown cluster")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "networks", named("n", **NETWORK)),
        ("PUT", "networks/n", named("n", **NETWORK)),
        ("DELETE", "networks/n", None),
        ("GET", "networks", None),
        ("POST", "apply", None),
        ("POST", "terminate", None),
        ("POST", "stop", None),
    ],
)
async def test_an_unknown_cluster_is_not_found(world: Core, method: str, path: str, body: Any) -> None:
    answer = await world.call(method, f"{NONE}/{path}", body)
    assert (answer.status_code, answer.text) == (404, "Cluster not found\n")


@pytest.mark.conforms("ncm 6.1: rsync not registered", "dcm 12: rsync not registered")
async def test_without_rsync_nothing_is_applied(world: Core) -> None:
    record = await world.deps.store.get(CONTROLLER_KEY)
    assert record is not None
    await world.cloud("alone", "hq")
    await world.deps.store.delete(CONTROLLER_KEY)
    try:
        answers = [
            await world.call("POST", f"{C}/apply"),
            await world.call("POST", "/v2/projects/p/logical-clouds/alone/instantiate"),
        ]
    finally:
        await world.deps.store.create(record)
    for answer in answers:
        assert answer.status_code in (404, 409)
        assert "Could not get find rsync by name" in answer.text


@pytest.mark.conforms("ncm 6.1: rsync refuses", "dcm 12: rsync refuses")
async def test_what_rsync_refuses_leaves_things_as_they_were(world: Core) -> None:
    await world.cloud("refused", "hq")
    world.rsync.accepts, world.rsync.message = False, "no room"
    try:
        applied = await world.call("POST", f"{C}/apply", expect=409)
        instantiated = await world.call("POST", "/v2/projects/p/logical-clouds/refused/instantiate", expect=409)
    finally:
        world.rsync.accepts = True
    assert applied.text == instantiated.text == "InstallApp Failed: no room\n"
    for key in ({"clusterProvider": "acme", "cluster": "hq"}, {"project": "p", "logicalCloud": "refused"}):
        assert [action["state"] for action in (await world.state_of(key))["actions"]] == ["Created"]
