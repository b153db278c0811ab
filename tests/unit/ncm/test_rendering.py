"""What the cluster gets for an intent (spec ncm 6.3, defects 4, 5, 8, 17)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emco_common.errors import Conflict
from emco_common.kubeyaml import load
from emco_ncm.rendering import as_yaml, render, wants_multus
from tests.unit.ncm.builders import SUBNET, SUBNET6, VLAN, network, provider_network

NODUS = "k8s.plugin.opnfv.org/v1alpha1"


def objects(*networks: dict[str, Any], providers: tuple[dict[str, Any], ...] = (), multus: bool = False) -> list[Any]:
    return [load(resource.manifest) for resource in render(networks, providers, multus=multus)]


def test_a_network_has_its_name_as_label_and_only_what_was_given() -> None:
    assert objects(network(ipv4Subnets=[SUBNET, {"name": "b", "subnet": "10.0.0.0/8"}], ipv6Subnets=[SUBNET6])) == [
        {
            "apiVersion": NODUS,
            "kind": "Network",
            "metadata": {"name": "blue", "labels": {"net": "blue"}},
            "spec": {
                "cniType": "ovn4nfv",
                "ipv4Subnets": [SUBNET, {"name": "b", "subnet": "10.0.0.0/8"}],
                "ipv6Subnets": [SUBNET6],
            },
        }
    ]


def test_a_vlan_is_spelled_as_the_definition_wants_it() -> None:
    typed = VLAN | {"vlanNodeSelector": "SPECIFIC"}
    (found,) = objects(providers=(provider_network(providerNetType="vlan", vlan=typed),))
    rest = {key: value for key, value in VLAN.items() if key != "vlanID"}
    assert (found["kind"], found["metadata"]) == ("ProviderNetwork", {"name": "uplink"})
    assert found["spec"]["providerNetType"] == "VLAN"
    assert found["spec"]["vlan"] == {"vlanId": "300", **rest}


DIRECT = {
    "providerInterfaceName": "ens5",
    "directNodeSelector": "specific",
    "nodeLabelList": ["kubernetes.io/os=linux"],
}


@pytest.mark.parametrize("given", [{}, {"direct": DIRECT}, {"direct": DIRECT, "vlan": None}])
def test_a_direct_network_has_a_direct_block_however_it_was_given(given: dict[str, Any]) -> None:
    (found,) = objects(providers=(provider_network(providerNetType="Direct", **given),))
    assert found["spec"]["providerNetType"] == "DIRECT"
    assert (found["spec"]["direct"], "vlan" in found["spec"]) == (DIRECT, False)


def test_with_multus_each_network_is_followed_by_its_attachment() -> None:
    found = objects(network(), providers=(provider_network(),), multus=True)
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [
        ("Network", "blue"),
        ("NetworkAttachmentDefinition", "blue"),
        ("ProviderNetwork", "uplink"),
        ("NetworkAttachmentDefinition", "uplink"),
    ]
    config = {"cniVersion": "0.3.1", "type": "ovn4nfvk8s-cni", "nfn-network": "blue"}
    assert (found[1]["apiVersion"], json.loads(found[1]["spec"]["config"])) == ("k8s.cni.cncf.io/v1", config)


def test_resources_bear_name_and_kind() -> None:
    resources = render([network("a")], [provider_network("b")], multus=True)
    assert [resource.name for resource in resources] == [
        "a+Network",
        "a+NetworkAttachmentDefinition",
        "b+ProviderNetwork",
        "b+NetworkAttachmentDefinition",
    ]


def test_names_that_yaml_would_read_as_something_else_stay_names() -> None:
    for name in ("1e3", "null", "on", "0x10", "1.5"):
        (found,) = objects(network(name))
        assert found["metadata"] == {"name": name, "labels": {"net": name}}


def test_two_networks_of_one_name_are_refused() -> None:
    with pytest.raises(Conflict, match="same is the name of a network and of a provider network"):
        render([network("same")], [provider_network("same")], multus=False)


def test_all_of_them_are_one_text() -> None:
    text = as_yaml(render([network("a"), network("b")], [], multus=False))
    assert [load(part)["metadata"]["name"] for part in text.split("---\n")] == ["a", "b"]  # type: ignore[index]


VM, CNI = "CNI-Networking-Multi-VM-CNI-Wrapper", "CNI-Networking-Multi-CNI-Wrapper"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([], False),
        ([[{VM: "multus"}]], True),
        ([[{CNI: "Multus"}]], True),
        ([[{VM: "none"}]], False),
        ([[{VM: "multus"}], [{VM: "none"}]], False),
        ([[{VM: "none"}], [{"x": "multus"}, {VM: "MULTUS"}]], True),
        ([[{VM.lower(): "multus"}]], False),
    ],
)
def test_the_last_record_that_says_so_asks_for_multus(records: list[list[dict[str, str]]], wanted: bool) -> None:
    assert wants_multus([{"spec": {"kv": kv}} for kv in records]) is wanted
