"""Spec orchestrator-lifecycle 12.4, rule by rule, with defects 26 and 32."""

from dataclasses import replace
from typing import Any

import pytest

from emco_common.appcontext import (
    App,
    AppContext,
    Cluster,
    ClusterStatus,
    ContextStatus,
    Resource,
    ResourceStatus,
    Snapshot,
)
from emco_common.errors import BadRequest
from emco_common.status import Contexts
from tests.unit.status.builders import (
    HQ,
    applied,
    ask,
    cluster,
    context,
    live,
    once,
    reported,
    resource,
    states_of,
    with_report,
)


def web(*names: str, **more: Any) -> AppContext:
    return context(App("web", (cluster(HQ, *names, **more),)))


def at_hq(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["apps"][0]["clusters"][0]
    return found


# Rules 2, 3 and 5: states and order


def test_everything_comes_in_the_order_of_the_bus() -> None:
    of = context(
        App("web", (cluster("b+1", "b+Role", "a+Service", "a-1+Role", "a+Role"), cluster("a+9", "x+Role"))),
        App("db", (cluster("a+1", "x+Role"),)),
    )

    answer = ask(once(of))

    assert [app["name"] for app in answer["apps"]] == ["db", "web"]
    assert [at["clusterProvider"] for at in answer["apps"][1]["clusters"]] == ["a", "b"]
    assert list(states_of({"apps": [{"clusters": [answer["apps"][1]["clusters"][1]]}]})) == [
        "a+Role",
        "a+Service",
        "a-1+Role",
        "b+Role",
    ]


def test_a_resource_nobody_has_handled_is_pending() -> None:
    of = web("web+Deployment", "web+Service")
    status = ContextStatus(
        "7", status="Instantiating", resources={("web", HQ, "web+Service"): ResourceStatus("Failed")}
    )

    answer = ask(once(of, status), "status=deployed")

    assert answer["deployedStatus"] == "Instantiating"
    assert answer["deployedCounts"] == {"Failed": 1, "Pending": 1}
    assert states_of(answer, "deployedStatus") == {"web+Deployment": "Pending", "web+Service": "Failed"}


def test_a_failure_tells_its_reason() -> None:
    of = web("web+Deployment")
    place = ("web", HQ, "web+Deployment")

    failed = once(of, applied(of, resources={place: ResourceStatus("Failed", reason="admission webhook said no")}))
    assert at_hq(ask(failed))["resources"][0]["reason"] == "admission webhook said no"
    assert at_hq(ask(failed, "status=ready"))["resources"][0]["reason"] == "admission webhook said no"

    healed = once(of, applied(of, resources={place: ResourceStatus("Applied", reason="")}))
    assert "reason" not in at_hq(ask(healed))["resources"][0]


def test_the_live_object_knows_best_why_it_is_not_ready() -> None:
    contexts = with_report(web("web+Deployment"), reported(live("web+Deployment", ready=False)))
    place = ("web", HQ, "web+Deployment")
    status = replace(contexts.current.status, resources={place: ResourceStatus("Applied", reason="older news")})

    (row,) = at_hq(ask(once(contexts.current.context, status), "status=ready"))["resources"]

    assert row["reason"] == "0 of 1 replicas are ready"


def test_a_cluster_that_is_not_reached_tells_why() -> None:
    of = web("web+Role")
    lost = ClusterStatus("Retrying", reference="7", reason="connection refused")

    told = at_hq(ask(once(of, applied(of, clusters={("web", HQ): lost})), "status=deployed"))

    assert (told["connectivity"], told["reason"]) == ("Retrying", "connection refused")
    assert "reason" not in at_hq(ask(once(of, applied(of)), "status=deployed"))


# Rules 1 and 4: after an update


def updated(*, past: bool = False, same: bool = False) -> Contexts:
    """Context 7 was updated to 8, which changed ``new``, kept ``kept`` and lost ``lost``."""
    first = context(App("web", (at("7", "kept+Role", "lost+Role", "new+Role"),)), id="7")
    second = context(App("web", (at("8", "kept+Role", "new+Role"),)), id="8", status_context="7")
    handled = {"kept+Role": ("Applied", "7"), "lost+Role": ("Deleted", "7"), "new+Role": ("Applied", "8")}
    status = ContextStatus(
        "7",
        status="Updated",
        clusters={("web", HQ): ClusterStatus("Retrying", reference="8")},
        resources={("web", HQ, name): ResourceStatus(*state) for name, state in handled.items()},
    )
    later = Snapshot(
        second, ContextStatus("8", status="Instantiated", clusters={("web", HQ): ClusterStatus("Available")})
    )
    earlier = Snapshot(first, status)
    return Contexts(earlier, earlier, {"8": later}, past=True) if past else Contexts(later, earlier)


def at(revision: str, *names: str) -> Cluster:
    return Cluster(HQ, resources=tuple(resource(name, note=f"of {revision}") for name in names))


def test_the_present_revision_lists_what_it_holds_with_the_states_of_the_status_context() -> None:
    answer = ask(updated(), "status=deployed&output=detail")

    assert answer["deployedStatus"] == "Instantiated"
    assert states_of(answer, "deployedStatus") == {"kept+Role": "Applied", "new+Role": "Applied"}


def test_the_manifest_is_that_of_the_context_that_handled_the_resource() -> None:
    rows = at_hq(ask(updated(), "status=deployed&output=detail"))["resources"]

    assert [row["detail"]["metadata"]["annotations"]["note"] for row in rows] == ["of 7", "of 8"]


def test_connectivity_is_that_of_the_context_that_handled_the_cluster() -> None:
    assert at_hq(ask(updated(), "status=deployed"))["connectivity"] == "Available"


def test_an_older_revision_leaves_out_what_a_later_one_took_over() -> None:
    answer = ask(updated(past=True), "status=deployed")

    assert states_of(answer, "deployedStatus") == {"kept+Role": "Applied", "lost+Role": "Deleted"}


def test_a_rollback_to_the_first_revision_shows_everything_it_holds() -> None:
    first = updated(past=True)
    present = Contexts(first.current, first.status, first.others)

    assert len(states_of(ask(present, "status=deployed"))) == 3


def test_a_reference_to_a_context_that_is_gone_shows_the_present_manifest() -> None:
    of = web("web+Role")
    status = applied(of, resources={("web", HQ, "web+Role"): ResourceStatus("Applied", "gone")})

    assert "detail" in at_hq(ask(once(of, status), "output=detail"))["resources"][0]


# Rule 6: connectivity


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (ClusterStatus("Retrying"), "Retrying"),
        (ClusterStatus("Retrying", reference="gone"), "Retrying"),
        (ClusterStatus(), "Unknown"),
        (None, "Unknown"),
    ],
)
def test_connectivity_is_what_is_kept_of_it(kept: ClusterStatus | None, shown: str) -> None:
    of = web("web+Role")
    status = applied(of, clusters={("web", HQ): kept} if kept else {})

    assert at_hq(ask(once(of, status)))["readyStatus"] == shown


