"""Any body that a published schema accepts is accepted, any it refuses is refused with the field named.

Where the specification's defects want more or less than the original's schema, a deviation says so by its name.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from emco_clm import schemas as clm
from emco_common.errors import EmcoError
from emco_common.resources.model import Named, Wire, decode
from emco_dcm import schemas as dcm
from emco_ncm import schemas as ncm
from emco_orchestrator import schemas as orchestrator
from tests.unit.schemas.bodies import bodies
from tests.unit.schemas.reference import METADATA, TEXT, Anything, Judge, Leaf, Many, Map, Shape, Struct

SCHEMAS = Path(os.environ.get("EMCO_SHARED") or Path(__file__).parents[4] / "shared") / "emco" / "json-schemas"
pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="EMCO_SHARED names no folder with emco/json-schemas")
EXAMPLES = 300 if "EMCO_TEST_SLOW" in os.environ else 60

NUMBER = Leaf(int)
OPTIONAL_NUMBER = Leaf(int, omitted=True)
OPTIONAL_TEXT = Leaf(str, omitted=True)
Deviation = Callable[[Mapping[str, Any]], bool]


def _spec(**members: Shape) -> Struct:
    return Struct({"metadata": METADATA, "spec": Struct(members)})


_CHOICE = Struct(dict.fromkeys(("clusterProvider", "cluster", "clusterLabel"), OPTIONAL_TEXT))
_REQUIREMENT = Struct({**_CHOICE.members, "anyOf": Many(_CHOICE, omitted=True)})
_RULE = Struct({"allOf": Many(_REQUIREMENT, omitted=True), "anyOf": Many(_CHOICE, omitted=True)})
_SUBNET = Struct({"name": TEXT, "subnet": TEXT, "gateway": OPTIONAL_TEXT, "excludeIps": OPTIONAL_TEXT})
_NETWORK = {
    "cniType": TEXT,
    "ipv4Subnets": Many(_SUBNET, omitted=True),
    "ipv6Subnets": Many(_SUBNET, omitted=True),
}
_VLAN = Struct(
    {
        "vlanID": TEXT,
        "providerInterfaceName": TEXT,
        "logicalInterfaceName": TEXT,
        "vlanNodeSelector": TEXT,
        "nodeLabelList": Many(TEXT),
    }
)
_V4 = [{"name": "blue4", "subnet": "10.71.0.0/24", "gateway": "10.71.0.1/24", "excludeIps": "10.71.0.2"}]


def _version_is_no_name(body: Mapping[str, Any]) -> bool:
    return not Judge({"pattern": NAME, "maxLength": 128}, TEXT).accepts(body["spec"]["compositeAppVersion"])


NAME = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"


def _half_git_ops(body: Mapping[str, Any]) -> bool:
    given = body["spec"]["gitOps"]
    long = any(len(given[name]) > 128 for name in ("gitOpsReferenceObject", "gitOpsResourceObject"))
    return long or bool(given["gitOpsType"])


def _is_no_cloud(body: Mapping[str, Any]) -> bool:
    """Refused where the level is unknown, or where a level-1 cloud lacks what it is made of."""
    return body["spec"]["level"] != "0"


def _is_no_namespace(body: Mapping[str, Any]) -> bool:
    return re.fullmatch("([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?", body["spec"]["namespace"]) is None


def _port_up_to_65535(body: Mapping[str, Any]) -> bool:
    return 50_000 < body["spec"]["port"] <= 65_535


def _unknown_type(body: Mapping[str, Any]) -> bool:
    return body["spec"]["type"] not in ("", "placement", "action")


def _no_object_name(body: Mapping[str, Any]) -> bool:
    name = body["metadata"]["name"]
    return name != name.lower() or "_" in name or ".." in name or "-." in name or ".-" in name


def _no_spec(body: Mapping[str, Any]) -> bool:
    return body["spec"] is None


def _endless(body: Mapping[str, Any]) -> bool:
    """The schema bounds the quotas that it knows; ours are all alike."""
    return any(len(value) > 128 for value in body["spec"].values())


def _addresses(body: Mapping[str, Any]) -> bool:
    """Everything a schema of networks lets pass is then looked at by the rules of the specification, section 5."""
    return True


@dataclass(frozen=True)
class Kind:
    """``stricter`` and ``laxer`` are the deviations that the specification wants, by the section that wants them."""

    schema: str
    model: type[Wire]
    shape: Struct
    example: Mapping[str, Any]
    stricter: tuple[str, Deviation] = ("", lambda _: False)
    laxer: tuple[str, Deviation] = ("", lambda _: False)

    @property
    def judge(self) -> Judge:
        return Judge(json.loads((SCHEMAS / self.schema).read_text()), self.shape)


def _named(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "n1", "description": "d", "userData1": "u", "userData2": "v"},
        **({"spec": spec} if spec else {}),
    }


_KV = {"kv": [{"a": "1", "b": "2"}]}
KINDS = {
    "project": Kind("orchestrator/metadata.json", Named, Struct({"metadata": METADATA}), _named()),
    "composite app": Kind(
        "orchestrator/composite-app.json",
        orchestrator.CompositeApp,
        _spec(compositeAppVersion=TEXT),
        _named(compositeAppVersion="v1"),
        stricter=("orchestrator-api defects 15 and 25: the version is part of the path", _version_is_no_name),
    ),
    "app dependency": Kind(
        "orchestrator/app-dependency.json",
        orchestrator.AppDependency,
        _spec(app=OPTIONAL_TEXT, opStatus=OPTIONAL_TEXT, wait=OPTIONAL_NUMBER),
        _named(app="db", opStatus="Ready", wait=5),
    ),
    "composite profile": Kind("orchestrator/composite-profile.json", Named, Struct({"metadata": METADATA}), _named()),
    "deployment intent group": Kind(
        "orchestrator/deployment-group-intent.json",
        orchestrator.DeploymentIntentGroup,
        _spec(
            compositeProfile=TEXT,
            version=TEXT,
            logicalCloud=TEXT,
            overrideValues=Many(Struct({"app": TEXT, "values": Map(TEXT)}), absent=[]),
        ),
        _named(
            compositeProfile="prod",
            version="r1",
            logicalCloud="lc",
            overrideValues=[{"app": "web", "values": {"a": "1"}}],
        ),
    ),
    "group intent": Kind(
        "orchestrator/deployment-intent.json",
        orchestrator.GroupIntent,
        _spec(intent=Map(TEXT)),
        _named(intent={"genericPlacementIntent": "place"}),
    ),
    "placement intent": Kind(
        "orchestrator/generic-placement-intent.json", Named, Struct({"metadata": METADATA}), _named()
    ),
    "app placement intent": Kind(
        "orchestrator/generic-placement-intent-app.json",
        orchestrator.AppPlacementIntent,
        Struct(
            {
                "metadata": Struct(dict.fromkeys(METADATA.members, OPTIONAL_TEXT)),
                "spec": Struct({"app": OPTIONAL_TEXT, "intent": _RULE}),
            }
        ),
        _named(
            app="web",
            intent={
                "allOf": [
                    {"clusterProvider": "acme", "cluster": "hq"},
                    {"anyOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]},
                ],
                "anyOf": [{"clusterProvider": "acme", "cluster": "east"}],
            },
        ),
    ),
    "controller": Kind(
        "orchestrator/controller.json",
        orchestrator.Controller,
        _spec(host=TEXT, port=NUMBER, type=TEXT, priority=NUMBER),
        _named(host="gac", port=9033, type="action", priority=1),
        stricter=("orchestrator-api defect 18: a type that nobody calls is refused", _unknown_type),
        laxer=("orchestrator-api defect 18: ports go up to 65535", _port_up_to_65535),
    ),
    "migrate": Kind(
        "orchestrator/migrate.json",
        orchestrator.Migrate,
        Struct(
            {
                "metadata": Struct({"description": TEXT}),
                "spec": Struct({"targetCompositeAppVersion": TEXT, "targetDeploymentIntentGroup": TEXT}),
            }
        ),
        {"spec": {"targetCompositeAppVersion": "v2", "targetDeploymentIntentGroup": "g2"}},
    ),
    "rollback": Kind(
        "orchestrator/rollback.json",
        orchestrator.Rollback,
        Struct({"metadata": Struct({"description": TEXT}), "spec": Struct({"revision": TEXT})}),
        {"spec": {"revision": "1"}},
    ),
    "cluster provider": Kind("clm/metadata.json", Named, Struct({"metadata": METADATA}), _named()),
    "cluster": Kind(
        "clm/cluster-gitops.json",
        clm.Cluster,
        _spec(gitOps=Struct(dict.fromkeys(("gitOpsType", "gitOpsReferenceObject", "gitOpsResourceObject"), TEXT))),
        _named(gitOps={"gitOpsType": "", "gitOpsReferenceObject": "", "gitOpsResourceObject": ""}),
        stricter=("clm defect 6: what is said of GitOps is checked", _half_git_ops),
    ),
    "cluster label": Kind(
        "clm/cluster-label.json", clm.ClusterLabel, Struct({"clusterLabel": TEXT}), {"clusterLabel": "edge"}
    ),
    "cluster kv-pairs": Kind("clm/cluster-kv.json", clm.KeyValuePairs, _spec(kv=Many(Map(Anything()))), _named(**_KV)),
    "cluster sync object": Kind("clm/cluster-kv.json", clm.SyncObject, _spec(kv=Many(Map(Anything()))), _named(**_KV)),
    "clm-controller": Kind(
        "clm/controller.json",
        clm.ClmController,
        _spec(host=OPTIONAL_TEXT, port=OPTIONAL_NUMBER, priority=OPTIONAL_NUMBER),
        _named(host="hpa", port=9099, priority=1),
    ),
    "logical cloud": Kind(
        "dcm/logical-cloud.json",
        dcm.LogicalCloud,
        _spec(namespace=TEXT, labels=Map(TEXT), level=TEXT, user=Struct({"userName": TEXT, "type": TEXT})),
        _named(level="0", namespace="n", labels={"a": "b"}, user={"userName": "bob", "type": "certificate"}),
        stricter=("dcm defect 16: level, namespace, user and names are checked", _is_no_cloud),
    ),
    "cluster reference": Kind(
        "dcm/cluster-reference.json",
        dcm.ClusterReference,
        _spec(clusterProvider=TEXT, cluster=TEXT, loadBalancerIP=TEXT),
        _named(clusterProvider="acme", cluster="hq", loadBalancerIP="0.0.0.0"),
    ),
    "user permission": Kind(
        "dcm/user-permission.json",
        dcm.UserPermission,
        _spec(namespace=TEXT, apiGroups=Many(TEXT), resources=Many(TEXT), verbs=Many(TEXT)),
        _named(namespace="n", apiGroups=["", "apps"], resources=["pods"], verbs=["get"]),
        stricter=("dcm defect 16: a namespace is a DNS-1123 label", _is_no_namespace),
    ),
    "cluster quota": Kind(
        "dcm/cluster-quota.json",
        dcm.ClusterQuota,
        Struct({"metadata": METADATA, "spec": Map(TEXT)}),
        _named(**{"limits.cpu": "40", "pods": "120", "count/jobs.batch": "1"}),
        stricter=(
            "dcm defects 16 and 30: a quota becomes an object's name, and has limits; 4.3: no quantity is endless",
            lambda body: _no_object_name(body) or _no_spec(body) or _endless(body),
        ),
    ),
    "network": Kind(
        "ncm/virtual-network.json",
        ncm.Network,
        _spec(**_NETWORK),
        _named(cniType="ovn4nfv", ipv4Subnets=_V4),
        stricter=("ncm 5: fields are checked beyond the schema", _addresses),
    ),
    "provider network": Kind(
        "ncm/provider-network.json",
        ncm.ProviderNetwork,
        _spec(**_NETWORK, providerNetType=TEXT, vlan=_VLAN),
        _named(
            cniType="ovn4nfv",
            ipv4Subnets=_V4,
            providerNetType="VLAN",
            vlan={
                "vlanID": "300",
                "providerInterfaceName": "ens5",
                "logicalInterfaceName": "ens5.300",
                "vlanNodeSelector": "specific",
                "nodeLabelList": ["kubernetes.io/os=linux"],
            },
        ),
        stricter=("ncm 5: fields are checked beyond the schema", _addresses),
    ),
}
"""kv-pairs of a logical cloud are not here: their schema is malformed and checks nothing (dcm 4.4, defect 27)."""
every_kind = pytest.mark.parametrize("name", KINDS)
quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def _refusal(kind: Kind, body: Any) -> EmcoError | None:
    try:
        decode(kind.model, json.dumps(body).encode())
    except EmcoError as error:
        return error
    return None


def _agree(kind: Kind, body: Any) -> EmcoError | None:
    """Ours and the original's verdict are the same, or differ as the specification wants."""
    refusal, accepted = _refusal(kind, body), kind.judge.accepts(body)
    if accepted:
        decoded = kind.shape.decoded(body)
        assert refusal is None or kind.stricter[1](decoded), f"refused: {refusal} {refusal.detail if refusal else ''}"
    elif refusal is None:
        assert kind.laxer[1](kind.shape.decoded(body)), f"accepted: {body}"
    if refusal is not None:
        assert refusal.status in (400, 422)
    return refusal


