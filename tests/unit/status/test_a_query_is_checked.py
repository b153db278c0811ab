"""Spec orchestrator-lifecycle 12.1, dcm 9 and defect 26."""

import pytest

from emco_common.errors import BadRequest
from emco_common.status import CLUSTER_NETWORKS, DEPLOYMENT_INTENT_GROUP, LOGICAL_CLOUD, StatusQuery, parse_query
from emco_common.status.query import Form, Output, View


def parsed(*pairs: tuple[str, str]) -> StatusQuery:
    return parse_query(pairs, DEPLOYMENT_INTENT_GROUP)


def test_without_parameters_everything_is_answered_in_the_old_form() -> None:
    query = parsed()

    assert (query.view, query.form, query.output, query.instance) == (View.STATUS, Form.RSYNC, Output.ALL, "")
    assert query.wants_app("any")
    assert query.wants_cluster("any+one")
    assert query.wants_resource("any")


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([("instance", "")], "Invalid query instance"),
        ([("status", "Ready")], "Invalid query status"),
        ([("status", "")], "Invalid query status"),
        ([("status", "rsync")], "Invalid query status"),
        ([("type", "ready")], "Invalid query type"),
        ([("type", "")], "Invalid query type"),
        ([("status", "ready"), ("type", "nonsense")], "Invalid query type"),
        ([("output", "")], "Invalid query output"),
        ([("output", "ALL")], "Invalid query output"),
        ([("app", "")], "Invalid app query"),
        ([("app", "web"), ("app", "-web")], "Invalid app query"),
        ([("app", "a" * 129)], "Invalid app query"),
        ([("cluster", "hq")], "Invalid cluster query"),
        ([("cluster", "acme hq")], "Invalid cluster query"),
        ([("cluster", "acme+hq+x")], "Invalid cluster query"),
        ([("cluster", "+hq")], "Invalid cluster query"),
        ([("resource", "")], "Invalid resources query"),
        ([("resource", "a/b")], "Invalid resources query"),
        ([("resource", "a\n")], "Invalid resources query"),
    ],
    ids=str,
)
def test_nonsense_is_refused_with_the_known_text(pairs: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(*pairs)

    assert str(caught.value) == text


def test_unknown_parameters_are_ignored() -> None:
    assert parsed(("verbose", ""), ("Status", "nonsense")) == parsed()


def test_of_a_parameter_given_twice_the_first_counts() -> None:
    assert parsed(("status", "deployed"), ("status", "nonsense")).form is Form.DEPLOYED


def test_status_wins_over_type() -> None:
    assert parsed(("type", "cluster"), ("status", "deployed")).form is Form.DEPLOYED
    assert parsed(("type", "cluster")).form is Form.CLUSTER


@pytest.mark.parametrize(
    ("flags", "view"),
    [
        (["resources", "clusters", "apps"], View.APPS),
        (["resources", "clusters"], View.CLUSTERS),
        (["resources"], View.RESOURCES),
    ],
)
def test_of_several_lists_the_first_of_apps_clusters_resources_is_answered(flags: list[str], view: View) -> None:
    assert parsed(*((flag, "") for flag in flags)).view is view


def test_filters_repeat() -> None:
    query = parsed(("app", "web"), ("app", "db"), ("cluster", "acme+hq"), ("resource", "web"))

    assert query.apps == {"web", "db"}
    assert query.clusters == {"acme+hq"}
    assert query.resources == {"web"}


@pytest.mark.parametrize("name", ["system:node-proxier", "a" * 64, "b" * 253])
def test_every_legal_object_name_can_be_asked_for(name: str) -> None:
    assert parsed(("resource", name)).wants_resource(name)


def test_a_logical_cloud_asks_for_readiness_by_default_and_knows_no_apps() -> None:
    query = parse_query([("type", "nonsense"), ("app", ""), ("apps", "")], LOGICAL_CLOUD)

    assert query.form is Form.READY
    assert query.view is View.STATUS
    assert "type" not in {parameter["name"] for parameter in LOGICAL_CLOUD.openapi()}


def test_the_networks_of_a_cluster_have_no_lists_and_take_an_empty_instance_for_none() -> None:
    query = parse_query([("apps", ""), ("clusters", ""), ("resources", ""), ("instance", "")], CLUSTER_NETWORKS)

    assert (query.view, query.form, query.instance) == (View.STATUS, Form.RSYNC, "")
    with pytest.raises(BadRequest, match="Invalid app query"):
        parse_query([("app", "")], CLUSTER_NETWORKS)