def test_a_cluster_the_status_context_does_not_know_is_looked_up_in_the_present_one() -> None:
    both = updated()
    status = replace(both.status, status=replace(both.status.status, clusters={}))

    assert at_hq(ask(replace(both, status=status), "status=deployed"))["connectivity"] == "Available"


# Rule 8: what clusters report

TRACKED = ["ConfigMap", "Service", "Pod", "DaemonSet", "Deployment", "StatefulSet", "Job", "CertificateSigningRequest"]


@pytest.mark.parametrize("kind", TRACKED)
def test_a_tracked_object_that_is_not_reported_is_not_present(kind: str) -> None:
    answer = ask(once(web(f"one+{kind}")), "status=ready")

    assert states_of(answer) == {f"one+{kind}": "NotPresent"}
    assert answer["readyCounts"] == {"NotPresent": 1}
    assert answer["readyStatus"] == "NotReady"


def test_an_object_of_another_kind_has_no_state_until_it_is_reported() -> None:
    of = web("one+Role")

    assert states_of(ask(once(of), "status=ready")) == {"one+Role": ""}
    assert "readyCounts" not in ask(once(of), "status=ready")
    answer = ask(with_report(of, reported(live("one+Role"))), "status=ready")
    assert answer["readyCounts"] == {"Ready": 1}


