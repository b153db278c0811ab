from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_rsync.plan.manifests import BadManifest, parse, prepare

BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(8))
HEAD = "apiVersion: v1\nkind: X\nmetadata: {name: a}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", False),
        ("on", True),
        ("'no'", "no"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00Z"),
        ("12:30", "12:30"),
        ("80:30", "80:30"),
        ("0777", 0o777),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1e+06", 1_000_000),
        ("1.5", 1.5),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("=", "="),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_scalars_mean_what_the_api_server_takes_them_for(text: str, value: object) -> None:
    (found,) = parse(f"{HEAD}v: {text}")
    assert found["v"] == value
    assert type(found["v"]) is type(value)


def test_a_list_is_its_items_and_empty_documents_are_nothing() -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: X, metadata: {name: a}}\n" + (
        "- {apiVersion: v1, kind: Y, metadata: {name: b}}\n---\n---\n"
    )
    assert [obj["kind"] for obj in parse(listed)] == ["X", "Y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no object"),
        ("# Source: only/a/comment", "no object"),
        ("- 1", "not a mapping"),
        ("kind: X\nmetadata: {name: a}", "apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}", "kind is missing"),
        ("apiVersion: v1\nkind: X", "metadata.name is missing"),
        ("apiVersion: v1\nkind: X\nmetadata: {generateName: a}", "metadata.name is missing"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: 1}", "metadata.name is missing or not a string"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: 5}", "metadata.namespace is not"),
        ("a: [", "not valid YAML in line"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 200 + "]" * 200, "nested deeper"),
        (BOMB, "expands to more than"),
    ],
)
def test_what_is_no_object_says_why(text: str, expected: str) -> None:
    with pytest.raises(BadManifest, match=expected):
        parse(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadManifest):
        assert parse(text)


def labels(obj: dict[str, Any], *path: str) -> dict[str, str]:
    for step in path:
        obj = obj[step]
    found: dict[str, str] = obj["metadata"]["labels"]
    return found


POD = {"metadata": {"labels": {"app": "x"}}, "spec": {}}


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("apps/v1", "Deployment", ("spec", "template")),
        ("apps/v1", "StatefulSet", ("spec", "template")),
        ("apps/v1", "DaemonSet", ("spec", "template")),
        ("batch/v1", "Job", ("spec", "template")),
        ("batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template")),
    ],
)
def test_objects_and_the_pods_of_known_kinds_get_the_label(api_version: str, kind: str, path: tuple[str, ...]) -> None:
    inner: dict[str, Any] = dict(POD)
    for step in reversed(path):
        inner = {step: inner}
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **inner}
    prepared = prepare(obj, label="7-web")
    assert labels(prepared) == {"emco/deployment-id": "7-web"}
    assert labels(prepared, *path) == {"app": "x", "emco/deployment-id": "7-web"}
    assert labels(obj, *path) == {"app": "x"}


def test_a_foreign_kind_with_a_template_is_left_alone() -> None:
    obj = {"apiVersion": "example.org/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {}}}
    assert prepare(obj, label="7-web")["spec"] == {"template": {}}


def test_what_only_a_server_writes_is_left_out() -> None:
    metadata = {"name": "a", "uid": "u", "resourceVersion": "1", "managedFields": [], "annotations": {"x": "y"}}
    prepared = prepare({"apiVersion": "v1", "kind": "X", "metadata": metadata}, label="7-web")
    assert set(prepared["metadata"]) == {"name", "annotations", "labels"}


def test_string_data_of_a_secret_becomes_its_data() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a"},
        "stringData": {"k": "v"},
        "data": {"b": "Yg=="},
    }
    prepared = prepare(secret, label="7-web")
    assert "stringData" not in prepared
    assert prepared["data"] == {"b": "Yg==", "k": base64.b64encode(b"v").decode()}
