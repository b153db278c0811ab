"""Spec orchestrator-lifecycle 12.2, 12.3 and 12.5: which keys, in which order, and what is left out."""

from typing import Any

import pytest

from emco_common.appcontext import App, ContextStatus, Resource
from emco_common.lifecycle import State
from emco_common.status import LOGICAL_CLOUD, head_of, parse_query, status_answer
from tests.unit.status.builders import (
    HEAD,
    HQ,
    RUNNING,
    applied,
    ask,
    cluster,
    context,
    history,
    live,
    once,
    reported,
    with_report,
)

DEPLOYMENT = {"Group": "apps", "Version": "v1", "Kind": "Deployment"}
SERVICE = {"Group": "", "Version": "v1", "Kind": "Service"}
POD = {"Group": "", "Version": "v1", "Kind": "Pod"}
WEB = context(App("web", (cluster(HQ, "web+Service", "web+Deployment"),)))
REPORT = reported(live("web-7c9d+Pod"), live("web+Service"), live("web+Deployment", ready=False))


def test_the_example_of_the_specification_is_answered() -> None:
    answer = ask(with_report(WEB, REPORT), "status=ready")

    assert list(answer) == [*HEAD, "states", "deployedStatus", "readyStatus", "readyCounts", "apps"]
    assert answer["deployedStatus"] == "Instantiated"
    assert answer["readyStatus"] == "NotReady"
    assert list(answer["readyCounts"].items()) == [("NotReady", 1), ("Ready", 2)]
    (app,) = answer["apps"]
    (at,) = app["clusters"]
    assert list(at) == ["clusterProvider", "cluster", "connectivity", "resources"]
    reason = {"reason": "0 of 1 replicas are ready"}
    assert at["resources"] == [
        {"GVK": DEPLOYMENT, "name": "web", "readyStatus": "NotReady"} | reason,
        {"GVK": SERVICE, "name": "web", "readyStatus": "Ready"},
        {"GVK": POD, "name": "web-7c9d", "readyStatus": "Ready"},
    ]


@pytest.mark.parametrize(
    ("url", "top", "at_cluster", "at_resource"),
    [
        ("", ["status", "rsyncStatus", "apps"], "readyStatus", "rsyncStatus"),
        ("type=rsync", ["status", "rsyncStatus", "apps"], "readyStatus", "rsyncStatus"),
        ("type=cluster", ["status", "readyStatus", "clusterStatus", "apps"], "readyStatus", "clusterStatus"),
        ("status=deployed", ["deployedStatus", "deployedCounts", "apps"], "connectivity", "deployedStatus"),
        ("status=ready", ["deployedStatus", "readyStatus", "readyCounts", "apps"], "connectivity", "readyStatus"),
    ],
)
def test_each_form_has_its_own_keys(url: str, top: list[str], at_cluster: str, at_resource: str) -> None:
    answer = ask(with_report(WEB, REPORT), url)

    assert [key for key in answer if key not in HEAD] == ["states", *top]
    at = answer["apps"][0]["clusters"][0]
    assert at[at_cluster] == "Available"
    assert all(at_resource in row for row in at["resources"])


def test_a_summary_has_no_apps() -> None:
    answer = ask(with_report(WEB, REPORT), "status=ready&output=summary")

    assert "apps" not in answer
    assert answer["readyCounts"] == {"NotReady": 1, "Ready": 2}


def test_detail_shows_the_manifest_of_what_was_deployed_and_the_live_object_of_what_is_ready() -> None:
    contexts = with_report(WEB, REPORT)

    (deployed, _) = rows(ask(contexts, "status=deployed&output=detail"))
    (ready, *_) = rows(ask(contexts, "status=ready&output=detail"))

    assert list(deployed) == ["GVK", "name", "detail", "deployedStatus"]
    assert deployed["detail"] == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert ready["detail"]["status"] == {"readyReplicas": 0}


