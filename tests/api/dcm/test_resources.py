"""Spec dcm 2 to 4, 12 and defects 15 to 18, 27, 30, 31."""

from typing import Any

import pytest

from emco_common.lifecycle import State
from emco_common.store.api import IsReferenced
from tests.api.dcm.conftest import CLOUDS, LC, Dcm, reference

CUSTOM = {"level": "1", "namespace": "retail", "user": {"userName": "bob", "type": "certificate"}}


def cloud(name: str = "lc", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


# Logical clouds


async def test_a_cloud_is_answered_with_all_its_members(dcm: Dcm) -> None:
    body = (await dcm.post(CLOUDS, cloud(level="0"))).json()

    assert body == await dcm.get(LC)
    assert body == {
        "metadata": {"name": "lc", "description": "", "userData1": "", "userData2": ""},
        "spec": {"namespace": "", "labels": None, "level": "0", "user": {"userName": "", "type": ""}},
    }
    assert await dcm.get(CLOUDS) == [body]
    assert (await dcm.info()).state is State.CREATED


async def test_an_empty_level_is_that_of_a_custom_cloud(dcm: Dcm) -> None:
    assert (await dcm.post(CLOUDS, cloud(**{**CUSTOM, "level": ""}))).json()["spec"]["level"] == "1"


async def test_a_cloud_that_makes_no_sense_is_refused(dcm: Dcm) -> None:
    text = "spec.level must be 0 (admin) or 1 (custom)"
    assert await dcm.refused(CLOUDS, 400, cloud(level="2")) == f"Invalid Input:\n{text}"
    assert (await dcm.refused(CLOUDS, 422, cloud(level=0))).startswith("json: cannot unmarshal number")
    assert await dcm.get(CLOUDS) == []


async def test_clouds_need_a_project_to_be_created_but_not_to_be_listed(dcm: Dcm) -> None:
    nowhere = "/v2/projects/nowhere/logical-clouds"

    assert await dcm.refused(nowhere, 404, cloud(level="0")) == "Project not found"
    assert await dcm.get(nowhere) == []


async def test_a_name_is_taken_once(dcm: Dcm) -> None:
    await dcm.cloud()

    assert await dcm.refused(CLOUDS, 409, cloud(level="0")) == "Logical Cloud already exists"


async def test_an_empty_body_is_called_so(dcm: Dcm) -> None:
    await dcm.cloud()
    answers = [await dcm.client.post(CLOUDS), await dcm.client.put(LC), await dcm.client.post(f"{LC}/cluster-quotas")]

    assert [(answer.status_code, answer.text) for answer in answers] == [(400, "Empty body\n")] * 3


async def test_an_unknown_cloud_is_not_found(dcm: Dcm) -> None:
    assert await dcm.get(LC, expect=404) == "Logical Cloud not found\n"
    assert await dcm.delete(LC, expect=404) == "Logical Cloud not found"
    for action in ("instantiate", "terminate", "update", "stop"):
        assert await dcm.refused(f"{LC}/{action}", 404) == "Logical Cloud not found"
    assert await dcm.get(f"{LC}/status", expect=404) == "Logical Cloud not found\n"


async def test_replacing_asks_for_the_cloud_before_the_body(dcm: Dcm) -> None:
    assert (await dcm.client.put(LC)).text == "Logical Cloud not found\n"
    await dcm.cloud()

    mismatch = await dcm.client.put(LC, json=cloud("other", level="0"))
    replaced = await dcm.client.put(LC, json=cloud(level="", **{k: v for k, v in CUSTOM.items() if k != "level"}))

    assert (mismatch.status_code, mismatch.text) == (409, "Logical Cloud name mismatch\n")
    assert (replaced.status_code, replaced.json()["spec"]["level"]) == (201, "1")
    assert (await dcm.info()).state is State.CREATED


async def test_what_a_cloud_is_on_its_clusters_cannot_be_changed(dcm: Dcm) -> None:
    await dcm.instantiated("hq")

    changed = await dcm.client.put(LC, json=cloud(**CUSTOM))

    assert changed.status_code == 409
    assert changed.text == "spec.level of a Logical Cloud can only be changed while it is not instantiated\n"


async def test_replacing_keeps_the_state(dcm: Dcm) -> None:
    instance = await dcm.instantiated("hq")
    present = await dcm.get(LC)
    present["metadata"]["description"] = "changed"
    present["spec"]["namespace"] = "ignored"

    answer = await dcm.client.put(LC, json=present)

    assert answer.status_code == 201
    assert answer.json()["spec"]["namespace"] == "default"
    assert (await dcm.info()).instance == instance


async def test_if_match_guards_a_replacement(dcm: Dcm) -> None:
    await dcm.cloud()
    stale = {"If-Match": '"7"'}

    assert (await dcm.client.put(LC, json=cloud(level="0"), headers=stale)).status_code == 412
    assert (await dcm.client.delete(LC, headers=stale)).status_code == 412


async def test_a_cloud_with_children_cannot_be_deleted_and_keeps_its_contexts(dcm: Dcm) -> None:
    instance = await dcm.instantiated("hq")
    await dcm.post(f"{LC}/terminate", expect=202)

    assert await dcm.delete(LC, expect=409) == "Cannot delete parent without deleting child references first"
    assert await dcm.contexts_on_the_bus() == {instance}
    await dcm.delete(f"{LC}/cluster-references/hq-ref")
    await dcm.delete(LC)
    assert await dcm.contexts_on_the_bus() == set()


async def test_a_cloud_that_a_deployment_names_cannot_be_deleted(dcm: Dcm) -> None:
    await dcm.cloud()
    await dcm.group("east", State.CREATED)

    answer = await dcm.delete(LC, expect=409)

    assert answer == "Cannot delete without deleting or updating referencing resources first"


# Cluster references


async def test_a_reference_is_read_leniently_and_answered_whole(dcm: Dcm) -> None:
    await dcm.cloud()
    await dcm.cluster("hq")
    spec = {"clusterProvider": "acme", "cluster": "hq", "loadbalancerIp": "0.0.0.0", "certificate": "mine"}

    body = (await dcm.post(f"{LC}/cluster-references", {"metadata": {"name": "r"}, "spec": spec})).json()

    assert body["spec"] == {
        "clusterProvider": "acme",
        "cluster": "hq",
        "loadBalancerIP": "0.0.0.0",
        "certificate": "",
    }
    assert await dcm.get(f"{LC}/cluster-references") == [body]
    assert await dcm.get(f"{LC}/cluster-references/r") == body


async def test_every_call_on_references_asks_for_the_cloud_first(dcm: Dcm) -> None:
    path = f"{LC}/cluster-references"

    answers = [
        await dcm.client.post(path, content=b"nonsense"),
        await dcm.client.get(path),
        await dcm.client.get(f"{path}/r"),
        await dcm.client.delete(f"{path}/r"),
    ]

    assert [(answer.status_code, answer.text) for answer in answers] == [(404, "Logical Cloud not found\n")] * 4


async def test_without_references_the_list_is_empty(dcm: Dcm) -> None:
    await dcm.cloud()

    assert await dcm.get(f"{LC}/cluster-references") == []
    assert await dcm.get(f"{LC}/cluster-references/r", expect=404) == "Cluster reference not found\n"
    assert await dcm.delete(f"{LC}/cluster-references/r", expect=404) == "The requested resource not found"


async def test_a_reference_names_a_registered_cluster_once(dcm: Dcm) -> None:
    await dcm.cloud("hq")
    path = f"{LC}/cluster-references"

    missing = await dcm.refused(path, 409, reference("r", "nowhere"))
    assert missing == "The cluster provided as reference does not exist: acme+nowhere"
    assert await dcm.refused(path, 409, reference("hq-ref", "hq")) == "Cluster reference already exists"
    assert await dcm.refused(path, 409, reference("r", "hq")) == "Cluster reference hq-ref already names this cluster"


async def test_a_cluster_that_is_referred_to_cannot_be_deleted(dcm: Dcm) -> None:
    await dcm.cloud("hq")

    with pytest.raises(IsReferenced):
        await dcm.deps.store.delete({"clusterProvider": "acme", "cluster": "hq"})


async def test_a_child_is_replaced_but_never_made_by_replacing(dcm: Dcm) -> None:
    await dcm.cloud("hq", level="1")
    mismatches = {
        "user-permissions": ("User Permission", "Permission name mismatch", PERMISSION),
        "cluster-quotas": ("Cluster Quota", "Quota name mismatch", QUOTA),
        "kv-pairs": ("Key Value", "KV pair name mismatch", {"kv": []}),
        "cluster-references": ("Cluster reference", "Cluster Reference mismatch", reference("", "hq")["spec"]),
    }
    for path, (title, mismatch, spec) in mismatches.items():
        body = {"metadata": {"name": "hq-ref"}, "spec": spec}
        missing = await dcm.client.put(f"{LC}/{path}/hq-ref", json=body)
        if path != "cluster-references":
            assert (missing.status_code, missing.text) == (404, f"{title} not found\n")
            await dcm.post(f"{LC}/{path}", body)
        other = await dcm.client.put(f"{LC}/{path}/hq-ref", json={**body, "metadata": {"name": "other"}})
        described = {**body, "metadata": {"name": "hq-ref", "description": "new"}}
        replaced = await dcm.client.put(f"{LC}/{path}/hq-ref", json=described)

        assert (other.status_code, other.text) == (409, f"{mismatch}\n")
        assert (replaced.status_code, replaced.json()["metadata"]["description"]) == (200, "new")


async def test_a_replaced_reference_may_name_another_cluster_but_not_one_that_is_taken(dcm: Dcm) -> None:
    await dcm.cloud("hq", "paris")
    await dcm.cluster("rome")
    path = f"{LC}/cluster-references/hq-ref"

    taken = await dcm.client.put(path, json=reference("hq-ref", "paris"))
    unknown = await dcm.client.put(path, json=reference("hq-ref", "nowhere"))
    moved = await dcm.client.put(path, json=reference("hq-ref", "rome"))

    assert (taken.status_code, taken.text) == (409, "Cluster reference paris-ref already names this cluster\n")
    assert unknown.status_code == 409
    assert moved.json()["spec"]["cluster"] == "rome"


async def test_two_clouds_do_not_share_a_namespace_on_one_cluster(dcm: Dcm) -> None:
    await dcm.cloud("hq", "paris", level="1")
    await dcm.cloud(name="twin", level="1")
    other = {"level": "1", "namespace": "other-ns", "user": {"userName": "bob"}}
    await dcm.post(CLOUDS, cloud("other", **other))
    await dcm.post(f"{CLOUDS}/other/cluster-references", reference("hq-ref", "hq"))

    text = "Namespace shop-ns on cluster acme+hq belongs to another Logical Cloud"
    assert await dcm.refused(f"{CLOUDS}/twin/cluster-references", 409, reference("hq-ref", "hq")) == text
    renamed = await dcm.client.put(f"{CLOUDS}/other", json=cloud("other", **{**other, "namespace": "shop-ns"}))
    assert (renamed.status_code, renamed.text) == (409, f"{text}\n")


# Permissions, quotas, key-values

PERMISSION = {"namespace": "retail", "apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["*"]}
QUOTA = {"limits.cpu": "40", "count/jobs.batch": "2", "made.up": "1"}


@pytest.mark.parametrize(
    ("path", "spec", "title", "taken"),
    [
        ("user-permissions", PERMISSION, "User Permission", "User Permission already exists"),
        ("cluster-quotas", QUOTA, "Cluster Quota", "Quota already exists"),
        ("kv-pairs", {"kv": [{"Owner": "retail"}]}, "Key Value", "Key Value already exists"),
    ],
)
async def test_a_child_lives_below_its_cloud(dcm: Dcm, path: str, spec: Any, title: str, taken: str) -> None:
    await dcm.cloud(level="1")
    at, body = f"{LC}/{path}", {"metadata": {"name": "one"}, "spec": spec}

    answered = (await dcm.post(at, body)).json()

    assert answered["spec"] == spec
    assert await dcm.get(at) == [answered]
    assert await dcm.get(f"{at}/one") == answered
    assert await dcm.refused(at, 409, body) == taken
    assert await dcm.delete(LC, expect=409) == "Cannot delete parent without deleting child references first"
    await dcm.delete(f"{at}/one")
    assert await dcm.get(f"{at}/one", expect=404) == f"{title} not found\n"
    assert await dcm.delete(f"{at}/one", expect=404) == "The requested resource not found"


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("user-permissions", 409, "Cannot perform requested operation. Parent resource not found"),
        ("kv-pairs", 409, "Cannot perform requested operation. Parent resource not found"),
        ("cluster-quotas", 404, "Logical Cloud not found"),
    ],
)
async def test_a_child_of_an_unknown_cloud_is_refused_but_listed(dcm: Dcm, path: str, status: int, text: str) -> None:
    spec = {"user-permissions": PERMISSION, "cluster-quotas": QUOTA, "kv-pairs": {"kv": []}}[path]

    assert await dcm.refused(f"{LC}/{path}", status, {"metadata": {"name": "one"}, "spec": spec}) == text
    assert await dcm.get(f"{LC}/{path}") == []


