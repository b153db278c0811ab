from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emco_rsync.watch.statusdata import encode, entry_of, folded, trim, unfolded


def obj(api_version: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": "u", "managedFields": [{}], "labels": {"a": "b"}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def document(*objects: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode([trim(o) for o in objects]))
    return found


def test_kinds_with_a_list_of_their_own_keep_metadata_spec_and_status() -> None:
    found = document(obj("apps/v1", "Deployment", "d", spec={"replicas": 1}, status={"readyReplicas": 1}))
    assert found == {
        "ready": False,
        "resourceCount": 0,
        "deploymentStatuses": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {"replicas": 1},
                "status": {"readyReplicas": 1},
                "metadata": {"name": "d", "namespace": "n", "labels": {"a": "b"}},
            }
        ],
    }


def test_every_list_has_its_name() -> None:
    kinds = [
        ("v1", "Pod", "podStatuses"),
        ("v1", "Service", "serviceStatuses"),
        ("v1", "ConfigMap", "configMapStatuses"),
        ("apps/v1", "DaemonSet", "daemonSetStatuses"),
        ("apps/v1", "StatefulSet", "statefulSetStatuses"),
        ("batch/v1", "Job", "jobStatuses"),
        ("certificates.k8s.io/v1", "CertificateSigningRequest", "csrStatuses"),
        ("rbac.authorization.k8s.io/v1", "Role", "resourceStatuses"),
    ]
    found = document(*(obj(api_version, kind, "x") for api_version, kind, _ in kinds))
    assert set(found) == {"ready", "resourceCount", *(name for *_, name in kinds)}


def test_other_kinds_carry_the_whole_object_without_bookkeeping() -> None:
    (entry,) = document(obj("rbac.authorization.k8s.io/v1", "Role", "r", rules=[]))["resourceStatuses"]
    whole = json.loads(base64.b64decode(entry.pop("res")))
    assert entry == {
        "group": "rbac.authorization.k8s.io",
        "version": "v1",
        "kind": "Role",
        "name": "r",
        "namespace": "n",
    }
    assert whole["rules"] == []
    assert "managedFields" not in whole["metadata"]


def test_contents_of_config_maps_and_secrets_never_leave_the_cluster() -> None:
    secret = obj("v1", "Secret", "s", data={"k": base64.b64encode(b"canary").decode()}, stringData={"k": "canary"})
    text = encode([trim(secret), trim(obj("v1", "ConfigMap", "c", data={"k": "canary"}))])
    plain = text + base64.b64decode(json.loads(text)["resourceStatuses"][0]["res"]).decode()
    assert "canary" not in plain
    assert base64.b64encode(b"canary").decode() not in plain


def test_it_is_compact_so_that_a_certificate_is_found_by_its_text() -> None:
    status = {"certificate": "LS0tLS1"}
    text = encode([trim(obj("certificates.k8s.io/v1", "CertificateSigningRequest", "c", status=status))])
    assert 'certificate":"LS0t' in text


def test_the_same_objects_give_the_same_text_in_any_order() -> None:
    objects = [trim(obj("v1", "Pod", name)) for name in "abc"]
    assert encode(objects) == encode(reversed(objects))


def pod(name: str, *, ready: bool) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return trim(obj("v1", "Pod", name, spec={"x": ["y" * 500]}, status={"phase": "Running", "conditions": conditions}))


def test_what_would_be_too_long_is_cut_down_and_keeps_what_is_not_ready() -> None:
    pods = [pod(f"p{n}", ready=n != 7) for n in range(100)]
    without_spec = json.loads(encode(pods, limit=40_000))
    assert len(without_spec["podStatuses"]) == 100
    assert without_spec["podStatuses"][0]["status"]["conditions"]
    small = json.loads(encode(pods, limit=2_000))
    assert [entry["metadata"]["name"] for entry in small["podStatuses"]] == ["p7"]


@given(st.integers(60, 5_000), st.lists(st.booleans(), max_size=40))
def test_it_never_exceeds_its_limit(limit: int, readiness: list[bool]) -> None:
    text = encode([pod(f"p{n}", ready=ready) for n, ready in enumerate(readiness)], limit=limit)
    assert len(text) <= limit
    json.loads(text)


@given(
    st.sampled_from([("v1", "ConfigMap"), ("v1", "ServiceAccount"), ("example.org/v1", "Thing"), ('x"res":"', 'y"}')]),
    st.text(max_size=20) | st.just('","res":"'),
    st.recursive(st.none() | st.text(max_size=9), lambda inner: st.dictionaries(st.text(max_size=5), inner)),
)
def test_an_entry_can_be_kept_in_its_shorter_form(kind: tuple[str, str], name: str, spec: Any) -> None:
    entry = entry_of(trim(obj(*kind, name, spec=spec)))
    assert unfolded(folded(entry)) == entry
    assert len(folded(entry)) <= len(entry)
