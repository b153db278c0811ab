"""The error rows of logical clouds and of what is below them (spec dcm 2 to 5, 8, 9), or what its defects want."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cases import (
    DELETE_MISSING,
    HAS_CHILDREN,
    IS_REFERENCED,
    PARENT_MISSING,
    Case,
    Step,
    each,
    world,
)
from tests.support.core import CLOUDS, GROUPS, Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

LC = f"{CLOUDS}/lc"
NO_CLOUD = "Logical Cloud not found"
HQ = {"clusterProvider": "acme", "cluster": "hq"}
USER = {"userName": "bob", "type": "certificate"}
OWN = {"level": "1", "namespace": "own", "user": USER}
RULE = {"namespace": "own", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
KV = {"kv": [{"a": "1"}]}
NO_ARRAY = "Invalid type. Expected: array, given: null"


def dcm(row: str) -> str:
    return f"dcm {row}"


def cloud(name: str, **spec: Any) -> Step:
    return "POST", CLOUDS, named(name, **({"level": "0"} | spec))


def level1(name: str) -> Step:
    return cloud(name, **OWN | {"namespace": name})


def below(name: str, kind: str, child: str, **spec: Any) -> Step:
    return "POST", f"{CLOUDS}/{name}/{kind}", named(child, **spec)


CLOUD = [
    Case(
        dcm("2: cloud of a missing project"),
        "POST",
        "/v2/projects/none/logical-clouds",
        404,
        "Project not found",
        named("x", level="0"),
    ),
    Case(dcm("2: cloud exists"), "POST", CLOUDS, 409, "Logical Cloud already exists", named("lc", level="0")),
    Case(dcm("2: cloud GET of a missing one"), "GET", f"{CLOUDS}/none", 404, NO_CLOUD),
    Case(dcm("2: cloud PUT of a missing one"), "PUT", f"{CLOUDS}/none", 404, NO_CLOUD),
    Case(dcm("2: cloud PUT with an empty body"), "PUT", LC, 400, "Empty body"),
    Case(
        dcm("2: cloud PUT under another name"),
        "PUT",
        LC,
        409,
        "Logical Cloud name mismatch",
        named("other", level="0"),
    ),
    Case(dcm("2: cloud DELETE of a missing one"), "DELETE", f"{CLOUDS}/none", 404, NO_CLOUD),
    Case(
        dcm("3: cloud with a level that is a number"),
        "POST",
        CLOUDS,
        422,
        has="cannot unmarshal number into field spec.level",
        body=named("x", level=0),
    ),
    Case(dcm("3: cloud with an unknown level"), "POST", CLOUDS, 400, has="spec.level", body=named("x", level="2")),
    Case(
        dcm("3: level-1 cloud without a namespace"),
        "POST",
        CLOUDS,
        400,
        has="spec.namespace",
        body=named("x", level="1", user=USER),
    ),
    Case(
        dcm("3: level-1 cloud without a user"),
        "POST",
        CLOUDS,
        400,
        has="spec.user.userName",
        body=named("x", level="1", namespace="x"),
    ),
    Case(
        dcm("3: cloud PUT that changes level, namespace or user while instantiated"),
        "PUT",
        LC,
        409,
        has="spec.level",
        body=named("lc", **OWN),
    ),
    Case(
        dcm("5.6: DELETE with children"),
        "DELETE",
        f"{CLOUDS}/parent",
        409,
        HAS_CHILDREN,
        before=[cloud("parent"), below("parent", "cluster-references", "r", **HQ)],
    ),
    Case(
        dcm("5.6: DELETE while a group names the cloud"),
        "DELETE",
        f"{CLOUDS}/named",
        409,
        IS_REFERENCED,
        before=[
            cloud("named"),
            ("POST", GROUPS, named("names", compositeProfile="prod", version="r1", logicalCloud="named")),
        ],
    ),
]
REFERENCES = f"{LC}/cluster-references"
CHILDREN = [
    Case(dcm("4: child with an empty body"), "POST", f"{LC}/user-permissions", 400, "Empty body"),
    Case(dcm("4: child DELETE of a missing one"), "DELETE", f"{LC}/user-permissions/none", 404, DELETE_MISSING),
    Case(dcm("4.1: cluster reference of a missing cloud"), "POST", f"{CLOUDS}/none/cluster-references", 404, NO_CLOUD),
    Case(
        dcm("4.1: cluster reference exists"),
        "POST",
        REFERENCES,
        409,
        "Cluster reference already exists",
        named("hq-ref", **HQ),
    ),
    Case(
        dcm("4.1: cluster reference GET of a missing one"),
        "GET",
        f"{REFERENCES}/none",
        404,
        "Cluster reference not found",
    ),
    Case(
        dcm("4.1: cluster reference to an unknown cluster"),
        "POST",
        REFERENCES,
        409,
        has="does not exist: acme+none",
        body=named("x", clusterProvider="acme", cluster="none"),
    ),
    Case(
        dcm("4.1: second cluster reference to one cluster"),
        "POST",
        REFERENCES,
        409,
        has="hq",
        body=named("again", **HQ),
    ),
    Case(
        dcm("4.2: user permission exists"),
        "POST",
        f"{CLOUDS}/p2/user-permissions",
        409,
        "User Permission already exists",
        named("main", **RULE),
        before=[level1("p2"), below("p2", "user-permissions", "main", **RULE)],
    ),
    Case(
        dcm("4.2: user permission of a missing cloud"),
        "POST",
        f"{CLOUDS}/none/user-permissions",
        409,
        PARENT_MISSING,
        named("x", **RULE),
    ),
    Case(
        dcm("4.2: user permission without its lists"),
        "POST",
        f"{LC}/user-permissions",
        400,
        f"Invalid Input:\n{NO_ARRAY}\n{NO_ARRAY}\n{NO_ARRAY}",
        named("x", namespace="own"),
    ),
    Case(
        dcm("4.2: user permission GET of a missing one"),
        "GET",
        f"{LC}/user-permissions/none",
        404,
        "User Permission not found",
    ),
    Case(
        dcm("4.3: quota of a missing cloud"),
        "POST",
        f"{CLOUDS}/none/cluster-quotas",
        404,
        NO_CLOUD,
        named("q", pods="1"),
    ),
    Case(
        dcm("4.3: quota of a level-0 cloud"),
        "POST",
        f"{LC}/cluster-quotas",
        400,
        "Cluster Quotas not allowed for Logical Cloud Level 0",
        named("q", pods="1"),
    ),
    Case(
        dcm("4.3: quota exists"),
        "POST",
        f"{CLOUDS}/q3/cluster-quotas",
        409,
        "Quota already exists",
        named("small", pods="1"),
        before=[level1("q3"), below("q3", "cluster-quotas", "small", pods="1")],
    ),
    Case(dcm("4.3: quota GET of a missing one"), "GET", f"{LC}/cluster-quotas/none", 404, "Cluster Quota not found"),
    Case(
        dcm("4.3: quota without spec"),
        "POST",
        f"{CLOUDS}/q4/cluster-quotas",
        400,
        "Invalid Input:\nInvalid type. Expected: object, given: null",
        named("q"),
        before=[level1("q4")],
    ),
    Case(
        dcm("4.3: quota with a value that is no text"),
        "POST",
        f"{CLOUDS}/q5/cluster-quotas",
        422,
        has="cannot unmarshal number",
        body=named("q", pods=1),
        before=[level1("q5")],
    ),
    Case(
        dcm("4.4: kv-pairs exist"),
        "POST",
        f"{LC}/kv-pairs",
        409,
        "Key Value already exists",
        named("facts", **KV),
        before=[below("lc", "kv-pairs", "facts", **KV)],
    ),
    Case(
        dcm("4.4: kv-pairs without a name"), "POST", f"{LC}/kv-pairs", 400, "Missing name in POST request", {"spec": KV}
    ),
    Case(
        dcm("4.4: kv-pairs of a missing cloud"),
        "POST",
        f"{CLOUDS}/none/kv-pairs",
        409,
        PARENT_MISSING,
        named("x", **KV),
    ),
    Case(dcm("4.4: kv-pairs GET of a missing one"), "GET", f"{LC}/kv-pairs/none", 404, "Key Value not found"),
]
ACTIONS = [
    Case(
        dcm("5.2: instantiate without cluster references"),
        "POST",
        f"{CLOUDS}/bare/instantiate",
        400,
        "No Cluster References associated",
        before=[cloud("bare")],
    ),
    Case(
        dcm("5.2: instantiate level 1 without a permission for its namespace"),
        "POST",
        f"{CLOUDS}/unruled/instantiate",
        409,
        "Level-1 Logical Clouds require a User Permission assigned to its primary namespace",
        before=[
            level1("unruled"),
            below("unruled", "cluster-references", "r", **HQ),
            below("unruled", "user-permissions", "elsewhere", **RULE | {"namespace": "elsewhere"}),
        ],
    ),
    Case(
        dcm("8.3: kubeconfig of an unknown cloud or reference"),
        "GET",
        f"{REFERENCES}/none/kubeconfig",
        404,
        "Cluster reference not found",
    ),
    Case(
        dcm("8.3: kubeconfig of a cloud never instantiated"),
        "GET",
        f"{CLOUDS}/unborn/cluster-references/r/kubeconfig",
        409,
        "Logical Cloud hasn't been instantiated",
        before=[level1("unborn"), below("unborn", "cluster-references", "r", **HQ)],
    ),
    Case(
        dcm("8.3: kubeconfig without a cluster status"),
        "GET",
        f"{CLOUDS}/silent/cluster-references/r/kubeconfig",
        409,
        "The cluster doesn't contain status, please check if all services are up and running",
        before=[
            level1("silent"),
            below("silent", "cluster-references", "r", **HQ),
            below("silent", "user-permissions", "main", **RULE | {"namespace": "silent"}),
            ("POST", f"{CLOUDS}/silent/instantiate", None),
        ],
    ),
    Case(dcm("8.3: kubeconfig of a level-0 cloud"), "GET", f"{REFERENCES}/hq-ref/kubeconfig", 409),
    Case(dcm("9: empty instance"), "GET", f"{LC}/status?instance=", 400, "Invalid query instance"),
    Case(dcm("9: unknown instance"), "GET", f"{LC}/status?instance=77", 400, "No state information for 77"),
    Case(dcm("9: wrong status"), "GET", f"{LC}/status?status=x", 400, "Invalid query status"),
    Case(dcm("9: wrong output"), "GET", f"{LC}/status?output=x", 400, "Invalid query output"),
    Case(dcm("9: wrong cluster"), "GET", f"{LC}/status?cluster=acme+hq", 400, "Invalid cluster query"),
    Case(dcm("9: wrong resource"), "GET", f"{LC}/status?resource=-", 400, "Invalid resources query"),
    Case(dcm("9: unknown cloud"), "GET", f"{CLOUDS}/none/status", 404, has="ogical "),
]


@each([*CLOUD, *CHILDREN, *ACTIONS])
async def test_a_mistake_is_answered_as_the_specification_says(world: Core, case: Case) -> None:
    await case.hold(world)
