"""The definitions of a cluster with Nodus and Multus, and a user of ncm with one such cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.support.suite import RunningSuite
from tests.support.witness import Witness, eventually

NODUS = "k8s.plugin.opnfv.org"
MULTUS = "k8s.cni.cncf.io"
SETTLED = 60.0
KINDS = {
    "networks": f"/apis/{NODUS}/v1alpha1/namespaces/default/networks",
    "providernetworks": f"/apis/{NODUS}/v1alpha1/namespaces/default/providernetworks",
    "network-attachment-definitions": f"/apis/{MULTUS}/v1/namespaces/default/network-attachment-definitions",
}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}


def _members(required: list[str], **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": members}


_SUBNETS = {
    "type": "array",
    "items": _members(["name", "subnet"], name=_TEXT, subnet=_TEXT, gateway=_TEXT, excludeIps=_TEXT),
}
_VLAN = _members(
    ["providerInterfaceName", "vlanId", "vlanNodeSelector"],
    vlanId={"type": "string", "pattern": "^[0-9]+$"},
    providerInterfaceName=_TEXT,
    logicalInterfaceName=_TEXT,
    vlanNodeSelector={"type": "string", "enum": ["any", "specific"]},
    nodeLabelList=_TEXTS,
)
_DIRECT = _members(
    ["providerInterfaceName", "directNodeSelector"],
    providerInterfaceName=_TEXT,
    directNodeSelector={"type": "string", "enum": ["any", "specific"]},
    nodeLabelList=_TEXTS,
)
_NETWORK = {"cniType": _TEXT, "ipv4Subnets": _SUBNETS, "ipv6Subnets": _SUBNETS}
_PROVIDER = {
    **_NETWORK,
    "providerNetType": {"type": "string", "enum": ["VLAN", "DIRECT"]},
    "vlan": _VLAN,
    "direct": _DIRECT,
}


def definition(group: str, version: str, kind: str, plural: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A CustomResourceDefinition; unknown members of ``spec`` are dropped by the server, as Nodus' own do."""
    schema = {"type": "object", "properties": {"spec": spec}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


DEFINITIONS = (
    definition(NODUS, "v1alpha1", "Network", "networks", _members(["cniType", "ipv4Subnets"], **_NETWORK)),
    definition(
        NODUS,
        "v1alpha1",
        "ProviderNetwork",
        "providernetworks",
        _members(["cniType", "ipv4Subnets", "providerNetType"], **_PROVIDER),
    ),
    definition(
        MULTUS, "v1", "NetworkAttachmentDefinition", "network-attachment-definitions", _members([], config=_TEXT)
    ),
)


def install_definitions(kubeconfig: str) -> None:
    """Returns when the cluster serves them. Blocking."""
    witness = Witness(kubeconfig)
    for one in DEFINITIONS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{one['metadata']['name']}"
        assert witness.apply(path, one).status in (200, 201)
    for path in KINDS.values():
        assert eventually(lambda path=path: witness.send("GET", path).status == 200)  # type: ignore[misc]
    witness.close()


def objects(kubeconfig: str, plural: str) -> dict[str, Any]:
    """The objects of one kind by name. Blocking."""
    witness = Witness(kubeconfig)
    answer = witness.send("GET", KINDS[plural])
    witness.close()
    return {item["metadata"]["name"]: item for item in answer.body.get("items", [])}


class NetworkUser:
    """Drives the networks of cluster ``edge`` of provider ``acme`` over REST."""

    BASE = "/v2/cluster-providers/acme/clusters/edge"

    def __init__(self, suite: RunningSuite) -> None:
        self._suite = suite
        self.client = suite.client

    async def onboard(self, kubeconfig: str) -> None:
        await self._suite.register_rsync()
        await self._suite.post("/v2/cluster-providers", {"metadata": {"name": "acme"}})
        form: dict[str, Any] = {"data": {"metadata": json.dumps({"metadata": {"name": "edge"}})}}
        await self._suite.post(
            "/v2/cluster-providers/acme/clusters", files={"file": ("kubeconfig", kubeconfig.encode())}, **form
        )

    async def post(self, path: str, body: Any = None, *, expect: int = 201) -> httpx.Response:
        return await self._suite.post(f"{self.BASE}{path}", body, expect=expect)

    async def act(self, verb: str, *, expect: int = 204) -> str:
        return (await self.post(f"/{verb}", expect=expect)).text

    async def until(self, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(SETTLED):
                while True:
                    answer = await self.client.get(f"{self.BASE}/status", params={"status": "deployed"})
                    assert answer.status_code == 200, answer.text
                    status = answer.json()
                    if reached(status):
                        return status
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"the networks did not get there: {json.dumps(status)[:3000]}") from None

    async def deployed(self, *states: str) -> dict[str, Any]:
        return await self.until(lambda status: status.get("deployedStatus") in states)