@every_kind
def test_the_example_is_accepted(name: str) -> None:
    kind = KINDS[name]
    assert kind.judge.accepts(kind.example)
    assert _refusal(kind, kind.example) is None


@every_kind
def test_bodies_made_from_the_schema_get_the_verdict_of_the_original(name: str) -> None:
    kind = KINDS[name]

    @quick
    @given(bodies(kind.judge.schema))
    def judged(body: Any) -> None:
        _agree(kind, body)

    judged()


_LONG = [None, "", "-", "a" * 128, "a" * 129, "a" * 513, "a" * 1025, "a/b", "ok", "a\n", "é", {"a": "x" * 129}]
_ODD = st.sampled_from(
    [*_LONG, 0, 1, -1, 101, 65_536, 4097, 1.5, True, [], {}, [1], [None], [""], {"a": 1}, {"a": None}]
)


@every_kind
def test_one_thing_changed_gets_the_verdict_of_the_original_and_is_named(name: str) -> None:
    kind = KINDS[name]
    places = list(_places(kind.example))

    @quick
    @given(st.sampled_from(places), st.one_of(st.just("remove"), st.just("shout"), st.tuples(_ODD)))
    def judged(place: tuple[Any, ...], change: str | tuple[Any]) -> None:
        body = _changed(kind.example, place, change)
        refusal = _agree(kind, body)
        if refusal is not None:
            said = f"{refusal} {refusal.detail}".lower()
            concerned = {*place, *(part for inner in _places(_at(kind.example, place)) for part in inner)}
            assert any(_SPOKEN.get(part, str(part).lower()) in said for part in concerned), f"{place} in {said}"

    judged()


_SPOKEN = {
    "excludeIps": "exclude list",
    "cniType": "cni type",
    "providerNetType": "provider network type",
    "vlanID": "vlan id",
    "vlanNodeSelector": "vlan node selector",
    "nodeLabelList": "label",
}
"""What the texts of the original call a field (spec ncm 5)."""


def _places(value: Any, so_far: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*so_far, key)
        yield from _places(item, (*so_far, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _changed(example: Mapping[str, Any], place: tuple[Any, ...], change: str | tuple[Any]) -> Any:
    """The example with one place removed, its key shouted, or given an odd value."""
    body = copy.deepcopy(example)
    above, last = _at(body, place[:-1]), place[-1]
    if change == "remove":
        del above[last]
    elif change == "shout":
        assume(isinstance(last, str))
        above[last.upper()] = above.pop(last)
    else:
        above[last] = change[0]
    return body
