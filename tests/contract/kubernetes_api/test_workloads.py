"""What makes pods, and when it is ready."""

from __future__ import annotations

from typing import Any

from tests.contract.kubernetes_api.builders import (
    container,
    deployment,
    job,
    names,
)
from tests.support.witness import Witness, eventually


class TestWorkloads:
    def test_a_deployment_becomes_ready_through_a_replica_set_and_pods(self, witness: Witness, space: str) -> None:
        namespace = space.partition("/")[2]
        witness.apps.create_namespaced_deployment(namespace, deployment(replicas=2))

        def ready() -> Any:
            found = witness.apps.read_namespaced_deployment("web", namespace)
            done = found.status.observed_generation == found.metadata.generation
            return found if done and found.status.available_replicas == 2 else None

        found = eventually(ready, seconds=60)
        assert found
        conditions = {c.type: (c.status, c.reason) for c in found.status.conditions}
        assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
        assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")
        assert found.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
        pods = witness.core.list_namespaced_pod(namespace, label_selector="app=web").items
        assert [p.status.phase for p in pods] == ["Running", "Running"]
        assert {p.metadata.owner_references[0].kind for p in pods} == {"ReplicaSet"}
        assert all("pod-template-hash" in p.metadata.labels for p in pods)

    def test_a_new_template_replaces_the_pods(self, witness: Witness, space: str) -> None:
        namespace = space.partition("/")[2]
        path = f"/apis/apps/v1/{space}/deployments/web"
        witness.apply(path, deployment(replicas=1))
        assert eventually(lambda: self._images(witness, namespace) == ["nginx:1"], seconds=60)
        assert (
            witness.apply(path, deployment(container(image="nginx:2"), replicas=1)).body["metadata"]["generation"] == 2
        )
        assert eventually(lambda: self._images(witness, namespace) == ["nginx:2"], seconds=60)

    @staticmethod
    def _images(witness: Witness, namespace: str) -> list[str]:
        pods = witness.core.list_namespaced_pod(namespace, label_selector="app=web").items
        return [p.spec.containers[0].image for p in pods if p.status.phase == "Running"]

    def test_a_deleted_pod_is_replaced(self, witness: Witness, space: str) -> None:
        pods = f"/api/v1/{space}/pods"
        witness.send("POST", f"/apis/apps/v1/{space}/deployments", deployment(replicas=1))
        first = eventually(lambda: names(witness.send("GET", pods)), seconds=60)
        witness.send("DELETE", f"{pods}/{first[0]}", {"gracePeriodSeconds": 0})
        assert eventually(lambda: (now := names(witness.send("GET", pods))) and now != first, seconds=60)

    def test_a_stateful_set_names_its_pods_and_claims(self, witness: Witness, space: str) -> None:
        namespace = space.partition("/")[2]
        spec = {**deployment(name="db")["spec"], "serviceName": "db", "replicas": 2}
        witness.apps.create_namespaced_stateful_set(
            namespace, {"metadata": {"name": "db"}, "spec": {**spec, "podManagementPolicy": "Parallel"}}
        )

        def ready() -> Any:
            status = witness.apps.read_namespaced_stateful_set("db", namespace).status
            return status if status.ready_replicas == 2 else None

        status = eventually(ready, seconds=60)
        assert status.current_revision == status.update_revision
        assert names(witness.send("GET", f"/api/v1/{space}/pods")) == ["db-0", "db-1"]

    def test_a_daemon_set_runs_on_every_node(self, witness: Witness, space: str) -> None:
        namespace = space.partition("/")[2]
        witness.apps.create_namespaced_daemon_set(
            namespace, {"metadata": {"name": "d"}, "spec": deployment(name="d")["spec"]}
        )
        nodes = len(witness.core.list_node().items)

        def ready() -> bool:
            status = witness.apps.read_namespaced_daemon_set("d", namespace).status
            return bool(status.desired_number_scheduled == nodes == status.number_ready)

        assert eventually(ready, seconds=60)

    def test_a_job_completes(self, witness: Witness, space: str) -> None:
        namespace = space.partition("/")[2]
        witness.batch.create_namespaced_job(namespace, job())

        def complete() -> bool:
            conditions = witness.batch.read_namespaced_job("j", namespace).status.conditions or ()
            return any(c.type == "Complete" and c.status == "True" for c in conditions)

        assert eventually(complete, seconds=60)
        assert witness.batch.read_namespaced_job("j", namespace).status.succeeded == 1

    def test_a_bare_pod_runs_and_its_deletion_is_graceful(self, witness: Witness, space: str) -> None:
        pods = f"/api/v1/{space}/pods"
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [container()], "terminationGracePeriodSeconds": 1}}
        witness.send("POST", pods, pod)

        def running() -> bool:
            return bool(witness.send("GET", f"{pods}/p").body["status"]["phase"] == "Running")

        assert eventually(running, seconds=60)
        going = witness.send("DELETE", f"{pods}/p")
        assert going.body["metadata"]["deletionGracePeriodSeconds"] == 1
        assert eventually(lambda: witness.send("GET", f"{pods}/p").status == 404, seconds=60)
