"""What ncm counts: the networks of all clusters (spec ncm 1)."""

from __future__ import annotations

from collections.abc import Sequence

from emco_common.store.api import Document
from emco_common.web.gauges import StoredGauge
from emco_ncm.resources import NETWORK, PROVIDER_NETWORK

_COMMON = ("clusterprovider", "cluster", "name", "cnitype")
_VLAN = ("vlanid", "providerinterfacename", "logicalinterfacename", "vlannodeselector")


def _network(document: Document) -> Sequence[str]:
    key, body = document.key, document.body
    return key["clusterProvider"], key["cluster"], body["metadata"]["name"], body["spec"]["cniType"]


def _provider_network(document: Document) -> Sequence[str]:
    spec = document.body["spec"]
    direct, vlan = spec.get("direct") or {}, spec.get("vlan") or {}
    interface = vlan.get("providerInterfaceName", "") or direct.get("providerInterfaceName", "")
    selector = vlan.get("vlanNodeSelector", "") or direct.get("directNodeSelector", "")
    return (
        *_network(document),
        spec["providerNetType"],
        vlan.get("vlanID", ""),
        interface,
        vlan.get("logicalInterfaceName", ""),
        selector,
    )


GAUGES = (
    StoredGauge("emco_cluster_network", "Networks of clusters", NETWORK, _COMMON, _network),
    StoredGauge(
        "emco_cluster_provider_network",
        "Provider networks of clusters",
        PROVIDER_NETWORK,
        (*_COMMON, "nettype", *_VLAN),
        _provider_network,
    ),
)
