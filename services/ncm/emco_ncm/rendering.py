"""From network intents to what the cluster gets: Nodus resources and Multus attachments (spec ncm 6.3). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from emco_common.appcontext import Resource
from emco_common.errors import Conflict
from emco_common.kubeyaml import dump
from emco_ncm.schemas import DIRECT

Body = Mapping[str, Any]
Object = dict[str, Any]
_NODUS = "k8s.plugin.opnfv.org/v1alpha1"
_MULTUS = "multus"
_WRAPPERS = ("CNI-Networking-Multi-VM-CNI-Wrapper", "CNI-Networking-Multi-CNI-Wrapper")
"""ncm's spelling of the key and ovnaction's (defect 17)."""


def render(networks: Sequence[Body], provider_networks: Sequence[Body], *, multus: bool) -> tuple[Resource, ...]:
    """In the order of installation. Raises ``Conflict`` if two networks bear one name (defect 8)."""
    taken = {name_of(network) for network in networks}
    for network in provider_networks:
        if name_of(network) in taken:
            raise Conflict(f"{name_of(network)} is the name of a network and of a provider network; delete one")
    return tuple(_resource(found) for found in _objects(networks, provider_networks, multus=multus))


def wants_multus(key_values: Iterable[Body]) -> bool:
    """Whether the key-value pairs of a cluster, in creation order, ask for Multus; the last one that says so counts."""
    said = ""
    for body in key_values:
        for pairs in body["spec"]["kv"]:
            said = next((str(pairs[key]) for key in _WRAPPERS if key in pairs), said)
    return said.lower() == _MULTUS


def as_yaml(resources: Iterable[Resource]) -> str:
    """All documents as one text that ``kubectl`` understands."""
    return "---\n".join(resource.manifest for resource in resources)


def name_of(network: Body) -> str:
    return str(network["metadata"]["name"])


def _objects(networks: Sequence[Body], provider_networks: Sequence[Body], *, multus: bool) -> Iterator[Object]:
    for network in networks:
        yield _network(network)
        if multus:
            yield _attachment(name_of(network))
    for network in provider_networks:
        yield _provider_network(network)
        if multus:
            yield _attachment(name_of(network))


def _network(intent: Body) -> Object:
    name = name_of(intent)
    metadata = {"name": name, "labels": {"net": name}}
    return {"apiVersion": _NODUS, "kind": "Network", "metadata": metadata, "spec": _subnets(intent["spec"])}


def _provider_network(intent: Body) -> Object:
    spec = intent["spec"]
    kind = spec["providerNetType"].upper()
    rendered = {**_subnets(spec), "providerNetType": kind, **(_direct(spec) if kind == DIRECT else _vlan(spec))}
    return {
        "apiVersion": _NODUS,
        "kind": "ProviderNetwork",
        "metadata": {"name": name_of(intent)},
        "spec": rendered,
    }


def _subnets(spec: Body) -> Object:
    rendered: Object = {"cniType": spec["cniType"]}
    for family in ("ipv4Subnets", "ipv6Subnets"):
        if spec.get(family):
            rendered[family] = [_subnet(subnet) for subnet in spec[family]]
    return rendered


def _subnet(subnet: Body) -> Object:
    members = ("subnet", "name", "gateway", "excludeIps")
    return {member: subnet[member] for member in members if subnet.get(member)}


def _vlan(spec: Body) -> Object:
    """The CRD is particular about upper and lower case (defect 5) and calls the id ``vlanId``."""
    vlan = spec["vlan"]
    return {
        "vlan": {
            "vlanId": vlan["vlanID"],
            "providerInterfaceName": vlan["providerInterfaceName"],
            "logicalInterfaceName": vlan["logicalInterfaceName"],
            "vlanNodeSelector": vlan["vlanNodeSelector"].lower(),
            "nodeLabelList": list(vlan["nodeLabelList"]),
        }
    }


def _direct(spec: Body) -> Object:
    """From ``direct``, or from the ``vlan`` that the original asks for (defect 4)."""
    direct = spec.get("direct")
    given = direct or spec["vlan"]
    selector = given["directNodeSelector"] if direct else given["vlanNodeSelector"]
    return {
        "direct": {
            "providerInterfaceName": given["providerInterfaceName"],
            "directNodeSelector": selector.lower(),
            "nodeLabelList": list(given["nodeLabelList"]),
        }
    }


def _attachment(network: str) -> Object:
    config = {"cniVersion": "0.3.1", "type": "ovn4nfvk8s-cni", "nfn-network": network}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": network},
        "spec": {"config": json.dumps(config)},
    }


def _resource(rendered: Object) -> Resource:
    return Resource(f"{rendered['metadata']['name']}+{rendered['kind']}", dump(rendered))
