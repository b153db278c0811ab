"""The table of spec ncm 5, row by row as it is registered for conformance: every verb in every state, every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from emco_common.appcontext import ContextState
from emco_common.lifecycle import State
from emco_common.rsyncclient import CONTROLLER_KEY
from tests.api.ncm.conftest import Ncm, network, provider_network

NOT_APPLIED = "Cluster network intents have not been applied"
INVALID = "Cluster is in an invalid state"
TERMINATE_FIRST = "Existing cluster network intents must be terminated before creating"
TERMINATE_TO_DELETE = "Cluster network intents must be terminated before deleting"
STOPPED = "Cluster network intents instantiation already stopped"
ENDED = "Cluster network intents termination already stopped"
UNDER_WAY = {
    State.APPLIED: ContextState.INSTANTIATING,
    State.INSTANTIATE_STOPPED: ContextState.INSTANTIATING,
    State.TERMINATED: ContextState.TERMINATING,
    State.TERMINATE_STOPPED: ContextState.TERMINATING,
}
# By verb: in each of the five states the status, then the text of a refusal or the state that follows.
TABLE: dict[str, list[tuple[int, str]]] = {
    "create": [(201, ""), (400, TERMINATE_FIRST), (409, INVALID), (201, ""), (201, "")],
    "delete": [(204, ""), (409, TERMINATE_TO_DELETE), (409, TERMINATE_TO_DELETE), (204, ""), (204, "")],
    "apply": [(204, "Applied"), (204, "Applied"), (204, "InstantiateStopped"), (204, "Applied"), (204, "Applied")],
    "terminate": [
        (409, NOT_APPLIED),
        (204, "Terminated"),
        (204, "Terminated"),
        (204, "Terminated"),
        (204, "TerminateStopped"),
    ],
    "stop": [(409, NOT_APPLIED), (204, "InstantiateStopped"), (409, STOPPED), (204, "TerminateStopped"), (409, ENDED)],
}
STATES = (
    State.CREATED,
    State.APPLIED,
    State.INSTANTIATE_STOPPED,
    State.TERMINATED,
    State.TERMINATE_STOPPED,
)


def _cases() -> list[Any]:
    return [
        pytest.param(
            verb, state, *outcome, id=f"{verb} in {state}", marks=pytest.mark.conforms(f"ncm 5: {verb} in {state}")
        )
        for verb, outcomes in TABLE.items()
        for state, outcome in zip(STATES, outcomes, strict=True)
    ]


@pytest.mark.parametrize(("verb", "state", "status", "outcome"), _cases())
async def test_every_verb_in_every_state(ncm: Ncm, verb: str, state: State, status: int, outcome: str) -> None:
    await ncm.post("/networks", network("old"))
    over = verb == "apply" and state is State.TERMINATED  # what is still going is tested elsewhere
    await ncm.set_state(state, status=ContextState.TERMINATED if over else UNDER_WAY.get(state))
    if verb == "create":
        answer = await ncm.client.post("/v2/cluster-providers/p/clusters/c/networks", json=network("new"))
    elif verb == "delete":
        answer = await ncm.client.delete("/v2/cluster-providers/p/clusters/c/networks/old")
    else:
        answer = await ncm.client.post(f"/v2/cluster-providers/p/clusters/c/{verb}")
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.text == f"{outcome}\n"
        assert (await ncm.info()).state is state
    else:
        assert (await ncm.info()).state == (outcome or state)


def _refused(
    row: str, body: dict[str, Any], text: str, *, path: str = "networks", method: str = "POST", status: int = 400
) -> Any:
    marks = pytest.mark.conforms(f"ncm {row}")
    return pytest.param(method, path, body, status, text, id=row, marks=marks)


def _subnet(**changes: str) -> dict[str, Any]:
    good = {"name": "s", "subnet": "10.0.0.0/8", "gateway": "10.0.0.1/8"}
    return network(ipv4Subnets=[good | changes])


LONG = "x" * 64
PROVIDERS = "provider-networks"
NO_LABELS = 'Node Labels required for VlAN node selector "specific"'
ANY_OF = "Invalid Input:\nMust validate at least one schema (anyOf)\nipv4Subnets is required"
REFUSALS = [
    _refused("3: network without subnets", network(ipv4Subnets=[]), ANY_OF),
    _refused("3: network without cniType", network(cniType=""), "Invalid Input:\nDoes not match pattern"),
    _refused(
        "4: provider network without vlan",
        provider_network(vlan={}) | {"spec": network()["spec"] | {"providerNetType": "VLAN"}},
        "Invalid Input:\nInvalid type. Expected: array, given: null",
        path=PROVIDERS,
    ),
    _refused("5: bad network name", network(LONG), f"Invalid network name - name=[{LONG}], errors: ["),
    _refused(
        "5: bad provider network name",
        provider_network(LONG),
        f"Invalid provider network name=[{LONG}], errors: [",
        path=PROVIDERS,
    ),
    _refused("5: unknown cniType", network(cniType="calico"), "Invalid cni type: calico"),
    _refused(
        "5: unknown providerNetType",
        provider_network(providerNetType="X"),
        "Invalid provider network type: X",
        path=PROVIDERS,
    ),
    _refused("5: bad subnet", _subnet(subnet="10.0.0.0"), "invalid subnet: invalid subnet: could not parse ipv4 cidr"),
    _refused("5: bad subnet name", _subnet(name=LONG), f"invalid subnet: Invalid subnet name=[{LONG}], errors: ["),
    _refused("5: bad gateway", _subnet(gateway="10.0.0.1"), "invalid subnet: invalid gateway: could not parse ipv4"),
    _refused("5: bad excludeIps", _subnet(excludeIps="x"), "invalid subnet: invalid ipv4 exclude list x"),
    _refused("5: bad VLAN id", provider_network(vlan={"vlanID": "9999"}), "Invalid VlAN ID 9999", path=PROVIDERS),
    _refused(
        "5: bad VLAN node selector",
        provider_network(vlan={"vlanNodeSelector": "x"}),
        "Invalid VlAN Node Selector x",
        path=PROVIDERS,
    ),
    _refused(
        "5: bad node label", provider_network(vlan={"nodeLabelList": ["-"]}), "Invalid Label=- - errors", path=PROVIDERS
    ),
    _refused(
        "5: specific selector without labels", provider_network(vlan={"nodeLabelList": []}), NO_LABELS, path=PROVIDERS
    ),
    _refused("5: PUT without a name", network(""), "Missing name in PUT request", path="networks/x", method="PUT"),
    _refused("5: PUT under another name", network(), "Mismatched name in PUT request", path="networks/x", method="PUT"),
    _refused("5: network exists", network("taken"), "Network already exists", status=409),
    _refused(
        "5: provider network exists",
        provider_network("held"),
        "ProviderNet already exists",
        path=PROVIDERS,
        status=409,
    ),
    _refused("5: unknown cluster", network(), "Cluster not found", path="../nowhere/networks", status=404),
    _refused("2: network GET of a missing one", {}, "Network not found", path="networks/x", method="GET", status=404),
    _refused(
        "2: network DELETE of a missing one",
        {},
        "The requested resource not found",
        path="networks/x",
        method="DELETE",
        status=404,
    ),
    _refused(
        "2: provider network GET of a missing one",
        {},
        "ProviderNet not found",
        path=f"{PROVIDERS}/x",
        method="GET",
        status=404,
    ),
    _refused(
        "2: provider network DELETE of a missing one",
        {},
        "The requested resource not found",
        path=f"{PROVIDERS}/x",
        method="DELETE",
        status=404,
    ),
    *[
        _refused(f"7: wrong {name}", {}, text, path=f"status?{query}", method="GET")
        for name, query, text in (
            ("type", "type=x", "Invalid query type"),
            ("status", "status=x", "Invalid query status"),
            ("output", "output=x", "Invalid query output"),
            ("app", "app=-", "Invalid app query"),
            ("cluster", "cluster=x", "Invalid cluster query"),
            ("resource", "resource=-", "Invalid resources query"),
        )
    ],
    _refused("7: unknown instance", {}, "No state information for 7", path="status?instance=7", method="GET"),
    _refused("7: unknown cluster", {}, "Cluster state not found", path="../nowhere/status", method="GET", status=404),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), REFUSALS)
async def test_every_refusal(ncm: Ncm, method: str, path: str, body: dict[str, Any], status: int, text: str) -> None:
    await ncm.post("/networks", network("taken"))
    await ncm.post("/provider-networks", provider_network("held"))
    base = "/v2/cluster-providers/p/clusters"
    where = f"{base}/{path.removeprefix('../')}" if path.startswith("../") else f"{base}/c/{path}"
    answer = await ncm.client.request(method, where, json=body or None)
    assert answer.status_code == status, answer.text
    assert answer.text.startswith(text)


@pytest.mark.conforms("ncm 6.1: rsync not registered")
async def test_without_rsync_nothing_is_applied(ncm: Ncm) -> None:
    await ncm.deps.store.delete(CONTROLLER_KEY)
    assert await ncm.act("apply", expect=404) == "Could not get find rsync by name"


@pytest.mark.conforms("ncm 6.1: rsync refuses")
async def test_what_rsync_refuses_is_not_applied(ncm: Ncm) -> None:
    ncm.rsync.accepts, ncm.rsync.message = False, "no room"
    assert "no room" in await ncm.act("apply", expect=409)
    assert (await ncm.info()).state is State.CREATED
