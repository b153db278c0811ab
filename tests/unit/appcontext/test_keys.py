"""The key layout, and names made from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import keys
from emco_common.appcontext.keys import Place

WEB = "/context/71/app/web/"
EDGE = f"{WEB}cluster/prov1+edge1/"
INIT = f"{EDGE}resource/init+Job/"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.root("71"), "/context/71/"),
        (keys.meta("71"), "/context/71/meta/"),
        (keys.app_order("71"), "/context/71/app/instruction/order/"),
        (keys.app_dependency("71"), "/context/71/app/instruction/dependency/"),
        (keys.app("71", "web"), WEB),
        (keys.start_dependency("71", "web"), f"{WEB}instruction/dependency/"),
        (keys.cluster("71", "web", "prov1+edge1"), EDGE),
        (keys.cluster_group("71", "web", "prov1+edge1"), f"{EDGE}!@#metaGrp/"),
        (keys.resource_order("71", "web", "prov1+edge1"), f"{EDGE}resource/instruction/order/"),
        (keys.resource_dependency("71", "web", "prov1+edge1"), f"{EDGE}resource/instruction/dependency/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job"), INIT),
        (keys.approval("71", "web", "prov1+edge1", "init+Job"), f"{INIT}subresource/approval/"),
        (keys.subresource_order("71", "web", "prov1+edge1", "init+Job"), f"{INIT}subresource/instruction/order/"),
        (keys.stop_flag("71"), "/context/71/stopflag/"),
        (keys.status_context("71"), "/context/71/statusappctxid/"),
        (keys.status("71"), "/context/71/status/"),
        (keys.current_state("71"), "/context/71/rsync/state/CurrentState/"),
        (keys.desired_state("71"), "/context/71/rsync/state/DesiredState/"),
        (keys.pending_terminate("71"), "/context/71/rsync/state/PendingTerminateFlag/"),
        (keys.queue("71"), "/context/71/rsync/AppContextEventQueue/"),
        (keys.cluster("71", "web", "prov1+edge1") + keys.CONNECTIVITY, f"{EDGE}readystatus/"),
        (keys.cluster_status("71", "web", "prov1+edge1"), f"{EDGE}status/"),
        (keys.cluster("71", "web", "prov1+edge1") + keys.READY, f"{EDGE}resourcesready/"),
        (keys.cluster("71", "web", "prov1+edge1") + keys.REFERENCE, f"{EDGE}reference/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job") + keys.STATUS, f"{INIT}status/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job") + keys.REFERENCE, f"{INIT}reference/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job") + keys.RESOURCE_READY, f"{INIT}resready/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job") + keys.RESOURCE_SUCCESS, f"{INIT}ressuccess/"),
        (keys.resource("71", "web", "prov1+edge1", "init+Job") + keys.DEFINITION, f"{INIT}definition/"),
        (keys.reason("71"), "/context/71/error/"),
        (keys.cluster_reason("71", "web", "prov1+edge1"), f"{EDGE}error/"),
        (keys.resource_reason("71", "web", "prov1+edge1", "init+Job"), f"{INIT}error/"),
        (keys.active("71"), "/activecontext/71/"),
    ],
)
def test_every_key_of_the_catalogue_is_spelled_exactly(key: str, expected: str) -> None:
    assert key == expected


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("/context/71/", Place("71")),
        ("/context/71/meta/", Place("71", leaf="meta/")),
        ("/context/71/app/instruction/order/", Place("71", leaf="app/instruction/order/")),
        (WEB, Place("71", "web")),
        (f"{WEB}instruction/dependency/", Place("71", "web", leaf="instruction/dependency/")),
        (EDGE, Place("71", "web", "prov1+edge1")),
        (f"{EDGE}!@#metaGrp/", Place("71", "web", "prov1+edge1", leaf="!@#metaGrp/")),
        (f"{EDGE}resource/instruction/order/", Place("71", "web", "prov1+edge1", leaf="resource/instruction/order/")),
        (INIT, Place("71", "web", "prov1+edge1", "init+Job")),
        (f"{INIT}status/", Place("71", "web", "prov1+edge1", "init+Job", "status/")),
        ("/activecontext/71/", None),
        ("", None),
    ],
)
def test_a_key_tells_its_place(key: str, place: Place | None) -> None:
    assert keys.parse(key) == place


@given(st.text())
def test_any_text_can_be_parsed(text: str) -> None:
    keys.parse(text)
    place = keys.parse(f"/context/{text}")
    assert place is not None


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_no_context_lies_below_another(one: int, other: int) -> None:
    assert keys.root(str(one)).startswith(keys.root(str(other))) == (one == other)


@pytest.mark.parametrize("name", ["", "+", "a", "a+", "+b", "a+b+c"])
def test_a_cluster_name_has_two_parts(name: str) -> None:
    with pytest.raises(ValueError, match="provider"):
        keys.split_cluster_name(name)
    assert keys.split_cluster_name(keys.cluster_name("a", "b")) == ("a", "b")


def test_a_deployment_label_is_id_and_app() -> None:
    assert keys.deployment_label("71", "web-1") == "71-web-1"


@given(st.integers(0, 2**63 - 2), st.text(min_size=1, max_size=128))
def test_a_deployment_label_is_always_a_valid_label_and_object_name(context: int, app: str) -> None:
    label = keys.deployment_label(str(context), app)
    assert len(label) <= 63
    assert all(part and part.strip("-") == part for part in label.split("."))
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert label.startswith(f"{context}-")


def test_apps_too_long_for_a_label_keep_different_labels() -> None:
    assert keys.deployment_label("1", "a" * 100) != keys.deployment_label("1", "a" * 101)