async def test_a_level_0_cloud_has_no_quotas(dcm: Dcm) -> None:
    await dcm.cloud()

    body = {"metadata": {"name": "small"}, "spec": QUOTA}
    assert await dcm.refused(f"{LC}/cluster-quotas", 400, body) == (
        "Cluster Quotas not allowed for Logical Cloud Level 0"
    )


async def test_the_description_names_every_route(dcm: Dcm) -> None:
    paths = (await dcm.get("/openapi.json"))["paths"]
    x = "/v2/projects/{project}/logical-clouds/{logicalCloud}"
    children = {
        "cluster-references": "clusterReference",
        "user-permissions": "userPermission",
        "cluster-quotas": "clusterQuota",
        "kv-pairs": "logicalCloudKv",
    }

    offered = {(path, method) for path, methods in paths.items() if path.startswith("/v2/") for method in methods}

    assert offered == {
        (x.rpartition("/")[0], "post"),
        (x.rpartition("/")[0], "get"),
        *((x, method) for method in ("get", "put", "delete")),
        (f"{x}/kubeconfig", "get"),
        (f"{x}/status/stream", "get"),
        (f"{x}/cluster-references/{{clusterReference}}/kubeconfig", "get"),
        *((f"{x}/{action}", "post") for action in ("instantiate", "update", "stop", "give-up", "terminate", "renew")),
        (f"{x}/status", "get"),
        *((f"{x}/{child}", method) for child in children for method in ("get", "post")),
        *(
            (f"{x}/{child}/{{{name}}}", method)
            for child, name in children.items()
            for method in ("get", "put", "delete")
        ),
    }
