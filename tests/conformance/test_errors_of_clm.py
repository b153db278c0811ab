"""The error rows of cluster registration (spec clm 2 to 8); where its defects want another answer, that."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.clm.controllers import Listener
from tests.api.clm.kubeconfigs import kubeconfig
from tests.conformance.cases import (
    DELETE_MISSING,
    HAS_CHILDREN,
    IS_REFERENCED,
    MISMATCH,
    NAME_RULE,
    PARENT_MISSING,
    Case,
    each,
    world,
)
from tests.support.core import CLUSTERS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVIDERS = "/v2/cluster-providers"
HQ = f"{CLUSTERS}/hq"
LABELS = f"{HQ}/labels"
KV_PAIRS = f"{HQ}/kv-pairs"
SYNC = f"{PROVIDERS}/acme/cluster-sync-objects"
CONTROLLERS = "/v2/clm-controllers"
NO_PROVIDER = "Cluster provider not found"
KV = {"kv": [{"a": "1"}]}
HOST = {"host": "hpa", "port": 9099}
GIT = {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "git", "gitOpsResourceObject": "git"}


def clm(row: str) -> str:
    return f"clm {row}"


def registration(name: str, **git_ops: str) -> dict[str, Any]:
    return form(named(name, gitOps=git_ops) if git_ops else named(name), kubeconfig())


def metadata_alone(name: str, **git_ops: str) -> dict[str, Any]:
    sent = registration(name, **git_ops)
    return {"files": {"metadata": (None, sent["data"]["metadata"])}}


PROVIDER = [
    Case(clm("2: unknown path"), "GET", f"{PROVIDERS}/acme/nothing", 404, "404 page not found"),
    Case(clm("2: known path with another method"), "DELETE", PROVIDERS, 405, ""),
    Case(clm("3: provider with an empty body"), "POST", PROVIDERS, 400, "Empty body"),
    Case(clm("3: provider that breaks its schema"), "POST", PROVIDERS, 400, NAME_RULE, {}),
    Case(clm("3: provider exists"), "POST", PROVIDERS, 409, "ClusterProvider already exists", named("acme")),
    Case(clm("3: provider GET of a missing one"), "GET", f"{PROVIDERS}/none", 404, NO_PROVIDER),
    Case(clm("3: provider PUT under another name"), "PUT", f"{PROVIDERS}/x", 400, MISMATCH, named("y")),
    Case(clm("3: provider DELETE of a missing one"), "DELETE", f"{PROVIDERS}/none", 404, DELETE_MISSING),
    Case(clm("3: provider DELETE with children"), "DELETE", f"{PROVIDERS}/acme", 409, HAS_CHILDREN),
]
CLUSTER = [
    Case(clm("4: cluster list of a missing provider"), "GET", f"{PROVIDERS}/none/clusters", 404, NO_PROVIDER),
    Case(
        clm("4.1: cluster body is not multipart"),
        "POST",
        CLUSTERS,
        422,
        has="multipart/form-data",
        more={"content": b"x", "headers": {"Content-Type": "text/plain"}},
    ),
    Case(clm("4.1: cluster without metadata"), "POST", CLUSTERS, 400, "Empty body", more={"files": {"file": b"x"}}),
    Case(clm("4.1: cluster that breaks its schema"), "POST", CLUSTERS, 400, NAME_RULE, more=registration("-")),
    Case(
        clm("4.1: direct cluster without a file"),
        "POST",
        CLUSTERS,
        422,
        "Unable to process file",
        more=metadata_alone("nofile"),
    ),
    Case(
        clm("4.1: kubeconfig that cannot be used"),
        "POST",
        CLUSTERS,
        400,
        has="kubeconfig",
        more=form(named("garbage"), b"garbage"),
    ),
    Case(
        clm("4.1: GitOps type that is unknown"),
        "POST",
        CLUSTERS,
        400,
        has="gitOpsType must be one of fluxcd, azureArcV2, anthos",
        more=metadata_alone("git", **GIT | {"gitOpsType": "svn"}),
    ),
    Case(
        clm("4.1: GitOps without one of its objects"),
        "POST",
        CLUSTERS,
        400,
        has="gitOpsResourceObject is required",
        more=metadata_alone("git", **GIT | {"gitOpsResourceObject": ""}),
    ),
    Case(clm("4.1: cluster exists"), "POST", CLUSTERS, 409, "Cluster already exists", more=registration("hq")),
    Case(
        clm("4.1: cluster under a missing provider"),
        "POST",
        f"{PROVIDERS}/none/clusters",
        409,
        PARENT_MISSING,
        more=registration("x"),
    ),
    Case(clm("4.2: cluster GET of a missing one"), "GET", f"{CLUSTERS}/none", 404, "Cluster not found"),
    Case(
        clm("4.2: cluster GET with a malformed Accept"),
        "GET",
        f"{CLUSTERS}/none",
        406,
        has="mime: ",
        more={"headers": {"Accept": "a;b"}},
    ),
    Case(
        clm("4.2: cluster GET with another type"),
        "GET",
        HQ,
        300,
        "set Accept: multipart/form-data, application/json or application/octet-stream",
        more={"headers": {"Accept": "text/html"}},
    ),
    Case(clm("4.3: cluster DELETE of a missing one"), "DELETE", f"{CLUSTERS}/none", 404, DELETE_MISSING),
    Case(
        clm("4.3: cluster DELETE with children"),
        "DELETE",
        f"{CLUSTERS}/labelled",
        409,
        HAS_CHILDREN,
        before=[
            ("POST", CLUSTERS, registration("labelled")),
            ("POST", f"{CLUSTERS}/labelled/labels", {"clusterLabel": "edge"}),
        ],
    ),
    Case(
        clm("4.3: cluster DELETE while referred to"),
        "DELETE",
        f"{CLUSTERS}/used",
        409,
        IS_REFERENCED,
        before=[
            ("POST", CLUSTERS, registration("used")),
            ("POST", "/v2/projects/p/logical-clouds", named("uses", level="0")),
            (
                "POST",
                "/v2/projects/p/logical-clouds/uses/cluster-references",
                named("used", clusterProvider="acme", cluster="used"),
            ),
        ],
    ),
]
LABEL = [
    Case(clm("5: label exists"), "POST", LABELS, 409, "Cluster Label already exists", {"clusterLabel": "edge"}),
    Case(clm("5: label that breaks its schema"), "POST", LABELS, 400, NAME_RULE, {"clusterLabel": "-"}),
    Case(
        clm("5: label under a missing cluster"),
        "POST",
        f"{CLUSTERS}/none/labels",
        409,
        PARENT_MISSING,
        {"clusterLabel": "x"},
    ),
    Case(clm("5: label list of a missing cluster"), "GET", f"{CLUSTERS}/none/labels", 404, "Cluster not found"),
    Case(clm("5: label GET of a missing one"), "GET", f"{LABELS}/none", 404, "Cluster label not found"),
    Case(
        clm("5: label PUT under another name"),
        "PUT",
        f"{LABELS}/x",
        400,
        "Mismatched label name in PUT request",
        {"clusterLabel": "y"},
    ),
    Case(clm("5: label DELETE of a missing one"), "DELETE", f"{LABELS}/none", 404, DELETE_MISSING),
]
PAIRS = [
    Case(
        clm("6: kv-pairs exist"),
        "POST",
        KV_PAIRS,
        409,
        "Cluster KV Pair already exists",
        named("facts", **KV),
        before=[("POST", KV_PAIRS, named("facts", **KV))],
    ),
    Case(
        clm("6: kv-pairs without kv"),
        "POST",
        KV_PAIRS,
        400,
        "Invalid Input:\nInvalid type. Expected: array, given: null",
        named("x"),
    ),
    Case(
        clm("6: kv-pairs with a value that is no text"),
        "POST",
        KV_PAIRS,
        400,
        "Invalid Input:\nInvalid type. Expected: string, given: integer",
        named("x", kv=[{"a": 1}]),
    ),
    Case(
        clm("6: kv-pairs under a missing cluster"),
        "POST",
        f"{CLUSTERS}/none/kv-pairs",
        409,
        PARENT_MISSING,
        named("x", **KV),
    ),
    Case(clm("6: kv-pairs list of a missing cluster"), "GET", f"{CLUSTERS}/none/kv-pairs", 404, "Cluster not found"),
    Case(
        clm("6: kv-pairs GET of a missing one"), "GET", f"{KV_PAIRS}/no?key=a", 404, "Cluster key value pair not found"
    ),
    Case(
        clm("6: kv-pairs GET of a missing key"),
        "GET",
        f"{KV_PAIRS}/keyed?key=none",
        404,
        "Cluster KV pair key value not found",
        before=[("POST", KV_PAIRS, named("keyed", **KV))],
    ),
    Case(
        clm("6: kv-pairs PUT under another name"),
        "PUT",
        f"{KV_PAIRS}/x",
        400,
        "Mismatched Key Value pair name in PUT request",
        named("y", **KV),
    ),
    Case(clm("6: kv-pairs DELETE of a missing one"), "DELETE", f"{KV_PAIRS}/none", 404, DELETE_MISSING),
    Case(
        clm("7: sync object exists"),
        "POST",
        SYNC,
        409,
        "Cluster Sync Objects already exists",
        named("git", **KV),
        before=[("POST", SYNC, named("git", **KV))],
    ),
    Case(
        clm("7: sync object of a missing provider"),
        "POST",
        f"{PROVIDERS}/none/cluster-sync-objects",
        404,
        NO_PROVIDER,
        named("x", **KV),
    ),
    Case(clm("7: sync object GET of a missing one"), "GET", f"{SYNC}/none", 404, "Cluster sync object not found"),
    Case(
        clm("7: sync object GET of a missing key"),
        "GET",
        f"{SYNC}/keyed?key=none",
        404,
        "Cluster Sync Object key value not found",
        before=[("POST", SYNC, named("keyed", **KV))],
    ),
    Case(
        clm("7: sync object PUT under another name"),
        "PUT",
        f"{SYNC}/x",
        400,
        "Mismatched cluster sync object name in PUT request",
        named("y", **KV),
    ),
    Case(clm("7: sync object DELETE of a missing one"), "DELETE", f"{SYNC}/none", 404, DELETE_MISSING),
    Case(
        clm("7: sync object DELETE while a cluster uses it"),
        "DELETE",
        f"{SYNC}/in-use",
        409,
        IS_REFERENCED,
        before=[
            ("POST", SYNC, named("in-use", **KV)),
            (
                "POST",
                CLUSTERS,
                metadata_alone("by-git", **GIT | {"gitOpsReferenceObject": "in-use", "gitOpsResourceObject": "in-use"}),
            ),
        ],
    ),
]


def controller(row: str, status: int, text: str, **spec: Any) -> Case:
    return Case(clm(f"8: {row}"), "POST", CONTROLLERS, status, text, named("bad", **spec))


CONTROLLER = [
    controller("clm-controller without host", 400, "Invalid Input:\nhost is required", port=9099),
    controller("clm-controller without port", 400, "Invalid Input:\nport is required", host="h"),
    controller(
        "clm-controller with a port out of range",
        400,
        "Invalid Input:\nMust be greater than or equal to 0",
        host="h",
        port=-1,
    ),
    Case(clm("8: clm-controller GET of a missing one"), "GET", f"{CONTROLLERS}/none", 404, "ClmController not found"),
    Case(clm("8: clm-controller PUT under another name"), "PUT", f"{CONTROLLERS}/x", 400, MISMATCH, named("y", **HOST)),
    Case(clm("8: clm-controller DELETE of a missing one"), "DELETE", f"{CONTROLLERS}/none", 404, DELETE_MISSING),
]


@each([*PROVIDER, *CLUSTER, *LABEL, *PAIRS, *CONTROLLER])
async def test_a_mistake_is_answered_as_the_specification_says(world: Core, case: Case) -> None:
    await case.hold(world)


@pytest.mark.conforms("clm 8: clm-controller exists")
async def test_a_controller_is_registered_once(world: Core) -> None:
    listener = Listener()
    async with listener.serving() as port:
        there = named("there", host="127.0.0.1", port=port)
        await world.post(CONTROLLERS, there)
        again = await world.post(CONTROLLERS, there, expect=409)
        await world.call("DELETE", f"{CONTROLLERS}/there", expect=204)
    assert again.text == "ClmController already exists\n"


@pytest.mark.parametrize(
    ("state", "status", "expected", "text"),
    [
        pytest.param("Created", "", 204, "", marks=pytest.mark.conforms("clm 4.3: DELETE of a cluster in Created")),
        pytest.param(
            "Applied",
            "Instantiated",
            409,
            "Cluster network intents must be terminated before it can be deleted\n",
            marks=pytest.mark.conforms(
                "clm 4.3: DELETE of a cluster in Applied", "clm 4.3: cluster DELETE while networks are applied"
            ),
        ),
        pytest.param(
            "InstantiateStopped",
            "Instantiating",
            409,
            "Cluster network intents must be terminated before it can be deleted\n",
            marks=pytest.mark.conforms("clm 4.3: DELETE of a cluster in InstantiateStopped"),
        ),
        pytest.param(
            "Terminated",
            "Terminated",
            204,
            "",
            marks=pytest.mark.conforms("clm 4.3: DELETE of a cluster in Terminated"),
        ),
        pytest.param(
            "TerminateStopped",
            "TerminateFailed",
            204,
            "",
            marks=pytest.mark.conforms("clm 4.3: DELETE of a cluster in TerminateStopped"),
        ),
        pytest.param(
            "Terminated",
            "Terminating",
            409,
            "Network intents for cluster have not completed terminating\n",
            marks=pytest.mark.conforms("clm 4.3: cluster DELETE while networks still terminate"),
        ),
    ],
)
async def test_a_cluster_is_deleted_when_no_network_is_on_it(
    world: Core, state: str, status: str, expected: int, text: str
) -> None:
    name = f"{state}-{status}".lower().strip("-")
    await world.cluster(name)
    if status:
        context = str(10_000 + len(name) + expected)
        await world.set_status(context, status)
        await world.deps.bus.put(f"/context/{context}/", b'"x"')
        await world.put_state(
            {"clusterProvider": "acme", "cluster": name}, ("Created", ""), ("Applied", context), (state, context)
        )

    answer = await world.call("DELETE", f"{CLUSTERS}/{name}")

    assert (answer.status_code, answer.text) == (expected, text)
