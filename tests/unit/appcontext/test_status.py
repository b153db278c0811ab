"""Statuses become keys and values and come back the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emco_common.appcontext import (
    ClusterStatus,
    ClusterUpdate,
    ContextStatus,
    MalformedContext,
    QueueElement,
    ResourceStatus,
    ResourceUpdate,
    StatusUpdate,
)
from emco_common.appcontext.status import decode_queue, decode_status, encode_queue, encode_status, encode_updates
from emco_common.contextbus.api import Entry
from tests.unit.appcontext.builders import entries_of

_names = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
_text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_flag = st.none() | st.booleans()
_clusters = st.builds(ClusterStatus, _text, _text, _flag, _text, _text, _text, _text).filter(
    lambda one: one != ClusterStatus()
)
_resources = st.builds(ResourceStatus, _text, _text, _flag, _flag, _text, _text).filter(
    lambda one: one != ResourceStatus()
)
_queues = st.lists(st.builds(QueueElement, _names, _names, st.just("") | _names), max_size=3).map(tuple)


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        ContextStatus,
        st.just("71"),
        _text,
        _text,
        _text,
        _flag,
        _flag,
        st.none() | _queues,
        st.dictionaries(st.tuples(_names, _names), _clusters, max_size=3),
        st.dictionaries(st.tuples(_names, _names, _names), _resources, max_size=3),
        _text,
    )
)
def test_a_status_that_was_encoded_is_decoded_the_same(status: ContextStatus) -> None:
    assert decode_status("71", entries_of(encode_status(status))) == status


def test_an_update_writes_only_what_it_names() -> None:
    updates: list[StatusUpdate] = [
        ClusterUpdate("web", "p+c", ClusterStatus(connectivity="Available", status='{"ready":false}')),
        ResourceUpdate("web", "p+c", "a+Job", ResourceStatus(status="Applied", reference="71", success=True)),
    ]
    cluster = "/context/71/app/web/cluster/p+c/"
    assert {put.key: put.value for put in encode_updates("71", updates)} == {
        f"{cluster}readystatus/": b'"Available"',
        f"{cluster}status/": b'"{\\"ready\\":false}"',
        f"{cluster}resource/a+Job/status/": b'{"Status":"Applied"}',
        f"{cluster}resource/a+Job/reference/": b'"71"',
        f"{cluster}resource/a+Job/ressuccess/": b"true",
    }


def test_of_two_updates_of_one_key_the_later_counts() -> None:
    updates = [ResourceUpdate("web", "p+c", "a+Job", ResourceStatus(status=text)) for text in ("Pending", "Applied")]
    assert [put.value for put in encode_updates("71", updates)] == [b'{"Status":"Applied"}']


def test_the_queue_is_stored_as_specified() -> None:
    queue = (QueueElement("Instantiate", "Done"), QueueElement("Update", "Pending", "123"))
    stored = b'{"AcQueue":[{"event":"Instantiate","status":"Done"},{"event":"Update","uCID":"123","status":"Pending"}]}'
    assert encode_queue(queue) == stored
    assert decode_queue("k", stored) == queue


@pytest.mark.parametrize("value", [b"[]", b'{"AcQueue":7}', b'{"AcQueue":[7]}', b'{"AcQueue":[{"event":7}]}', b"{"])
def test_a_queue_that_is_not_as_specified_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedContext):
        decode_queue("k", value)


def test_an_empty_queue_may_be_null() -> None:
    assert decode_queue("k", b'{"AcQueue":null}') == ()


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("stopflag/", b'"true"'),
        ("status/", b'"Instantiated"'),
        ("status/", b'{"Status":7}'),
        ("app/a/cluster/p+c/resourcesready/", b"1"),
        ("app/a/cluster/p+c/readystatus/", b"{}"),
        ("app/a/cluster/p+c/resource/r+K/reference/", b"71"),
        ("rsync/AppContextEventQueue/", b"\xff"),
    ],
)
def test_a_status_of_the_wrong_type_is_malformed_and_names_its_key(leaf: str, value: bytes) -> None:
    key = f"/context/71/{leaf}"
    with pytest.raises(MalformedContext, match=key.replace("+", r"\+")):
        decode_status("71", [Entry(key, value, 1, 1)])


def test_what_is_not_there_is_none() -> None:
    status = decode_status("71", [])
    assert status == ContextStatus("71")
    assert status.cluster("a", "b") == ClusterStatus()
    assert status.resource("a", "b", "c") == ResourceStatus()
