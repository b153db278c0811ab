"""Bodies of networks for tests, as ``decode`` answers them."""

from __future__ import annotations

import json
from typing import Any

from emco_common.resources.model import decode
from emco_ncm.schemas import Network, ProviderNetwork

VLAN = {
    "vlanID": "300",
    "providerInterfaceName": "ens5",
    "logicalInterfaceName": "ens5.300",
    "vlanNodeSelector": "specific",
    "nodeLabelList": ["kubernetes.io/os=linux"],
}
SUBNET = {"name": "s4", "subnet": "172.28.3.0/24", "gateway": "172.28.3.1/24"}
SUBNET6 = {"name": "s6", "subnet": "fd00:28:3::/64", "gateway": "fd00:28:3::1/64"}


def spec(**changes: Any) -> dict[str, Any]:
    return {"cniType": "ovn4nfv", "ipv4Subnets": [SUBNET]} | changes


def provider_spec(**changes: Any) -> dict[str, Any]:
    return spec(providerNetType="VLAN", vlan=VLAN) | changes


def network(name: str = "blue", **changes: Any) -> dict[str, Any]:
    """Raises what a POST of such a network would answer."""
    return decode(Network, _body(name, spec(**changes))).as_body()


def provider_network(name: str = "uplink", **changes: Any) -> dict[str, Any]:
    """A member given as ``None`` is left out."""
    whole = {key: value for key, value in provider_spec(**changes).items() if value is not None}
    return decode(ProviderNetwork, _body(name, whole)).as_body()


def _body(name: str, whole: dict[str, Any]) -> bytes:
    return json.dumps({"metadata": {"name": name}, "spec": whole}).encode()
