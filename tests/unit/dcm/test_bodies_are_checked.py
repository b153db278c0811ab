"""Spec dcm 3, 4 and defects 15, 16, 27, 30."""

import json
from typing import Any

import pytest

from emco_common.errors import EmcoError
from emco_common.resources.model import decode
from emco_dcm import schemas

NAME = "Does not match pattern '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$'"
CUSTOM = {"level": "1", "namespace": "retail", "user": {"userName": "bob", "type": "certificate"}}
PERMISSION = {"namespace": "retail", "apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["*"]}
QUOTA = {"limits.cpu": "40"}
CLOUD, REFERENCE = schemas.LogicalCloud, schemas.ClusterReference
MODELS = [CLOUD, REFERENCE, schemas.UserPermission, schemas.ClusterQuota, schemas.KeyValuePairs]


def refusal(model: Any, spec: Any, name: str = "one") -> tuple[int, str]:
    with pytest.raises(EmcoError) as caught:
        decode(model, json.dumps({"metadata": {"name": name}, "spec": spec}).encode())
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("model", "spec", "text"),
    [
        (CLOUD, {"level": "2"}, "spec.level must be 0 (admin) or 1 (custom)"),
        (CLOUD, {"level": "000"}, "String length must be less than or equal to 2"),
        (CLOUD, {"user": {"userName": "bob"}}, "spec.namespace of a level 1 Logical Cloud must be a namespace name"),
        (CLOUD, {**CUSTOM, "namespace": "Retail"}, "spec.namespace of a level 1 Logical Cloud must be"),
        (CLOUD, {**CUSTOM, "namespace": "a" * 64}, "spec.namespace of a level 1 Logical Cloud must be"),
        (CLOUD, {**CUSTOM, "user": {}}, "spec.user.userName of a level 1 Logical Cloud is required"),
        (CLOUD, {**CUSTOM, "user": {"userName": "b" * 21}}, "String length must be less than or equal to 20"),
        (CLOUD, {**CUSTOM, "user": {"userName": "system:admin"}}, "spec.user.userName must not be one of Kubernetes'"),
        (CLOUD, {**CUSTOM, "user": {"userName": "a\tb"}}, "spec.user.userName must be printable"),
        (CLOUD, {**CUSTOM, "user": {"userName": "b", "keyType": "dsa"}}, "spec.user.keyType must be one of rsa-4096"),
        (CLOUD, {**CUSTOM, "user": {"userName": "b", "expirationSeconds": 599}}, "expirationSeconds must be between"),
        (schemas.UserPermission, {**PERMISSION, "namespace": "Retail"}, "spec.namespace must be a namespace name"),
        (CLOUD, {"level": "0", "labels": {"a": "b" * 129}}, "String length must be less than or equal to 128"),
        (REFERENCE, {"cluster": "c" * 129}, "String length must be less than or equal to 128"),
        (REFERENCE, {"loadbalancerip": "1" * 17}, "String length must be less than or equal to 16"),
        (schemas.UserPermission, {}, "Invalid type. Expected: array, given: null"),
        (schemas.ClusterQuota, None, "Invalid type. Expected: object, given: null"),
        (schemas.KeyValuePairs, {}, "Invalid type. Expected: array, given: null"),
    ],
)
def test_what_makes_no_sense_is_refused(model: Any, spec: Any, text: str) -> None:
    status, answer = refusal(model, spec)

    assert status == 400
    assert answer.startswith("Invalid Input:\n")
    assert text in answer


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (CLOUD, {"level": 0}),
        (CLOUD, {"level": "0", "labels": {"a": 1}}),
        (CLOUD, {"level": "0", "labels": []}),
        (CLOUD, {"level": "0", "user": "bob"}),
        (schemas.UserPermission, {**PERMISSION, "verbs": "get"}),
        (schemas.ClusterQuota, {"pods": 1}),
        (schemas.KeyValuePairs, {"kv": [{"a": 1}]}),
        (schemas.KeyValuePairs, {"kv": {"a": "b"}}),
    ],
)
def test_wrong_types_are_named(model: Any, spec: Any) -> None:
    status, answer = refusal(model, spec)

    assert status == 422
    assert answer.startswith("json: cannot unmarshal")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_a_name_is_a_name(model: Any) -> None:
    assert NAME in refusal(model, {}, name="-")[1]


def test_key_values_without_a_name_are_refused_in_their_own_words() -> None:
    assert refusal(schemas.KeyValuePairs, {"kv": []}, name="") == (400, "Missing name in POST request")


@pytest.mark.parametrize("name", ["Small", "a_b", "a-.b", "a" * 129])
def test_names_that_become_objects_are_names_of_objects(name: str) -> None:
    assert refusal(CLOUD, CUSTOM, name)[0] == 400
    assert refusal(schemas.ClusterQuota, QUOTA, name)[0] == 400


def test_a_level_0_cloud_may_have_any_name() -> None:
    body = decode(CLOUD, b'{"metadata":{"name":"Retail_LC"},"spec":{"level":"0"}}').as_body()

    assert body["spec"] == {"namespace": "", "labels": None, "level": "0", "user": {"userName": "", "type": ""}}


def test_an_empty_level_is_that_of_a_custom_cloud() -> None:
    raw = json.dumps({"metadata": {"name": "lc"}, "spec": {**CUSTOM, "level": ""}})

    assert decode(CLOUD, raw.encode()).as_body()["spec"]["level"] == "1"


def test_the_keys_of_maps_keep_their_case() -> None:
    raw = {"metadata": {"name": "q"}, "spec": {"count/Jobs.batch": "1", "Made.Up": "2"}}

    assert decode(schemas.ClusterQuota, json.dumps(raw).encode()).as_body()["spec"] == raw["spec"]


def test_the_certificate_of_a_reference_is_ours_to_write() -> None:
    raw = b'{"metadata":{"name":"r"},"spec":{"cluster":"hq","Certificate":"mine","loadbalancerIp":"0.0.0.0"}}'

    spec = decode(REFERENCE, raw).as_body()["spec"]
    assert spec == {"clusterProvider": "", "cluster": "hq", "loadBalancerIP": "0.0.0.0", "certificate": ""}
