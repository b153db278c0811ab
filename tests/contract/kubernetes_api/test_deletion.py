"""Finalizers, preconditions, dependents, namespaces."""

from __future__ import annotations

import itertools

import pytest

from tests.contract.kubernetes_api.builders import (
    config_map,
    deployment,
    names,
)
from tests.support.witness import MERGE, Witness, eventually

_numbers = itertools.count(1)


class TestDeletion:
    def test_finalizers_hold_an_object_until_they_are_gone(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map(finalizers=["example.org/hold"]))
        held = witness.send("DELETE", f"{maps}/a")
        assert held.status == 200
        assert held.body["metadata"]["deletionTimestamp"]
        more = {"metadata": {"finalizers": ["example.org/hold", "example.org/more"]}}
        assert witness.send("PATCH", f"{maps}/a", more, media=MERGE).status == 422
        freed = witness.send("PATCH", f"{maps}/a", {"metadata": {"finalizers": None}}, media=MERGE)
        assert freed.status == 200
        assert witness.send("GET", f"{maps}/a").status == 404

    def test_preconditions(self, witness: Witness, maps: str) -> None:
        uid = witness.send("POST", maps, config_map()).body["metadata"]["uid"]
        refused = witness.send("DELETE", f"{maps}/a", {"preconditions": {"uid": "other"}})
        assert refused.status == 409
        assert refused.message == (
            'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the '
            f"UID in record ({uid}). The object might have been deleted and then recreated"
        )
        assert witness.send("DELETE", f"{maps}/a", {"preconditions": {"uid": uid}}).status == 200

    @pytest.mark.parametrize("propagation", ["Background", "Foreground"])
    def test_dependents_go_with_their_owner(self, witness: Witness, space: str, propagation: str) -> None:
        deployments = f"/apis/apps/v1/{space}/deployments"
        witness.send("POST", deployments, deployment(replicas=1))
        sets = f"/apis/apps/v1/{space}/replicasets"
        assert eventually(lambda: names(witness.send("GET", sets)))
        witness.send("DELETE", f"{deployments}/web", {"propagationPolicy": propagation})
        assert eventually(lambda: not names(witness.send("GET", sets)))
        assert eventually(lambda: witness.send("GET", f"{deployments}/web").status == 404)

    def test_orphans_stay(self, witness: Witness, space: str) -> None:
        deployments = f"/apis/apps/v1/{space}/deployments"
        witness.send("POST", deployments, deployment(replicas=0))
        sets = f"/apis/apps/v1/{space}/replicasets"
        assert eventually(lambda: names(witness.send("GET", sets)))
        witness.send("DELETE", f"{deployments}/web", {"propagationPolicy": "Orphan"})
        assert eventually(lambda: witness.send("GET", f"{deployments}/web").status == 404)
        [left] = witness.send("GET", sets).body["items"]
        assert "ownerReferences" not in left["metadata"]

    def test_an_object_whose_owner_never_existed_is_collected(self, witness: Witness, maps: str) -> None:
        uid = "11111111-2222-3333-4444-555555555555"
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": uid}
        witness.send("POST", maps, config_map(ownerReferences=[owner]))
        assert eventually(lambda: witness.send("GET", f"{maps}/a").status == 404)


class TestNamespaces:
    def test_each_has_a_default_service_account_and_the_root_certificate(self, witness: Witness, space: str) -> None:
        assert eventually(lambda: witness.send("GET", f"/api/v1/{space}/serviceaccounts/default").status == 200)
        assert eventually(lambda: witness.send("GET", f"/api/v1/{space}/configmaps/kube-root-ca.crt").status == 200)

    def test_kube_system_tells_clusters_apart(self, witness: Witness) -> None:
        first = witness.core.read_namespace("kube-system").metadata.uid
        assert first == witness.core.read_namespace("kube-system").metadata.uid

    def test_a_deleted_one_takes_its_content_along_and_refuses_new_content_meanwhile(self, witness: Witness) -> None:
        name = f"doomed-{next(_numbers)}"
        maps = f"/api/v1/namespaces/{name}/configmaps"
        witness.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        witness.send("POST", maps, config_map(finalizers=["example.org/hold"]))
        going = witness.send("DELETE", f"/api/v1/namespaces/{name}")
        assert going.body["status"]["phase"] == "Terminating"
        late = witness.send("POST", maps, config_map(name="late"))
        why = f"unable to create new content in namespace {name} because it is being terminated"
        assert (late.status, late.message) == (403, f'configmaps "late" is forbidden: {why}')
        assert late.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        assert eventually(lambda: self._remaining(witness, name))
        witness.send("PATCH", f"{maps}/a", {"metadata": {"finalizers": None}}, media=MERGE)
        assert eventually(lambda: witness.send("GET", f"/api/v1/namespaces/{name}").status == 404, seconds=60)

    @staticmethod
    def _remaining(witness: Witness, name: str) -> bool:
        status = witness.send("GET", f"/api/v1/namespaces/{name}").body["status"]
        messages = [c.get("message", "") for c in status.get("conditions") or () if c["status"] == "True"]
        text = "Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances"
        return text in messages
