"""Networks on a real control plane, whose own validation is the judge of what is rendered (spec ncm 6)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.ncm.conftest import network, provider_network
from tests.support.controlplane import ControlPlane
from tests.support.nodus import NetworkUser, install_definitions, objects
from tests.support.suite import running_suite

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
async def user(tmp_path: Path, control_plane: ControlPlane) -> AsyncIterator[NetworkUser]:
    await asyncio.to_thread(install_definitions, control_plane.kubeconfig)
    async with running_suite(tmp_path / "data") as suite:
        user = NetworkUser(suite)
        await user.onboard(control_plane.kubeconfig)
        yield user


async def test_networks_of_every_form_come_change_and_go(user: NetworkUser, control_plane: ControlPlane) -> None:
    mark = uuid.uuid4().hex[:8]

    async def found(plural: str) -> dict[str, Any]:
        live = await asyncio.to_thread(objects, control_plane.kubeconfig, plural)
        return {name.removesuffix(f"-{mark}"): one for name, one in live.items() if name.endswith(mark)}

    kv = [{"CNI-Networking-Multi-VM-CNI-Wrapper": "multus"}]
    await user.post("/kv-pairs", {"metadata": {"name": "cni"}, "spec": {"kv": kv}})
    six = [{"name": "s6", "subnet": "fd00:71::/64", "gateway": "fd00:71::1/64", "excludeIps": "fd00:71::2..fd00:71::9"}]
    await user.post("/networks", network(f"blue-{mark}", ipv6Subnets=six))
    typed = {"vlanNodeSelector": "SPECIFIC"}
    await user.post("/provider-networks", provider_network(f"vlan-{mark}", providerNetType="vlan", vlan=typed))
    await user.post("/provider-networks", provider_network(f"direct-{mark}", providerNetType="Direct"))
    await user.act("apply")
    status = await user.deployed("Instantiated", "InstantiateFailed")
    assert status["deployedCounts"] == {"Applied": 6}, status
    networks, providers = await found("networks"), await found("providernetworks")
    assert networks["blue"]["spec"]["ipv6Subnets"] == six
    assert networks["blue"]["metadata"]["labels"]["net"] == f"blue-{mark}"
    assert (providers["vlan"]["spec"]["vlan"]["vlanId"], providers["vlan"]["spec"]["providerNetType"]) == (
        "300",
        "VLAN",
    )
    assert providers["direct"]["spec"]["direct"]["nodeLabelList"] == ["kubernetes.io/os=linux"]
    assert set(await found("network-attachment-definitions")) == {"blue", "vlan", "direct"}

    await user.post("/networks?pending=true", network(f"green-{mark}"))
    assert (await user.client.delete(f"{user.BASE}/networks/blue-{mark}?pending=true")).status_code == 204
    uid = providers["vlan"]["metadata"]["uid"]
    await user.act("update")
    status = await user.until(lambda seen: seen["deployedStatus"] not in ("Created", "Updating", "Instantiating"))
    assert status["deployedStatus"] in ("Instantiated", "Updated"), status
    assert set(await found("networks")) == {"green"}
    assert (await found("providernetworks"))["vlan"]["metadata"]["uid"] == uid

    await user.act("terminate")
    await user.deployed("Terminated")
    for plural in ("networks", "providernetworks", "network-attachment-definitions"):
        assert await found(plural) == {}
