"""Objects: created, read, listed, changed, patched, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.contract.kubernetes_api.builders import (
    config_map,
    container,
    deployment,
    names,
    revision,
)
from tests.support.witness import JSON_PATCH, MERGE, STRATEGIC, Witness

Json = dict[str, Any]


class TestCreateReadUpdateDelete:
    def test_an_object_can_be_created_read_listed_changed_and_deleted_with_the_official_client(
        self, witness: Witness, space: str
    ) -> None:
        namespace = space.partition("/")[2]
        body = config_map({"k": "v"}, labels={"x": "y"})
        made = witness.core.create_namespaced_config_map(namespace, body)
        assert made.data == {"k": "v"}
        assert made.metadata.uid
        assert made.metadata.creation_timestamp
        assert witness.core.read_namespaced_config_map("a", namespace).metadata.uid == made.metadata.uid
        listed = witness.core.list_namespaced_config_map(namespace, label_selector="x in (y,z)")
        assert [item.metadata.name for item in listed.items] == ["a"]
        made.data = {"k": "w"}
        changed = witness.core.replace_namespaced_config_map("a", namespace, made)
        assert int(changed.metadata.resource_version) > int(made.metadata.resource_version)
        witness.core.delete_namespaced_config_map("a", namespace)
        with pytest.raises(ApiException) as caught:
            witness.core.read_namespaced_config_map("a", namespace)
        assert caught.value.status == 404

    def test_a_missing_object_is_named(self, witness: Witness, deployments: str) -> None:
        answer = witness.send("GET", f"{deployments}/none")
        assert answer.status == 404
        assert answer.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'deployments.apps "none" not found',
            "reason": "NotFound",
            "details": {"name": "none", "group": "apps", "kind": "deployments"},
            "code": 404,
        }

    def test_a_taken_name_is_a_409(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        answer = witness.send("POST", maps, config_map())
        assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
        assert answer.message == 'configmaps "a" already exists'

    def test_a_name_is_generated(self, witness: Witness, maps: str) -> None:
        answer = witness.send("POST", maps, {"metadata": {"generateName": "g-"}})
        assert answer.status == 201
        assert answer.name.startswith("g-")
        assert len(answer.name) == 7

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"name": "A_b"}, 'ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b": a lowercase RFC 1123 '),
            ({}, 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'),
            ({"name": "a", "labels": {"a": "b c"}}, 'metadata.labels: Invalid value: "b c": a valid label must be'),
            ({"name": "a", "labels": {"-a": "b"}}, 'metadata.labels: Invalid value: "-a": name part must consist of'),
        ],
        ids=["a name that is no RFC 1123 subdomain", "no name", "a bad label", "a bad label key"],
    )
    def test_bad_metadata_is_a_422_with_the_field(
        self, witness: Witness, maps: str, metadata: Json, message: str
    ) -> None:
        answer = witness.send("POST", maps, {"metadata": metadata})
        assert (answer.status, answer.body["reason"]) == (422, "Invalid")
        assert message in answer.message
        assert answer.body["details"]["causes"][0]["field"] in message

    def test_a_stale_update_is_a_409_and_changes_nothing(self, witness: Witness, maps: str) -> None:
        old = witness.send("POST", maps, config_map({"k": "1"})).body
        witness.send("PUT", f"{maps}/a", {**old, "data": {"k": "2"}})
        answer = witness.send("PUT", f"{maps}/a", {**old, "data": {"k": "3"}})
        assert (answer.status, answer.body["reason"]) == (409, "Conflict")
        assert answer.message == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        assert witness.send("GET", f"{maps}/a").body["data"] == {"k": "2"}

    def test_an_update_that_changes_nothing_is_no_write(self, witness: Witness, maps: str) -> None:
        old = witness.send("POST", maps, config_map({"k": "1"})).body
        assert revision(witness.send("PUT", f"{maps}/a", old).body) == revision(old)

    def test_an_object_in_a_missing_namespace_is_a_404(self, witness: Witness) -> None:
        answer = witness.send("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
        assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')

    def test_bodies_that_are_no_such_object_are_refused(self, witness: Witness, maps: str) -> None:
        assert witness.send("POST", maps, {**config_map(), "kind": "Secret"}).status == 400
        assert witness.send("POST", maps, config_map(namespace="other")).status == 400
        assert witness.send("POST", maps, b"{x").status == 400
        assert witness.send("POST", maps, [1]).status == 400
        assert witness.send("POST", maps, b"x", media="text/plain").status == 415
        assert witness.send("PUT", maps, config_map()).status == 405
        assert witness.send("PUT", f"{maps}/other", config_map()).status == 400

    def test_wrong_types_are_refused_and_unknown_fields_dropped_or_refused(
        self, witness: Witness, maps: str, deployments: str
    ) -> None:
        answer = witness.send("POST", maps, config_map({"a": 1}))
        assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
        assert "json: cannot unmarshal number into Go struct field" in answer.message
        number = deployment(container(env=[{"name": "A", "value": 1}]))
        assert witness.send("POST", deployments, number).status == 400
        lax = witness.send("POST", maps, {**config_map(), "zzz": 1})
        assert (lax.status, "zzz" in lax.body) == (201, False)
        strict = witness.send("POST", maps, {**config_map(name="b"), "zzz": 1}, fieldValidation="Strict")
        assert (strict.status, 'strict decoding error: unknown field "zzz"' in strict.message) == (400, True)

    def test_too_large_objects_are_refused(self, witness: Witness, maps: str) -> None:
        big = witness.send("POST", maps, config_map({"a": "x" * 1_100_000}))
        assert (big.status, "Too long: may not be more than 1048576 bytes" in big.message) == (422, True)
        bigger = witness.send("POST", maps, config_map({"a": "x" * 3_300_000}))
        assert (bigger.status, bigger.message) == (413, "Request entity too large: limit is 3145728")

    def test_lists_select_and_page(self, witness: Witness, maps: str) -> None:
        for number in range(5):
            witness.send("POST", maps, config_map(name=f"m{number}", labels={"odd": str(number % 2 == 1)}))
        assert names(witness.send("GET", maps, labelSelector="odd=True")) == ["m1", "m3"]
        assert names(witness.send("GET", maps, labelSelector="odd!=True,odd")) == ["m0", "m2", "m4"]
        assert names(witness.send("GET", maps, fieldSelector="metadata.name=m2")) == ["m2"]
        assert witness.send("GET", maps, fieldSelector="data.x=1").status == 400
        assert witness.send("GET", maps, labelSelector="a in").status == 400
        seen: list[str] = []
        page = witness.send("GET", maps, limit="2", labelSelector="odd")
        seen += names(page)
        while token := page.body["metadata"].get("continue"):
            page = witness.send("GET", maps, limit="2", labelSelector="odd", **{"continue": token})
            seen += names(page)
        assert seen == ["m0", "m1", "m2", "m3", "m4"]

    def test_a_list_of_a_built_in_kind_shows_its_items_without_kind(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        answer = witness.send("GET", maps, fieldSelector="metadata.name=a")
        assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
        assert "kind" not in answer.body["items"][0]

    def test_a_collection_is_deleted_by_label(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map(name="a", labels={"x": "1"}))
        witness.send("POST", maps, config_map(name="b", labels={"x": "2"}))
        assert witness.send("DELETE", maps, labelSelector="x=1").status == 200
        assert names(witness.send("GET", maps, labelSelector="x")) == ["b"]

    def test_dry_runs_answer_like_writes_and_store_nothing(self, witness: Witness, maps: str) -> None:
        assert witness.send("POST", maps, config_map({"a": "1"}), dryRun="All").body["data"] == {"a": "1"}
        assert witness.send("GET", f"{maps}/a").status == 404
        witness.send("POST", maps, config_map({"a": "1"}))
        assert witness.send("DELETE", f"{maps}/a", dryRun="All").status == 200
        assert witness.apply(f"{maps}/a", config_map({"b": "1"}), dryRun="All").body["data"] == {"a": "1", "b": "1"}
        assert witness.send("GET", f"{maps}/a").body["data"] == {"a": "1"}


class TestPatches:
    def test_merge_patch(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map({"a": "1", "b": "2"}))
        answer = witness.send("PATCH", f"{maps}/a", {"data": {"a": None, "c": "3"}}, media=MERGE)
        assert (answer.status, answer.body["data"]) == (200, {"b": "2", "c": "3"})

    def test_json_patch_and_its_failing_test(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map({"a": "1"}))
        add = [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "add", "path": "/data/b", "value": "2"}]
        assert witness.send("PATCH", f"{maps}/a", add, media=JSON_PATCH).body["data"] == {"a": "1", "b": "2"}
        wrong = [{"op": "test", "path": "/data/a", "value": "9"}]
        answer = witness.send("PATCH", f"{maps}/a", wrong, media=JSON_PATCH)
        assert answer.status == 422
        assert answer.message == "the server rejected our request due to an error in our request"
        assert witness.send("PATCH", f"{maps}/a", {"op": "add"}, media=JSON_PATCH).status == 400

    def test_strategic_merge_patch_merges_lists_by_key_and_deletes_elements(
        self, witness: Witness, deployments: str
    ) -> None:
        witness.send("POST", deployments, deployment(container(env=[{"name": "A", "value": "1"}]), replicas=0))

        def patch(*containers: Json) -> list[Json]:
            body = {"spec": {"template": {"spec": {"containers": list(containers)}}}}
            answer = witness.send("PATCH", f"{deployments}/web", body, media=STRATEGIC)
            assert answer.status == 200, answer
            found: list[Json] = answer.body["spec"]["template"]["spec"]["containers"]
            return found

        side = {"name": "side", "image": "s:1"}
        both = patch({"name": "web", "env": [{"name": "B", "value": "2"}]}, side)
        by_name = {c["name"]: c for c in both}
        assert set(by_name) == {"web", "side"}
        assert sorted(e["name"] for e in by_name["web"]["env"]) == ["A", "B"]
        assert [c["name"] for c in patch({"name": "side", "$patch": "delete"})] == ["web"]

    def test_unknown_patch_formats_are_415(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        assert witness.send("PATCH", f"{maps}/a", {"x": 1}, media="application/json").status == 415

    def test_a_patch_with_a_stale_revision_is_a_409(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        stale = {"metadata": {"resourceVersion": "1"}, "data": {"a": "1"}}
        assert witness.send("PATCH", f"{maps}/a", stale, media=MERGE).status == 409