def test_what_is_reported_replaces_what_is_missing() -> None:
    of = web("a+Deployment", "b+Deployment", "c+ConfigMap")
    report = reported(live("a+Deployment"), live("b+Deployment", ready=False))

    answer = ask(with_report(of, report), "type=cluster")

    assert answer["clusterStatus"] == {"NotPresent": 1, "NotReady": 1, "Ready": 1}
    assert states_of(answer, "clusterStatus") == {
        "a+Deployment": "Ready",
        "b+Deployment": "NotReady",
        "c+ConfigMap": "NotPresent",
    }


def test_objects_that_only_the_cluster_knows_follow_by_kind() -> None:
    report = reported(live("z+Role"), live("j+Job"), live("p+Pod"), live("s+Service"), live("w+Deployment"))

    assert list(states_of(ask(with_report(web("w+Deployment"), report), "status=ready"))) == [
        "w+Deployment",
        "p+Pod",
        "s+Service",
        "j+Job",
        "z+Role",
    ]


def test_the_failed_pod_of_a_job_counts_until_the_job_is_done() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load-1", "labels": {"job-name": "load"}}}
    pod["status"] = {"phase": "Failed"}  # type: ignore[assignment]
    of = web("load+Job")

    under_way = ask(with_report(of, reported(pod, live("load+Job", ready=False))), "status=ready")
    done = ask(with_report(of, reported(pod, live("load+Job"))), "status=ready")

    assert states_of(under_way)["load-1+Pod"] == "NotReady"
    assert states_of(done)["load-1+Pod"] == "Ready"


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", '{"podStatuses":7,"resourceStatuses":[{"res":"%%%"},7]}', '{"jobStatuses":[{"spec":7}]}'],
)
def test_a_report_that_makes_no_sense_harms_nobody(text: str) -> None:
    answer = ask(with_report(web("a+Deployment"), text), "status=ready&output=detail")

    assert answer["readyCounts"]["NotPresent"] == 1


# Rule 9: the whole


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("Instantiated", "Ready"), ("Updated", "Ready"), ("Instantiating", "NotReady"), ("InstantiateFailed", "NotReady")],
)
def test_where_nothing_can_be_observed_ready_takes_that_everything_was_applied(state: str, verdict: str) -> None:
    of = web("one+Role")

    assert ask(once(of, applied(of, state)), "status=ready")["readyStatus"] == verdict


# Rule 10: filters


def test_filters_act_on_counts_too() -> None:
    of = context(
        App("db", (cluster("a+1", "d+Role", "e+Role"),)),
        App("web", (cluster("a+1", "d+Role"), cluster("a+2", "d+Role", "w+Role"))),
    )

    assert ask(once(of))["rsyncStatus"] == {"Applied": 5}
    assert ask(once(of), "app=web")["rsyncStatus"] == {"Applied": 3}
    assert ask(once(of), "cluster=a+1")["rsyncStatus"] == {"Applied": 3}
    assert ask(once(of), "resource=d")["rsyncStatus"] == {"Applied": 3}
    assert ask(once(of), "app=web&cluster=a+2&resource=w")["rsyncStatus"] == {"Applied": 1}
    assert "rsyncStatus" not in ask(once(of), "resource=nobody")


def test_an_app_filter_must_name_an_app_of_the_context() -> None:
    with pytest.raises(BadRequest, match=r"^Filter app x not in list of apps for composite app pos$"):
        ask(once(web("a+Role")), "app=x&app=web")


# Defect 32: hooks

HOOKS = {"pre-install": "before+Job", "pre-delete,": "", "post-delete": "after+Job", "test": "probe+Pod"}
HOOKED = web("web+Deployment", hooks={k: v for k, v in HOOKS.items() if v}, crds="things+CustomResourceDefinition")


def test_hooks_the_present_phase_does_not_run_are_not_counted_and_stand_apart() -> None:
    status = applied(HOOKED)
    for name in ("after+Job", "probe+Pod"):
        status.resources.pop(("web", HQ, name))  # type: ignore[attr-defined]

    answer = ask(once(HOOKED, status), "status=deployed")

    assert answer["deployedCounts"] == {"Applied": 3}
    assert [(row["name"], row["events"], row["deployedStatus"]) for row in at_hq(answer)["hooks"]] == [
        ("after", ["post-delete"], "Pending"),
        ("probe", ["test"], "Pending"),
    ]


