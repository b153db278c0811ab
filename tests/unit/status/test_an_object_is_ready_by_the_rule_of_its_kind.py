"""Spec orchestrator-lifecycle 12.4, the table of readiness, and defect 26."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.status.readiness import Ready, readiness


def pod(phase: str = "Running", *, ready: str = "False", labels: dict[str, str] | None = None, **status: Any) -> Any:
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": labels or {}},
        "status": {"phase": phase, "conditions": conditions, **status},
    }


def service(**spec: Any) -> Any:
    return {"apiVersion": "v1", "kind": "Service", "spec": spec}


def deployment(ready: int, *, replicas: Any = 4, strategy: Any = None, **spec: Any) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": replicas, "strategy": strategy or {"type": "Recreate"}, **spec},
        "status": {"readyReplicas": ready},
    }


def rolling(**fields: Any) -> Any:
    return {"type": "RollingUpdate", "rollingUpdate": fields}


def daemon_set(ready: int, *, updated: int = 3, slack: Any = 1, kind: str = "RollingUpdate") -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "spec": {"updateStrategy": {"type": kind, "rollingUpdate": {"maxUnavailable": slack}}},
        "status": {"desiredNumberScheduled": 3, "updatedNumberScheduled": updated, "numberReady": ready},
    }


def stateful_set(ready: int, *, updated: int = 3, partition: int = 0, kind: str = "RollingUpdate") -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "spec": {"replicas": 3, "updateStrategy": {"type": kind, "rollingUpdate": {"partition": partition}}},
        "status": {"readyReplicas": ready, "updatedReplicas": updated},
    }


def job(succeeded: int = 0, failed: int = 0, *, conditions: Any = (), **spec: Any) -> Any:
    status = {"succeeded": succeeded, "failed": failed, "conditions": list(conditions)}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec, "status": status}


JOB_POD = {"job-name": "load"}
ADDRESS = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}


@pytest.mark.parametrize(
    ("live", "ok"),
    [
        pytest.param(pod(ready="True"), True, id="pod whose condition says so"),
        pytest.param(pod(), False, id="pod whose condition denies it"),
        pytest.param(pod("Succeeded", labels=JOB_POD), True, id="pod of a job that succeeded"),
        pytest.param(pod("Failed", labels=JOB_POD), False, id="pod of a job that failed"),
        pytest.param(pod(ready="True", labels=JOB_POD), False, id="pod of a job that still runs"),
        pytest.param(service(type="ExternalName"), True, id="external name"),
        pytest.param(service(type="ClusterIP", clusterIP="10.0.0.1"), True, id="cluster address"),
        pytest.param(service(type="ClusterIP", clusterIP="None"), True, id="headless"),
        pytest.param(service(type="ClusterIP"), False, id="no cluster address"),
        pytest.param(service(type="LoadBalancer", clusterIP="10.0.0.1"), False, id="balancer without address"),
        pytest.param(service(type="LoadBalancer", clusterIP="10.0.0.1") | ADDRESS, True, id="balancer with address"),
        pytest.param(
            service(type="LoadBalancer", clusterIP="10.0.0.1", externalIPs=["192.0.2.8"]), True, id="external address"
        ),
        pytest.param(deployment(4), True, id="all replicas"),
        pytest.param(deployment(3), False, id="one replica short"),
        pytest.param(deployment(0, paused=True), True, id="paused"),
        pytest.param(deployment(3, strategy=rolling(maxUnavailable="25%", maxSurge=1)), True, id="a quarter may lack"),
        pytest.param(deployment(3, strategy=rolling(maxUnavailable="24%", maxSurge=1)), False, id="rounded down"),
        pytest.param(deployment(3, strategy=rolling(maxUnavailable=0, maxSurge=0)), True, id="both zero count as one"),
        pytest.param(deployment(0, strategy=rolling(maxUnavailable=9, maxSurge=0)), True, id="at most all may lack"),
        pytest.param(deployment(0, replicas=0, strategy=rolling(maxUnavailable="x")), True, id="scaled to nothing"),
        pytest.param(deployment(0, replicas=None), False, id="unsaid replicas are one"),
        pytest.param(daemon_set(3), True, id="daemon set complete"),
        pytest.param(daemon_set(2), True, id="daemon set, one may lack"),
        pytest.param(daemon_set(1), False, id="daemon set, two lack"),
        pytest.param(daemon_set(1, slack="34%"), True, id="daemon set rounds up"),
        pytest.param(daemon_set(0, slack="many"), True, id="daemon set, invalid slack is all"),
        pytest.param(daemon_set(3, updated=2), False, id="daemon set being updated"),
        pytest.param(daemon_set(0, updated=0, kind="OnDelete"), True, id="daemon set on delete"),
        pytest.param(stateful_set(3), True, id="stateful set complete"),
        pytest.param(stateful_set(2), False, id="stateful set, one lacks"),
        pytest.param(stateful_set(3, updated=2), False, id="stateful set being updated"),
        pytest.param(stateful_set(3, updated=1, partition=2), True, id="stateful set updated up to its partition"),
        pytest.param(stateful_set(0, kind="OnDelete"), True, id="stateful set on delete"),
        pytest.param(job(1), True, id="job done"),
        pytest.param(job(), False, id="job under way"),
        pytest.param(job(2, completions=3), False, id="job with completions to go"),
        pytest.param(job(3, failed=2, completions=3, backoffLimit=2), True, id="job that failed within its limit"),
        pytest.param(job(1, failed=3, backoffLimit=2), False, id="job that failed too often"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap"}, True, id="config map"),
        pytest.param({"apiVersion": "serving.knative.dev/v1", "kind": "Service"}, True, id="like-named foreign kind"),
    ],
)
def test_the_rule_of_its_kind_decides(live: Any, ok: bool) -> None:
    verdict = readiness(live)

    assert verdict.ok is ok
    assert bool(verdict.reason) is not ok


@pytest.mark.parametrize("live", [deployment(4), stateful_set(3), daemon_set(3)], ids=lambda live: str(live["kind"]))
def test_a_status_of_an_older_generation_does_not_count(live: Any) -> None:
    seen = {**live, "metadata": {"generation": 2}, "status": {**live["status"], "observedGeneration": 2}}
    unseen = {**seen, "status": {**live["status"], "observedGeneration": 1}}

    assert readiness(seen).ok
    assert readiness(unseen).reason == "generation 2 is not observed yet"


def test_what_is_being_deleted_is_not_ready() -> None:
    leaving = {**pod(ready="True"), "metadata": {"deletionTimestamp": "2026-03-01T08:00:00Z"}}

    assert readiness(leaving).reason == "is being deleted"


@pytest.mark.parametrize(
    "live",
    [
        pytest.param(pod("Failed", message="node was low on memory"), id="pod"),
        pytest.param(job(failed=1, conditions=[{"type": "Failed", "status": "True", "reason": "Deadline"}]), id="job"),
        pytest.param(
            {
                **deployment(4),
                "status": {
                    "readyReplicas": 4,
                    "conditions": [
                        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
                    ],
                },
            },
            id="deployment",
        ),
    ],
)
def test_what_will_not_heal_by_waiting_says_so(live: Any) -> None:
    verdict = readiness(live)

    assert verdict.failed
    assert verdict.reason


def test_a_container_that_cannot_start_gives_its_reason() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    live = pod("Pending", containerStatuses=[{"name": "web", "state": {"waiting": waiting}}])

    assert readiness(live).reason == "web: ImagePullBackOff: not found"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["99999999%", "-1%", "True"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["replicas", "readyReplicas", "conditions", "strategy", "updateStrategy", "paused", "failed"])


@given(
    st.sampled_from(["v1/Pod", "v1/Service", "apps/v1/Deployment", "apps/v1/DaemonSet", "apps/v1/StatefulSet"]),
    st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JUNK | st.dictionaries(FIELDS, JUNK)),
)
def test_whatever_a_cluster_sends_there_is_a_verdict(kind: str, parts: dict[str, Any]) -> None:
    version, _, name = kind.rpartition("/")

    verdict = readiness({**parts, "apiVersion": version, "kind": name})

    assert verdict.ok or verdict.reason


# As kstatus judges what the specification has no rule for


def _of(kind: str, *, api_version: str = "example.org/v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"generation": 2}, **fields}


def _with(**conditions: str) -> dict[str, Any]:
    found = [{"type": name, "status": status, "message": f"{name} is {status}"} for name, status in conditions.items()]
    return {"conditions": found}


@pytest.mark.parametrize(
    ("live", "ready", "failed", "reason"),
    [
        (_of("Widget"), True, False, ""),
        (_of("Widget", status=_with(Ready="True")), True, False, ""),
        (_of("Widget", status=_with(Ready="False")), False, False, "Ready is False"),
        (_of("Widget", status=_with(Ready="Unknown")), False, False, "Ready is Unknown"),
        (_of("Widget", status=_with(Reconciling="True", Ready="True")), False, False, "Reconciling is True"),
        (_of("Widget", status=_with(Stalled="True")), False, True, "Stalled is True"),
        (_of("Widget", status={"observedGeneration": 1}), False, False, "generation 2 is not observed yet"),
        (_of("Widget", status={"observedGeneration": 2}), True, False, ""),
        (_of("Widget", metadata={"deletionTimestamp": "now"}), False, False, "is being deleted"),
        (_of("ConfigMap", api_version="v1", metadata={"deletionTimestamp": "now"}), False, False, "is being deleted"),
        (_of("PersistentVolumeClaim", api_version="v1", status={"phase": "Bound"}), True, False, ""),
        (
            _of("PersistentVolumeClaim", api_version="v1", status={"phase": "Pending"}),
            False,
            False,
            "the claim has no volume yet",
        ),
        (
            _of("PersistentVolumeClaim", api_version="v1", status={"phase": "Lost"}),
            False,
            True,
            "the volume of the claim is lost",
        ),
        (_of("PodDisruptionBudget", api_version="policy/v1", status={"observedGeneration": 2}), True, False, ""),
        (
            _of("HorizontalPodAutoscaler", api_version="autoscaling/v2", status=_with(AbleToScale="False")),
            True,
            False,
            "",
        ),
        (_of("CronJob", api_version="batch/v1"), True, False, ""),
        (
            _of("CustomResourceDefinition", api_version="apiextensions.k8s.io/v1", status=_with(Established="True")),
            True,
            False,
            "",
        ),
        (
            _of("CustomResourceDefinition", api_version="apiextensions.k8s.io/v1"),
            False,
            False,
            "the definition is not established yet",
        ),
        (
            _of("CustomResourceDefinition", api_version="apiextensions.k8s.io/v1", status=_with(NamesAccepted="False")),
            False,
            True,
            "NamesAccepted is False",
        ),
        (
            _of("ReplicaSet", api_version="apps/v1", spec={"replicas": 2}, status={"observedGeneration": 2}),
            False,
            False,
            "0 of 2 replicas are ready",
        ),
        (_of("Job", api_version="batch/v1", status=_with(Complete="True")), True, False, ""),
    ],
)
def test_kinds_without_a_rule_are_judged_as_kstatus_does(live: Any, ready: bool, failed: bool, reason: str) -> None:
    assert readiness(live) == Ready(ready, reason, failed)


def test_a_container_that_ends_again_and_again_says_how() -> None:
    container = {
        "name": "web",
        "restartCount": 7,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    }
    live = {"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running", "containerStatuses": [container]}}
    assert readiness(live).reason == "web: CrashLoopBackOff: ended with 137 (OOMKilled), restarted 7 times"
