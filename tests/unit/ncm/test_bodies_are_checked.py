"""What a network may say, and the words for what it may not (spec ncm 3 to 5, defects 2 to 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emco_common.errors import BadRequest, EmcoError
from emco_common.resources.model import decode
from emco_ncm.schemas import Network, ProviderNetwork
from tests.unit.ncm.builders import SUBNET, SUBNET6, VLAN, network, provider_network

PATTERN = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"


def refusal(make: Any, **changes: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        make(**changes)
    return str(caught.value)


def subnet(**changes: Any) -> dict[str, Any]:
    return {"ipv4Subnets": [SUBNET | changes]}


def subnet6(**changes: Any) -> dict[str, Any]:
    return {"ipv4Subnets": [], "ipv6Subnets": [SUBNET6 | changes]}


def vlan(**changes: Any) -> dict[str, Any]:
    return {"vlan": VLAN | changes}


CIDR = "could not parse ipv4 cidr {0}: invalid CIDR address: {0}"
CIDR6 = "could not parse ipv6 cidr {0}: invalid CIDR address: {0}"
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "cni type": ({"cniType": "OVN4NFV"}, "Invalid cni type: OVN4NFV"),
    "no length": (subnet(subnet="10.1.0.0"), f"invalid subnet: invalid subnet: {CIDR.format('10.1.0.0')}"),
    "length": (subnet(subnet="10.1.0.0/33"), f"invalid subnet: invalid subnet: {CIDR.format('10.1.0.0/33')}"),
    "netmask": (subnet(subnet="10.1.0.0/255.0"), f"invalid subnet: invalid subnet: {CIDR.format('10.1.0.0/255.0')}"),
    "other family": (subnet(subnet="fd00::/64"), f"invalid subnet: invalid subnet: {CIDR.format('fd00::/64')}"),
    "bare gateway": (subnet(gateway="172.28.3.1"), f"invalid subnet: invalid gateway: {CIDR.format('172.28.3.1')}"),
    "gateway of the other family": (subnet(gateway="fd00::1/64"), "invalid subnet: invalid gateway: could not"),
    "gateway outside": (
        subnet(gateway="10.0.0.1/24"),
        "invalid subnet: invalid gateway: 10.0.0.1/24 is not in subnet 172.28.3.0/24",
    ),
    "excluded nonsense": (subnet(excludeIps="172.28.3.2,172.28.3.3"), "invalid subnet: invalid ipv4 exclude list 172"),
    "excluded backwards": (subnet(excludeIps="172.28.3.9..172.28.3.2"), "invalid subnet: invalid ipv4 exclude list"),
    "excluded outside": (subnet(excludeIps="172.28.4.1"), "invalid subnet: invalid ipv4 exclude list 172.28.4.1"),
    "excluded half a range": (subnet(excludeIps="172.28.3.1.."), "invalid subnet: invalid ipv4 exclude list"),
    "subnet name": (subnet(name="x" * 64), f"invalid subnet: Invalid subnet name=[{'x' * 64}], errors: [must be no"),
    "IPv6 of the other family": (
        subnet6(subnet="10.0.0.0/8"),
        f"invalid subnet: invalid subnet: {CIDR6.format('10.0.0.0/8')}",
    ),
    "IPv6 with a zone": (subnet6(subnet="fe80::1%eth0/64"), "invalid subnet: invalid subnet: could not parse ipv6"),
    "IPv6 gateway outside": (subnet6(gateway="fd01::1/64"), "invalid subnet: invalid gateway: fd01::1/64 is not in"),
    "IPv6 excluded outside": (subnet6(excludeIps="fd01::1"), "invalid subnet: invalid ipv6 exclude list fd01::1"),
}
PROVIDER_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"providerNetType": "vxlan"}, "Invalid provider network type: vxlan"),
    "id below": (vlan(vlanID="-1"), "Invalid VlAN ID -1 - error: [value less than minimum]"),
    "id above": (vlan(vlanID="4096"), "Invalid VlAN ID 4096 - error: [value greater than maximum]"),
    "no id": (vlan(vlanID=""), 'Invalid VlAN ID  - error: [strconv.Atoi: parsing "": invalid syntax]'),
    "id in hex": (vlan(vlanID="0x1"), 'Invalid VlAN ID 0x1 - error: [strconv.Atoi: parsing "0x1": invalid syntax]'),
    "id beyond all": (vlan(vlanID="9" * 20), f'[strconv.Atoi: parsing "{"9" * 20}": value out of range]'),
    "selector": (vlan(vlanNodeSelector="some"), "Invalid VlAN Node Selector some"),
    "label": (vlan(nodeLabelList=["a b"]), "Invalid Label=a b - errors: [a valid label must be"),
    "label name": (vlan(nodeLabelList=["A=b"]), "Invalid Label=A=b - errors: [a DNS-1123 label must"),
    "label prefix": (vlan(nodeLabelList=["-/a=b"]), "Invalid Label=-/a=b - errors: [a DNS-1123 subdomain must"),
    "label without value": (vlan(nodeLabelList=["a="]), "Invalid Label=a= - errors: ["),
    "no labels": (vlan(nodeLabelList=[]), 'Node Labels required for VlAN node selector "specific"'),
    "direct in a VLAN": ({"direct": {"nodeLabelList": []}}, "Invalid provider network type: VLAN has spec.vlan"),
}


@pytest.mark.parametrize("case", FIELDS)
@pytest.mark.parametrize("make", [network, provider_network])
def test_a_wrong_field_is_refused_in_the_known_words(make: Any, case: str) -> None:
    changes, text = FIELDS[case]
    assert refusal(make, **changes).startswith(text)


@pytest.mark.parametrize("case", PROVIDER_FIELDS)
def test_a_wrong_field_of_a_provider_network_is_refused_in_the_known_words(case: str) -> None:
    changes, text = PROVIDER_FIELDS[case]
    assert text in refusal(provider_network, **changes)


def test_a_name_must_be_a_label_value() -> None:
    long = "x" * 64
    errors = "errors: [must be no more than 63 characters]"
    assert refusal(network, name=long) == f"Invalid network name - name=[{long}], {errors}"
    assert refusal(provider_network, name=long) == f"Invalid provider network name=[{long}], {errors}"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ipv4Subnets": []}, "Must validate at least one schema (anyOf)\nipv4Subnets is required"),
        ({"ipv4Subnets": None}, "Must validate at least one schema (anyOf)\nipv4Subnets is required"),
        ({"cniType": ""}, f"Does not match pattern '{PATTERN}'"),
        (subnet(subnet=""), "Does not match pattern '[-_0-9a-zA-Z]+$'"),
        (subnet(name=""), f"Does not match pattern '{PATTERN}'"),
        (subnet(gateway="1" * 129), "String length must be less than or equal to 128"),
        (subnet(excludeIps="1" * 1025), "String length must be less than or equal to 1024"),
    ],
)
def test_what_breaks_the_schema_is_told_first(changes: dict[str, Any], text: str) -> None:
    assert refusal(network, **changes) == f"Invalid Input:\n{text}"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"vlan": None}, "Invalid type. Expected: array, given: null"),
        (vlan(nodeLabelList=None), "Invalid type. Expected: array, given: null"),
        (vlan(logicalInterfaceName="x" * 129), "String length must be less than or equal to 128"),
        (subnet(excludeIps="1" * 129), "String length must be less than or equal to 128"),
    ],
)
def test_so_is_what_breaks_the_schema_of_provider_networks(changes: dict[str, Any], text: str) -> None:
    assert refusal(provider_network, **changes) == f"Invalid Input:\n{text}"


def test_keys_are_read_in_any_case_and_shown_in_one() -> None:
    body = {
        "Metadata": {"Name": "n"},
        "spec": {
            "CniType": "ovn4nfv",
            "IPV4subnets": [{"NAME": "s", "Subnet": "10.0.0.0/8", "excludeips": "10.0.0.1"}],
            "providernettype": "vlan",
            "Vlan": {"vlanId": "0", "VlanNodeSelector": "ANY", "nodelabellist": []},
        },
    }
    shown = decode(ProviderNetwork, json.dumps(body).encode()).as_body()["spec"]
    assert shown == {
        "cniType": "ovn4nfv",
        "ipv4Subnets": [{"name": "s", "subnet": "10.0.0.0/8", "excludeIps": "10.0.0.1"}],
        "providerNetType": "vlan",
        "vlan": {
            "vlanID": "0",
            "providerInterfaceName": "",
            "logicalInterfaceName": "",
            "vlanNodeSelector": "ANY",
            "nodeLabelList": [],
        },
    }


@pytest.mark.parametrize("labels", [["a"], ["a=b"], ["example.org/a=b"], ["A_b.c"], ["x" * 63]])
def test_labels_have_three_forms(labels: list[str]) -> None:
    assert provider_network(vlan=VLAN | {"nodeLabelList": labels})["spec"]["vlan"]["nodeLabelList"] == labels


@pytest.mark.parametrize("excluded", ["", " 172.28.3.2  172.28.3.10..172.28.3.20 ", "172.28.3.5..172.28.3.5"])
def test_addresses_and_ranges_may_be_excluded(excluded: str) -> None:
    assert network(**subnet(excludeIps=excluded))["spec"]["ipv4Subnets"][0].get("excludeIps", "") == excluded


def test_a_direct_network_needs_no_vlan() -> None:
    direct = {"providerInterfaceName": "ens6", "directNodeSelector": "any", "nodeLabelList": []}
    shown = provider_network(providerNetType="DIRECT", vlan=None, direct=direct)["spec"]
    assert (shown["direct"], "vlan" in shown) == (direct, False)
    bad = {"providerNetType": "DIRECT", "vlan": None}
    assert refusal(provider_network, **bad, direct=direct | {"directNodeSelector": "x"}) == (
        "Invalid Direct Node Selector x"
    )


@pytest.mark.parametrize("model", [Network, ProviderNetwork])
@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"spec": 1}', b'{"spec": {"ipv4Subnets": {}}}', b"null"])
def test_nonsense_is_a_users_mistake(model: Any, raw: bytes) -> None:
    with pytest.raises(EmcoError) as caught:
        decode(model, raw)
    assert caught.value.status in (400, 422)