def test_a_deployment_whose_hooks_ran_is_ready() -> None:
    success = {("web", HQ, "before+Job"): ResourceStatus("Applied", "7", success=True)}
    report = reported(live("web+Deployment"))

    contexts = with_report(HOOKED, report, resources={**applied(HOOKED).resources, **success})
    answer = ask(contexts, "status=ready")

    assert answer["readyCounts"] == {"Ready": 2}
    assert answer["readyStatus"] == "Ready"


def test_delete_hooks_count_once_termination_has_begun() -> None:
    answer = ask(once(HOOKED, applied(HOOKED, "Terminating")), "status=deployed")

    assert answer["deployedCounts"] == {"Applied": 4}
    assert [row["name"] for row in at_hq(answer)["hooks"]] == ["probe"]


@pytest.mark.parametrize(
    ("phase", "counted"), [(None, {"a+Job"}), ("install", {"a+Job"}), ("upgrade", {"b+Job"}), ("rollback", {"c+Job"})]
)
def test_hooks_count_by_what_the_app_came_to_the_cluster_as(phase: str | None, counted: set[str]) -> None:
    of = web("web+Role", hooks={"pre-install": "a+Job", "post-upgrade": "b+Job", "pre-rollback": "c+Job"})

    answer = ask(once(of, applied(of, clusters={("web", HQ): ClusterStatus(phase=phase)})), "status=deployed")

    assert set(states_of(answer, "deployedStatus")) == {"web+Role", *counted}
    assert answer["deployedCounts"] == {"Applied": 2}


def test_a_hook_that_succeeded_and_was_deleted_does_not_hold_readiness_back() -> None:
    of = web("web+Role", hooks={"pre-install": "a+ConfigMap"})
    done = {("web", HQ, "a+ConfigMap"): ResourceStatus("Applied", "7", success=True)}

    answer = ask(once(of, applied(of, resources=done)), "status=ready")

    assert answer["readyStatus"] == "Ready"


def test_a_hook_of_several_events_is_one_row_and_due_with_any_of_them() -> None:
    of = web("web+Role", hooks={"pre-install": "h+Job", "pre-delete": "h+Job"})

    answer = ask(once(of), "status=deployed")

    assert answer["deployedCounts"] == {"Applied": 2}
    assert "hooks" not in at_hq(answer)


# Manifests


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nil",
        "- a\n- b",
        "{not json",
        "a: &a [*a]",
        "kind: [Role]",
        "a: !!binary aGk=",
        "a: .nan",
        "when: &a [1]\n" + "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9)),
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_a_text_that_is_no_object_still_has_the_identity_of_its_key(text: str) -> None:
    of = context(App("web", (Cluster(HQ, resources=(Resource("one+Role", text),)),)))

    (row,) = at_hq(ask(once(of), "output=detail"))["resources"]

    assert row["name"] == "one"
    assert row["GVK"]["Version"] == ""


def test_the_name_in_the_manifest_counts() -> None:
    text = '{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"ns-sa"}}'
    of = context(App("web", (Cluster(HQ, resources=(Resource("ns+ServiceAccount", text),)),)))

    assert states_of(ask(once(of)), "rsyncStatus") == {"ns-sa+ServiceAccount": "Applied"}


def test_dates_in_manifests_stay_text() -> None:
    of = context(App("web", (Cluster(HQ, resources=(Resource("a+Role", "apiVersion: v1\nday: 2026-03-01"),)),)))

    assert at_hq(ask(once(of), "output=detail"))["resources"][0]["detail"]["day"] == "2026-03-01"


# Beyond: drift


@pytest.mark.parametrize("asked", ["status=deployed", "status=ready"])
def test_what_others_have_changed_stands_beside_the_state(asked: str) -> None:
    of = web("a+Deployment", "b+Role")
    drift = "spec.replicas changed by kubectl-edit"
    kept = {
        ("web", HQ, "a+Deployment"): ResourceStatus("Applied", of.id, drift=drift),
        ("web", HQ, "b+Role"): ResourceStatus("Applied", of.id, drift=""),
    }

    rows = at_hq(ask(with_report(of, reported(live("a+Deployment")), resources=kept), asked))

    assert [row.get("drift") for row in rows["resources"]] == [drift, None]
