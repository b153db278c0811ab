"""Custom kinds, certificates, discovery."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from emco_simcluster import built_in
from tests.contract.kubernetes_api.builders import (
    CRDS,
    REVIEW,
    as_user,
    conditions_of,
    definition,
    signing_request,
)
from tests.support.controlplane import ControlPlane
from tests.support.witness import MERGE, STRATEGIC, Witness, eventually

Json = dict[str, Any]


class TestCustomResources:
    @pytest.fixture
    def group(self, witness: Witness, space: str) -> Iterator[str]:
        name = f"{space.partition('/')[2]}.example.org"
        yield name
        witness.send("DELETE", f"{CRDS}/things.{name}")

    @pytest.fixture
    def things(self, witness: Witness, space: str, group: str) -> str:
        """The path of a custom resource that is served."""
        witness.apply(f"{CRDS}/things.{group}", definition(group, subresources={"status": {}}))
        path = f"/apis/{group}/v1/{space}/things"
        assert eventually(lambda: witness.send("GET", path).status == 200)
        return path

    @staticmethod
    def thing(group_path: str, spec: Json, name: str = "a", **more: Any) -> Json:
        api_version = "/".join(group_path.split("/")[2:4])
        return {"apiVersion": api_version, "kind": "Thing", "metadata": {"name": name}, "spec": spec, **more}

    def test_a_kind_is_unknown_until_its_definition_is_established(
        self, witness: Witness, space: str, group: str
    ) -> None:
        path = f"/apis/{group}/v1/{space}/things"
        unknown = witness.send("GET", path)
        assert (unknown.status, unknown.body) == (404, {"text": "404 page not found\n"})
        made = witness.send("POST", CRDS, definition(group))
        assert made.status == 201
        assert "Established" not in conditions_of(made.body)

        def established() -> bool:
            return conditions_of(witness.send("GET", f"{CRDS}/things.{group}").body).get("Established") == "True"

        assert eventually(established)
        assert eventually(lambda: witness.send("GET", path).status == 200)
        listed = eventually(lambda: witness.send("GET", f"/apis/{group}/v1").body.get("resources"))
        entry = next(r for r in listed if r["name"] == "things")
        assert (entry["kind"], entry["shortNames"], entry["namespaced"]) == ("Thing", ["tg"], True)

    def test_apply_follows_the_list_types_of_the_schema(self, witness: Witness, things: str) -> None:
        first = {"keyed": [{"name": "x", "v": 1}], "whole": ["1"]}
        assert witness.apply(f"{things}/a", self.thing(things, first), manager="one").status == 201
        more = witness.apply(f"{things}/a", self.thing(things, {"keyed": [{"name": "y", "v": 2}]}), manager="two")
        assert [k["name"] for k in more.body["spec"]["keyed"]] == ["x", "y"]
        clash = witness.apply(f"{things}/a", self.thing(things, {"whole": ["2"]}), manager="two")
        assert clash.message == 'Apply failed with 1 conflict: conflict with "one": .spec.whole'

    def test_the_status_has_its_own_door_and_generations_count_the_rest(self, witness: Witness, things: str) -> None:
        made = witness.send("POST", things, self.thing(things, {"free": {"a": 1}}, status={"ok": False}))
        assert "status" not in made.body
        status = witness.send("PATCH", f"{things}/a/status", {"status": {"ok": True}}, media=MERGE)
        assert (status.body["status"], status.body["metadata"]["generation"]) == ({"ok": True}, 1)
        body = {"spec": {"free": {"a": 2}}, "status": {"ok": False}}
        spec = witness.send("PATCH", f"{things}/a", body, media=MERGE)
        assert (spec.body["status"], spec.body["metadata"]["generation"]) == ({"ok": True}, 2)

    def test_custom_objects_are_stricter_than_built_in_ones(self, witness: Witness, things: str) -> None:
        witness.send("POST", things, self.thing(things, {}))
        assert witness.send("PATCH", f"{things}/a", {"spec": {}}, media=STRATEGIC).status == 415
        unconditional = witness.send("PUT", f"{things}/a", self.thing(things, {}))
        assert unconditional.status == 422
        assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in unconditional.message
        assert witness.send("POST", things, {"metadata": {"name": "b"}}).status == 400

    def test_the_objects_go_with_their_definition(self, witness: Witness, things: str) -> None:
        group = things.split("/")[2]
        witness.send("POST", things, self.thing(things, {}))
        witness.send("DELETE", f"{CRDS}/things.{group}")
        assert eventually(lambda: witness.send("GET", f"{CRDS}/things.{group}").status == 404)
        assert eventually(lambda: witness.send("GET", things).status == 404)

    def test_a_definition_must_be_named_for_its_kind(self, witness: Witness, group: str) -> None:
        answer = witness.send("POST", CRDS, {**definition(group), "metadata": {"name": "x"}})
        assert answer.status == 422
        assert 'metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group' in answer.message


class TestCertificates:
    def test_an_approved_request_is_signed_and_the_certificate_signs_in(
        self, witness: Witness, kubeconfig: str, space: str
    ) -> None:
        name = space.partition("/")[2]
        user = f"user-{name}"
        key, request = signing_request(user, "team-a")
        requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        spec = {
            "request": base64.b64encode(request).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth", "digital signature"],
            "expirationSeconds": 3600,
        }
        made = witness.send("POST", requests, {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made
        assert made.body["spec"]["username"]
        assert "certificate" not in made.body["status"]
        approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "approved by the suite"}
        answer = witness.send("PUT", f"{requests}/{name}/approval", {**made.body, "status": {"conditions": [approved]}})
        assert answer.status == 200, answer

        def issued() -> str:
            return str(witness.send("GET", f"{requests}/{name}").body["status"].get("certificate", ""))

        certificate = base64.b64decode(eventually(issued))
        subject = x509.load_pem_x509_certificate(certificate).subject
        assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == user
        other = Witness(as_user(kubeconfig, certificate, key))
        review = other.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", REVIEW)
        other.close()
        witness.send("DELETE", f"{requests}/{name}")
        assert review.status == 201, review
        assert review.body["status"]["userInfo"]["username"] == user
        assert {"team-a", "system:authenticated"} <= set(review.body["status"]["userInfo"]["groups"])

    def test_what_is_no_signing_request_is_refused(self, witness: Witness) -> None:
        spec = {"request": "eA==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
        body = {"metadata": {"name": "bad"}, "spec": spec}
        answer = witness.send("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", body)
        assert (answer.status, "spec.request: Invalid value: " in answer.message) == (422, True)


class TestDiscovery:
    def test_groups_versions_and_resources(self, witness: Witness) -> None:
        groups = {g["name"]: g["preferredVersion"]["version"] for g in witness.send("GET", "/apis").body["groups"]}
        assert groups["apps"] == "v1"
        assert groups["batch"] == "v1"
        assert witness.send("GET", "/api").body["versions"] == ["v1"]
        listed = {r["name"]: r for r in witness.send("GET", "/apis/apps/v1").body["resources"]}
        assert listed["deployments"]["kind"] == "Deployment"
        assert listed["deployments"]["shortNames"] == ["deploy"]
        assert {"get", "list", "watch", "patch", "deletecollection"} <= set(listed["deployments"]["verbs"])
        assert listed["deployments/scale"]["kind"] == "Scale"
        core = {r["name"]: r for r in witness.send("GET", "/api/v1").body["resources"]}
        assert core["namespaces"]["namespaced"] is False
        assert core["pods"]["namespaced"] is True

    def test_what_is_not_served_is_a_404_of_either_kind(self, witness: Witness, space: str) -> None:
        assert witness.send("GET", "/apis/nope.io/v1/things").body == {"text": "404 page not found\n"}
        unknown = witness.send("GET", f"/apis/apps/v1/{space}/things")
        assert (unknown.status, unknown.message) == (404, "the server could not find the requested resource")
        assert witness.send("GET", f"/api/v1/{space}/configmaps/a/status").status == 404

    def test_nobody_is_let_in_without_credentials(self, kubeconfig: str) -> None:
        config = yaml.safe_load(kubeconfig)
        config["users"][0]["user"] = {"token": "wrong"}
        stranger = Witness(yaml.safe_dump(config))
        answer = stranger.send("GET", "/api/v1/namespaces")
        open_paths = [stranger.send("GET", path).status for path in ("/livez", "/readyz")]
        stranger.close()
        if answer.status == 403:  # a server that lets anonymous users ask takes a bad token for no token
            assert 'User "system:anonymous"' in answer.message
            return
        assert answer.status == 401
        assert answer.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Unauthorized",
            "reason": "Unauthorized",
            "code": 401,
        }
        assert all(status in (200, 401) for status in open_paths)


def test_the_structures_the_simulated_cluster_calls_closed_are_those_of_a_real_one(control_plane: ControlPlane) -> None:
    """Unknown fields are refused by name, so the names must be right. Only a real server has a schema to ask."""
    documents = ("api/v1", "apis/apps/v1", "apis/batch/v1")
    schemas: Json = {}
    witness = Witness(control_plane.kubeconfig)
    for document in documents:
        schemas |= witness.send("GET", f"/openapi/v3/{document}").body["components"]["schemas"]
    closed = {
        "core.v1.Container": built_in.CONTAINER,
        "core.v1.ContainerPort": built_in.CONTAINER_PORT,
        "core.v1.EnvVar": built_in.ENVIRONMENT,
        "core.v1.VolumeMount": built_in.VOLUME_MOUNT,
        "core.v1.PodSpec": built_in.POD_SPEC,
        "core.v1.ServiceSpec": built_in.SERVICE_SPEC,
        "core.v1.ServicePort": built_in.SERVICE_PORT,
        "core.v1.PersistentVolumeClaimSpec": built_in.CLAIM_SPEC,
        "apps.v1.DeploymentSpec": built_in.DEPLOYMENT_SPEC,
        "apps.v1.ReplicaSetSpec": built_in.REPLICA_SET_SPEC,
        "apps.v1.StatefulSetSpec": built_in.STATEFUL_SET_SPEC,
        "apps.v1.DaemonSetSpec": built_in.DAEMON_SET_SPEC,
        "batch.v1.JobSpec": built_in.JOB_SPEC,
        "batch.v1.CronJobSpec": built_in.CRON_JOB_SPEC,
    }
    for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount"):
        closed[f"core.v1.{kind}"] = built_in.BUILT_IN_SHAPES[kind]
    for name, shape in closed.items():
        assert set(shape.fields) == set(schemas[f"io.k8s.api.{name}"]["properties"]), name
