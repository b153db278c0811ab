"""Server-side apply, and what no write may change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kubernetes_api.builders import (
    config_map,
    container,
    deployment,
    job,
    owners,
    revision,
)
from tests.support.witness import MERGE, Witness

Json = dict[str, Any]


class TestServerSideApply:
    def test_apply_creates_and_applying_again_is_no_write(self, witness: Witness, maps: str) -> None:
        wanted = config_map({"a": "1"}, labels={"l": "1"})
        made = witness.apply(f"{maps}/a", wanted, manager="one")
        assert made.status == 201
        assert owners(made.body) == {("one", "Apply"): {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}}
        again = witness.apply(f"{maps}/a", wanted, manager="one")
        assert again.status == 200
        assert revision(again.body) == revision(made.body)

    def test_what_the_applier_no_longer_names_is_removed_unless_others_own_it(
        self, witness: Witness, maps: str
    ) -> None:
        witness.apply(f"{maps}/a", config_map({"mine": "1", "shared": "1"}), manager="one")
        witness.apply(f"{maps}/a", config_map({"shared": "1"}), manager="two")
        left = witness.apply(f"{maps}/a", config_map(), manager="one")
        assert left.body["data"] == {"shared": "1"}
        assert ("one", "Apply") not in owners(left.body)
        assert "data" not in witness.apply(f"{maps}/a", config_map(), manager="two").body

    def test_a_conflict_names_fields_and_managers(self, witness: Witness, maps: str) -> None:
        witness.apply(f"{maps}/a", config_map({"a": "1"}), manager="one")
        answer = witness.apply(f"{maps}/a", config_map({"a": "2"}), manager="two")
        cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
        assert answer.status == 409
        assert answer.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'Apply failed with 1 conflict: conflict with "one": .data.a',
            "reason": "Conflict",
            "details": {"causes": [cause]},
            "code": 409,
        }

    def test_conflicts_with_updaters_name_the_version_and_are_listed_by_manager(
        self, witness: Witness, maps: str
    ) -> None:
        witness.apply(f"{maps}/a", config_map({"a": "1", "b": "1"}, labels={"l": "1"}), manager="one")
        witness.send("PUT", f"{maps}/a", config_map({"a": "1", "b": "2", "c": "3"}, labels={"l": "1"}))
        answer = witness.apply(
            f"{maps}/a", config_map({"a": "7", "b": "7", "c": "7"}, labels={"l": "7"}), manager="two"
        )
        assert answer.status == 409
        assert answer.message == (
            'Apply failed with 4 conflicts: conflicts with "one":\n- .data.a\n- .metadata.labels.l\n'
            'conflicts with "witness" using v1:\n- .data.b\n- .data.c'
        )
        fields = {c["field"] for c in answer.body["details"]["causes"]}
        assert fields == {".data.a", ".data.b", ".data.c", ".metadata.labels.l"}

    def test_force_takes_the_fields_over(self, witness: Witness, maps: str) -> None:
        witness.apply(f"{maps}/a", config_map({"a": "1", "b": "1"}), manager="one")
        forced = witness.apply(f"{maps}/a", config_map({"a": "2"}), manager="two", force="true")
        assert forced.body["data"] == {"a": "2", "b": "1"}
        assert owners(forced.body) == {
            ("one", "Apply"): {"f:data": {"f:b": {}}},
            ("two", "Apply"): {"f:data": {"f:a": {}}},
        }

    def test_equal_values_are_shared_without_conflict(self, witness: Witness, maps: str) -> None:
        witness.apply(f"{maps}/a", config_map({"a": "1"}), manager="one")
        shared = witness.apply(f"{maps}/a", config_map({"a": "1"}), manager="two")
        assert shared.status == 200
        assert len(owners(shared.body)) == 2

    def test_keyed_lists_merge_by_element(self, witness: Witness, deployments: str) -> None:
        path = f"{deployments}/web"
        witness.apply(path, deployment(container(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])))
        other = deployment({"name": "web", "env": [{"name": "B", "value": "2"}]})
        merged = witness.apply(path, other, manager="other")
        assert merged.status == 200, merged
        found = merged.body["spec"]["template"]["spec"]["containers"]
        assert [c["name"] for c in found] == ["web"]
        assert {e["name"]: e["value"] for e in found[0]["env"]} == {"A": "1", "B": "2"}
        mine = owners(merged.body)["witness", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
        assert set(mine['k:{"name":"web"}']["f:ports"]) == {'k:{"containerPort":80,"protocol":"TCP"}'}
        less = witness.apply(path, deployment(container()))
        assert less.body["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "2"}]

    def test_atomic_fields_conflict_as_a_whole(self, witness: Witness, space: str) -> None:
        path = f"/api/v1/{space}/services/s"
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
        ports = [{"port": 80, "name": "http"}]
        assert witness.apply(path, {**body, "spec": {"ports": ports, "selector": {"a": "1"}}}).status == 201
        answer = witness.apply(path, {**body, "spec": {"ports": ports, "selector": {"b": "1"}}}, manager="other")
        assert answer.message == 'Apply failed with 1 conflict: conflict with "witness": .spec.selector'

    def test_a_scaled_deployment_contests_its_replicas(self, witness: Witness, deployments: str) -> None:
        path = f"{deployments}/web"
        witness.apply(path, deployment(replicas=0))
        assert witness.send("PATCH", f"{path}/scale", {"spec": {"replicas": 1}}, media=MERGE).status == 200
        answer = witness.apply(path, deployment(replicas=0))
        assert answer.message == (
            'Apply failed with 1 conflict: conflict with "witness" with subresource "scale" using apps/v1: '
            ".spec.replicas"
        )
        unnamed = witness.apply(path, deployment())
        assert (unnamed.status, unnamed.body["spec"]["replicas"]) == (200, 1)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (config_map({"x": 1}), ".data.x: expected string, got &value.valueUnstructured{Value:1}"),
            ({**config_map(), "zzz": 1}, ".zzz: field not declared in schema"),
        ],
        ids=["a wrong type", "an unknown field"],
    )
    def test_what_is_not_of_the_kinds_type_is_refused(
        self, witness: Witness, maps: str, body: Json, message: str
    ) -> None:
        answer = witness.apply(f"{maps}/a", body)
        assert answer.status == 500
        assert answer.message == f"failed to create typed patch object (/a; /v1, Kind=ConfigMap): {message}"

    def test_a_keyed_list_names_each_key_once(self, witness: Witness, deployments: str) -> None:
        twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
        answer = witness.apply(f"{deployments}/web", deployment(container(env=twice)))
        assert answer.status == 500
        assert answer.message.endswith(
            '.spec.template.spec.containers[name="web"].env: duplicate entries for key [name="A"]'
        )

    def test_requests_that_are_no_apply_are_refused(self, witness: Witness, maps: str) -> None:
        path = f"{maps}/a"
        unnamed = witness.send("PATCH", path, config_map(), media="application/apply-patch+yaml")
        assert (unnamed.status, "fieldManager: Required value: is required for apply patch" in unnamed.message) == (
            422,
            True,
        )
        held = witness.apply(path, config_map(managedFields=[{"manager": "x", "operation": "Apply"}]))
        assert (held.status, held.message) == (400, "metadata.managedFields must be nil")
        assert witness.apply(path, config_map(name="other")).status == 400
        assert witness.apply(path, {"metadata": {"name": "a"}}).message == "invalid object type: /, Kind="
        assert witness.apply(path, config_map(uid="123")).status == 409
        assert witness.apply("/api/v1/namespaces/nowhere/configmaps/a", config_map()).status == 404

    def test_yaml_is_applied_as_kubernetes_reads_it(self, witness: Witness, maps: str) -> None:
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {day: '2026-01-01', n: \"1\"}\n"
        answer = witness.send("PATCH", f"{maps}/a", text, media="application/apply-patch+yaml", fieldManager="w")
        assert answer.body["data"] == {"day": "2026-01-01", "false": "1"}

    def test_an_update_takes_the_fields_it_changes_from_the_applier(self, witness: Witness, maps: str) -> None:
        witness.apply(f"{maps}/a", config_map({"a": "1", "b": "1"}), manager="one")
        changed = witness.send("PATCH", f"{maps}/a", {"data": {"a": "2"}}, media=MERGE, fieldManager="editor")
        assert owners(changed.body) == {
            ("one", "Apply"): {"f:data": {"f:b": {}}},
            ("editor", "Update"): {"f:data": {"f:a": {}}},
        }


class TestImmutableFields:
    def test_the_selector_of_a_deployment(self, witness: Witness, deployments: str) -> None:
        witness.apply(f"{deployments}/web", deployment(replicas=0))
        other = deployment(labels={"app": "other"}, selector={"matchLabels": {"app": "other"}})
        answer = witness.apply(f"{deployments}/web", other, force="true")
        assert answer.status == 422
        assert "spec.selector: Invalid value: " in answer.message
        assert answer.message.endswith(": field is immutable")
        assert answer.body["details"]["causes"][0]["field"] == "spec.selector"

    def test_the_address_of_a_service(self, witness: Witness, space: str) -> None:
        services = f"/api/v1/{space}/services"
        made = witness.send("POST", services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        assert made.body["spec"]["clusterIP"] == made.body["spec"]["clusterIPs"][0]
        answer = witness.send("PATCH", f"{services}/s", {"spec": {"clusterIP": "10.0.0.77"}}, media=MERGE)
        assert answer.status == 422
        text = 'spec.clusterIPs[0]: Invalid value: ["10.0.0.77"]: may not change once set'
        assert answer.message == f'Service "s" is invalid: {text}'

    def test_the_template_of_a_job(self, witness: Witness, space: str) -> None:
        jobs = f"/apis/batch/v1/{space}/jobs"
        body = job()
        assert witness.apply(f"{jobs}/j", body).status == 201
        assert witness.apply(f"{jobs}/j", body).status == 200
        answer = witness.apply(f"{jobs}/j", job(image="i:2"))
        assert answer.status == 422
        assert answer.message.startswith('Job.batch "j" is invalid: spec.template: Invalid value: ')
        assert answer.message.endswith(": field is immutable")

    def test_the_role_of_a_binding(self, witness: Witness, space: str) -> None:
        bindings = f"/apis/rbac.authorization.k8s.io/v1/{space}/rolebindings"
        reference = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
        witness.send("POST", bindings, {"metadata": {"name": "b"}, "roleRef": reference})
        answer = witness.send("PATCH", f"{bindings}/b", {"roleRef": {"name": "other"}}, media=MERGE)
        assert (answer.status, answer.message.endswith(": cannot change roleRef")) == (422, True)

    def test_a_deployment_must_select_its_own_pods(self, witness: Witness, deployments: str) -> None:
        answer = witness.apply(f"{deployments}/web", deployment(labels={"app": "other"}))
        assert answer.status == 422
        assert answer.message == (
            'Deployment.apps "web" is invalid: spec.template.metadata.labels: Invalid value: {"app":"other"}: '
            "`selector` does not match template `labels`"
        )
