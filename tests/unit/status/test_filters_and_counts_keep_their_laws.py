"""Whatever a deployment looks like: filters only leave rows out, and counts are counts of rows."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import App, AppContext, ClusterStatus, ContextStatus, ResourceStatus
from emco_common.status import Contexts
from tests.unit.status.builders import ask, cluster, context, live, once, reported

APPS = ["db", "web", "web-2"]
CLUSTERS = ["a+1", "a+2", "b+1"]
RESOURCES = ["one+Deployment", "one+Role", "two+Job", "two+Service", "z+ConfigMap"]
EVENTS = ["pre-install", "post-delete", "test"]
KEYS = {"rsync": "rsyncStatus", "cluster": "clusterStatus", "deployed": "deployedCounts", "ready": "readyCounts"}
FORMS = {"type=rsync": "rsync", "type=cluster": "cluster", "status=deployed": "deployed", "status=ready": "ready"}


def some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True)


@st.composite
def deployments(draw: st.DrawFn) -> Contexts:
    apps = []
    for name in draw(some(APPS)):
        clusters = [
            cluster(at, *draw(some(RESOURCES)), hooks=dict.fromkeys(draw(some(EVENTS)), "h+Job"))
            for at in draw(some(CLUSTERS))
        ]
        apps.append(App(name, tuple(clusters)))
    of = context(*apps)
    return once(of, draw(statuses(of)))


@st.composite
def statuses(draw: st.DrawFn, of: AppContext) -> ContextStatus:
    places = [(app.name, at.name) for app in of.apps for at in app.clusters]
    reports = {
        place: ClusterStatus(
            "Available",
            reported(*(live(name, ready=draw(st.booleans())) for name in draw(some([*RESOURCES, "p+Pod", "h+Job"])))),
        )
        for place in places
    }
    states = st.sampled_from(["Pending", "Applied", "Failed", "Deleted"])
    resources = {
        (app.name, at.name, one.name): ResourceStatus(draw(states), success=draw(st.booleans()))
        for app in of.apps
        for at in app.clusters
        for one in at.all_resources()
    }
    phase = draw(st.sampled_from(["Instantiating", "Instantiated", "Terminating", "Terminated"]))
    return ContextStatus("7", status=phase, clusters=reports, resources=resources)


def rows(answer: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """App, cluster, name and the row itself as text."""
    return [
        (app["name"], f"{at['clusterProvider']}+{at['cluster']}", row["name"], str(row))
        for app in answer.get("apps", [])
        for at in app["clusters"]
        for row in at["resources"]
    ]


@given(deployments(), st.sampled_from(list(FORMS)), some(APPS), some(CLUSTERS), some(["one", "two", "p", "nobody"]))
def test_a_filter_leaves_rows_out_and_changes_none(
    contexts: Contexts, form: str, apps: list[str], clusters: list[str], names: list[str]
) -> None:
    known = {app.name for app in contexts.current.context.apps}
    apps = [app for app in apps if app in known]
    filters = [f"app={app}" for app in apps] + [f"cluster={at}" for at in clusters]
    filters += [f"resource={name}" for name in names]

    everything = rows(ask(contexts, form))
    filtered = rows(ask(contexts, "&".join([form, *filters])))

    assert filtered == [
        (app, at, name, row)
        for app, at, name, row in everything
        if (not apps or app in apps) and (not clusters or at in clusters) and (not names or name in names)
    ]


@given(deployments(), st.sampled_from(list(FORMS)), some(CLUSTERS))
def test_counts_are_counts_of_rows(contexts: Contexts, form: str, clusters: list[str]) -> None:
    url = "&".join([form, *(f"cluster={at}" for at in clusters)])
    answer, summary = ask(contexts, url), ask(contexts, f"{url}&output=summary")
    key = {"rsync": "rsyncStatus", "cluster": "clusterStatus"}.get(FORMS[form], f"{FORMS[form]}Status")

    counted = Counter(
        row[key] for app in answer.get("apps", []) for at in app["clusters"] for row in at["resources"] if key in row
    )

    assert answer.get(KEYS[FORMS[form]], {}) == counted
    assert summary == {name: value for name, value in answer.items() if name != "apps"}


@given(deployments())
def test_ready_is_the_absence_of_anything_that_is_not(contexts: Contexts) -> None:
    answer = ask(contexts, "status=ready")
    counts = answer.get("readyCounts", {})

    if counts:
        assert (answer["readyStatus"] == "Ready") == (set(counts) == {"Ready"})
    else:
        assert (answer["readyStatus"] == "Ready") == (answer["deployedStatus"] == "Instantiated")


@given(deployments(), st.sampled_from(list(FORMS)))
def test_the_list_of_resources_names_what_the_status_shows(contexts: Contexts, form: str) -> None:
    answer = ask(contexts, form)
    shown = Counter(
        (app["name"], at["clusterProvider"], at["cluster"], row["name"], row["GVK"]["Kind"])
        for app in answer.get("apps", [])
        for at in app["clusters"]
        for row in (*at["resources"], *at.get("hooks", []))
    )
    listed = Counter(
        (entry["app"], entry["clusterProvider"], entry["cluster"], row["name"], row["GVK"]["Kind"])
        for entry in ask(contexts, f"resources&{form}")["resourcesByApp"]
        for row in entry["resources"]
    )

    assert listed == shown
