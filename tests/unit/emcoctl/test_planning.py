"""What each command sends for which document, without sending it."""

from __future__ import annotations

import pytest

from emco_emcoctl.errors import InputError
from emco_emcoctl.planning import Call, plan, plan_anchor
from emco_emcoctl.resources import Resource

DIG = "projects/p/composite-apps/c/v1/deployment-intent-groups/d"
ACTIONS = ("approve", "instantiate", "terminate", "update", "migrate", "rollback", "stop", "start", "cancel", "apply")


def lines(command: str, *documents: Resource) -> list[str]:
    return [
        f"{one.method} {one.address.path[4:]}" if isinstance(one, Call) else str(one)
        for one in plan(command, documents)
    ]


def app(version: object = "v1", key: str = "compositeAppVersion") -> Resource:
    return Resource("projects/p/composite-apps", "c", spec={key: version}, source="r.yaml", line=7)


def test_apply_posts_to_the_anchor_as_it_is() -> None:
    assert lines("apply", Resource("projects", "p")) == ["POST projects"]


@pytest.mark.parametrize(("command", "method"), [("update", "PUT"), ("get", "GET"), ("delete", "DELETE")])
def test_other_commands_append_the_name_or_the_label(command: str, method: str) -> None:
    labels = "cluster-providers/p/clusters/c/labels"

    assert lines(command, Resource("projects", "p")) == [f"{method} projects/p"]
    assert lines(command, Resource(labels, cluster_label="edge")) == [f"{method} {labels}/edge"]
    assert lines(command, Resource(labels, "n", cluster_label="edge")) == [f"{method} {labels}/n"]
    assert lines(command, Resource("projects/p1")) == [f"{method} projects/p1"]


@pytest.mark.parametrize("key", ["compositeAppVersion", "CompositeAppVERSION", "compositeappversion"])
def test_a_composite_app_is_addressed_with_its_version(key: str) -> None:
    assert lines("get", app("v2", key)) == ["GET projects/p/composite-apps/c/v2"]


def test_of_two_versions_the_one_spelled_as_the_field_wins() -> None:
    both = Resource("projects/p/composite-apps", "c", spec={"compositeAppVersion": "v1", "CompositeAppVersion": "v9"})

    assert lines("delete", both) == ["DELETE projects/p/composite-apps/c/v9"]


@pytest.mark.parametrize("command", ["apply", "update", "get", "delete"])
@pytest.mark.parametrize("version", [1.1, 1, True, None, "", ["v1"]], ids=repr)
def test_a_version_that_is_not_a_text_names_field_and_remedy(command: str, version: object) -> None:
    [refused] = plan(command, [app(version)])

    assert isinstance(refused, InputError)
    assert str(refused).startswith("r.yaml:7: spec.compositeAppVersion")
    assert "quotation marks" in str(refused)


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_are_neither_read_nor_updated(action: str) -> None:
    document = Resource(f"{DIG}/{action}", file="x")

    assert lines("get", document) == []
    assert lines("update", document) == []
    assert lines("apply", document) == [f"POST {DIG}/{action}"]


@pytest.mark.parametrize("action", ACTIONS)
def test_delete_takes_back_what_was_started_and_skips_other_actions(action: str) -> None:
    undone = action in ("instantiate", "apply")

    assert lines("delete", Resource(f"{DIG}/{action}", "n")) == ([f"POST {DIG}/terminate"] if undone else [])


def test_the_status_can_only_be_read() -> None:
    status = Resource(f"{DIG}/status")

    assert lines("get", status) == [f"GET {DIG}/status"]
    assert lines("update", status) == lines("delete", status) == []


def test_delete_goes_from_the_last_document_to_the_first() -> None:
    assert lines("delete", Resource("projects", "a"), Resource("projects", "b")) == [
        "DELETE projects/b",
        "DELETE projects/a",
    ]


def test_a_policy_intent_that_names_itself_gets_no_second_name() -> None:
    anchor = f"{DIG}/policy-intents/i"

    assert lines("get", Resource(anchor, "i")) == [f"GET {anchor}"]


def test_refusals_stand_where_their_call_would() -> None:
    found = plan("apply", [Resource("projects", "a"), Resource("foo", "b", source="r", line=3), Resource(name="c")])

    assert [isinstance(one, Call) for one in found] == [True, False, False]
    assert "the anchor 'foo' leads to no service" in str(found[1])
    assert "no resourceContext.anchor" in str(found[2])


def test_an_anchor_from_the_command_line_is_taken_verbatim() -> None:
    call = plan_anchor("delete", f"{DIG}/instantiate")

    assert (call.method, call.address.path, call.empty_body) == ("DELETE", f"/v2/{DIG}/instantiate", False)
    assert plan_anchor("apply", f"{DIG}/approve").empty_body
