"""Spec dcm 6 and defects 10, 20: the objects of a level-1 cloud, and which number a permission has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import Approval
from emco_common.store.api import Document
from emco_dcm.blueprint import numbered
from emco_dcm.manifests import (
    CloudFacts,
    Permission,
    Quota,
    SigningRequest,
    cluster_resources,
    request_name,
    signing_request_resource,
)

APPROVAL = Approval(type="Approved", status="True")
CLOUD = CloudFacts(
    "retail-lc",
    "retail",
    "retail-op",
    {"istio-injection": "enabled"},
    (Permission("retail", ["", "apps"], ["pods"], ["get"], 0), Permission("", ["*"], ["nodes"], ["list"], 1)),
    (Quota("small", {"limits.cpu": "40", "count/jobs.batch": "2"}),),
)


def objects(gitops: str = "") -> dict[str, Any]:
    return {one.name: yaml.safe_load(one.manifest) for one in cluster_resources(CLOUD, gitops=gitops, request=None)}


def test_a_role_and_its_binding_are_those_of_the_specification() -> None:
    made = objects()

    assert made["retail-lc-role0+Role"] == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "retail-lc-role0", "namespace": "retail"},
        "rules": [{"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get"]}],
    }
    assert made["retail-lc-roleBinding0+RoleBinding"] == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "retail-lc-roleBinding0", "namespace": "retail"},
        "subjects": [{"kind": "User", "name": "retail-op", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": "retail-lc-role0", "apiGroup": "rbac.authorization.k8s.io"},
    }


def test_what_is_for_the_whole_cluster_has_no_namespace() -> None:
    made = objects()

    assert made["retail-lc-clusterRole1+ClusterRole"]["metadata"] == {"name": "retail-lc-clusterRole1"}
    assert made["retail-lc-clusterRoleBinding1+ClusterRoleBinding"]["roleRef"]["kind"] == "ClusterRole"


def test_namespace_and_quota_carry_what_the_cloud_says() -> None:
    made = objects()

    assert made["retail+Namespace"]["metadata"] == {"name": "retail", "labels": {"istio-injection": "enabled"}}
    assert made["small+ResourceQuota"]["spec"] == {"hard": {"limits.cpu": "40", "count/jobs.batch": "2"}}


@pytest.mark.parametrize(
    ("gitops", "account"),
    [
        ("fluxcd", {"name": "retail-sa", "namespace": "retail"}),
        ("azureArcV2", {"name": "retail-sa", "namespace": "retail"}),
        (
            "anthos",
            {"name": "ns-reconciler-retail-repo-sync-retail-lc-19", "namespace": "config-management-system"},
        ),
    ],
)
def test_on_a_gitops_cluster_the_account_that_acts_there_has_the_same_rights(
    gitops: str, account: dict[str, str]
) -> None:
    made = objects(gitops)

    for binding in ("retail-lc-roleBinding0+RoleBinding", "retail-lc-clusterRoleBinding1+ClusterRoleBinding"):
        assert made[binding]["subjects"][1] == {"kind": "ServiceAccount", **account}
    assert ("retail+ServiceAccount" in made) is (gitops != "anthos")


def test_on_a_cluster_with_an_agent_the_user_of_the_cloud_has_the_rights_and_nobody_else() -> None:
    made = objects("agent")

    assert "retail+ServiceAccount" not in made
    for binding in ("retail-lc-roleBinding0+RoleBinding", "retail-lc-clusterRoleBinding1+ClusterRoleBinding"):
        assert [(one["kind"], one["name"]) for one in made[binding]["subjects"]] == [("User", CLOUD.user)]


@pytest.mark.parametrize(("seconds", "said"), [(0, None), (86_400, 86_400)])
def test_how_long_the_certificate_is_valid_is_asked_for_only_if_the_cloud_says(seconds: int, said: int | None) -> None:
    request = SigningRequest(b"pem", APPROVAL, seconds)

    resource = signing_request_resource("r", request)

    assert yaml.safe_load(resource.manifest)["spec"].get("expirationSeconds") == said
    assert resource.approval == APPROVAL


def test_later_requests_have_names_of_their_own() -> None:
    assert request_name("retail-lc", "retail") == "retail-lc-retail-user-csr"
    assert request_name("retail-lc", "retail", number=2) == "retail-lc-retail-user-csr-2"


def permissions(names: Sequence[str]) -> list[Document]:
    return [Document(key={"userPermission": name}, body={"spec": {"namespace": "ns"}}) for name in names]


NAMES = st.lists(st.text("abcdef", min_size=1, max_size=1), unique=True)


@given(st.lists(NAMES, min_size=1, max_size=6))
def test_a_permission_keeps_its_number_and_no_two_share_one(revisions: list[list[str]]) -> None:
    kept: dict[str, int] = {}
    for names in revisions:
        now = numbered(permissions(names), kept)

        assert kept.items() <= now.items()
        assert len(set(now.values())) == len(now)
        assert {f"ns/{name}" for name in names} <= now.keys()
        kept = now


@given(NAMES)
def test_the_first_numbers_are_those_of_the_list(names: list[str]) -> None:
    assert list(numbered(permissions(names), {}).values()) == list(range(len(names)))