@pytest.mark.parametrize("form", ["deployed", "ready"])
def test_the_contents_of_a_secret_are_never_shown(form: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": {"k": "aHVzaA=="}}
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {k: hush}\n"
    of = context(App("web", (cluster(HQ),)))
    at = of.apps[0].clusters[0]
    object.__setattr__(at, "resources", (Resource("key+Secret", text),))

    answer = str(ask(with_report(of, reported(secret)), f"status={form}&output=detail"))

    assert "'name': 'key'" in answer
    assert "hush" not in answer
    assert "aHVzaA==" not in answer


def test_before_the_first_instantiation_there_are_only_the_states() -> None:
    assert list(ask(None, "status=ready")) == [*HEAD, "states"]
    assert ask(None, "apps") == {**HEAD, "apps": []}
    assert ask(None, "clusters") == {**HEAD, "clustersByApp": []}
    assert ask(None, "resources") == {**HEAD, "resourcesByApp": []}


def test_states_tell_the_whole_history() -> None:
    states = ask(None)["states"]

    assert states["statusctxid"] == "7"
    assert states["actions"][2] == {
        "state": "Instantiated",
        "instance": "7",
        "time": "2026-03-01T08:00:00.000Z",
        "revision": 0,
    }


def test_the_head_leaves_out_what_is_empty() -> None:
    assert head_of(project="p", compositeProfile="", name="n") == {"project": "p", "name": "n"}


def test_child_contexts_come_last_under_their_odd_name() -> None:
    of = context(App("web", (cluster(HQ, "web+Service"),)), children=("8", "9"))

    answer = ask(once(of), "output=summary")

    assert list(answer)[-1] == "ChildContextIDs"
    assert answer["ChildContextIDs"] == ["8", "9"]


def test_apps_and_clusters_without_a_matching_resource_are_left_out() -> None:
    of = context(App("db", (cluster("a+1"),)), App("web", (cluster("a+1"), cluster("a+2", "web+Service"))))

    answer = ask(once(of))

    assert [app["name"] for app in answer["apps"]] == ["web"]
    assert [at["cluster"] for at in answer["apps"][0]["clusters"]] == ["2"]


TWO = context(
    App("web", (cluster("b+2", "w+Role"), cluster("a+1", "w+Service", "w+Role"))),
    App("db", (cluster("a+1", "d+Role"),)),
)


def test_apps_are_listed_by_name() -> None:
    assert ask(once(TWO), "apps&app=web") == {**HEAD, "apps": ["db", "web"]}


def test_clusters_are_listed_by_app() -> None:
    one, two = {"clusterProvider": "a", "cluster": "1"}, {"clusterProvider": "b", "cluster": "2"}

    assert ask(once(TWO), "clusters")["clustersByApp"] == [
        {"app": "db", "clusters": [one]},
        {"app": "web", "clusters": [one, two]},
    ]
    assert [entry["app"] for entry in ask(once(TWO), "clusters&app=web")["clustersByApp"]] == ["web"]


def test_resources_are_listed_by_app_and_cluster() -> None:
    entries = ask(once(TWO), "resources&app=web&cluster=a+1")["resourcesByApp"]

    role = {"Group": "rbac.authorization.k8s.io", "Version": "v1", "Kind": "Role"}
    assert entries == [
        {
            "app": "web",
            "clusterProvider": "a",
            "cluster": "1",
            "resources": [{"name": "w", "GVK": role}, {"name": "w", "GVK": SERVICE}],
        }
    ]
    assert list(entries[0]["resources"][0]) == ["name", "GVK"]


def test_the_list_of_what_is_ready_has_objects_that_only_the_cluster_knows() -> None:
    contexts = with_report(WEB, REPORT)

    def names(url: str) -> list[str]:
        return [row["name"] for row in ask(contexts, url)["resourcesByApp"][0]["resources"]]

    assert names("resources") == ["web", "web"]
    assert names("resources&status=ready") == names("resources&type=cluster") == ["web", "web", "web-7c9d"]


def test_lists_ignore_apps_nobody_knows() -> None:
    assert ask(once(TWO), "clusters&app=nobody")["clustersByApp"] == []


def test_a_logical_cloud_lists_its_clusters_without_apps() -> None:
    of = context(App("logical-cloud", (cluster("a+1", "retail+Namespace"), cluster("a+2", "retail+Namespace"))))

    answer = ask(once(of), "status=deployed", dialect=LOGICAL_CLOUD)

    assert "apps" not in answer
    assert [at["cluster"] for at in answer["clusters"]] == ["1", "2"]


def test_a_logical_cloud_of_level_0_has_no_clusters_to_show() -> None:
    of = context(App("logical-cloud", (cluster("a+1"),)))
    info = history((State.CREATED, ""), (State.INSTANTIATED, "7"))

    answer = status_answer({"name": "lc"}, info, once(of), parse_query([], LOGICAL_CLOUD))

    assert list(answer) == ["name", "states", "deployedStatus", "readyStatus"]
    assert answer["readyStatus"] == "Ready"


def test_a_context_that_rsync_has_not_seen_yet_is_created() -> None:
    answer = status_answer(HEAD, RUNNING, once(WEB, ContextStatus("7")), parse_query([], LOGICAL_CLOUD))

    assert answer["deployedStatus"] == "Created"
    assert answer["readyStatus"] == "NotReady"
    assert applied(WEB).status == "Instantiated"


def rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for app in answer["apps"] for at in app["clusters"] for row in at["resources"]]


@pytest.mark.parametrize("output", ["summary", "all"])
def test_a_deployment_that_failed_says_why(output: str) -> None:
    status = ContextStatus("7", status="InstantiateFailed", reason="acme+hq: web+Deployment: quota exceeded")
    answer = status_answer(HEAD, RUNNING, once(WEB, status), parse_query([("output", output)], LOGICAL_CLOUD))

    assert answer["deployedStatus"] == "InstantiateFailed"
    assert answer["reason"] == "acme+hq: web+Deployment: quota exceeded"
