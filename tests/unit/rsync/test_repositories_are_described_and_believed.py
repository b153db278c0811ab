"""What sync objects may say of a repository, where things are in it, and what is believed of reports: pure."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import Kind, Ref, errors
from emco_rsync.delivery.git.draft import Draft, blob_id
from emco_rsync.delivery.git.errors import Behind, error_of, without
from emco_rsync.delivery.git.remote import BadRemote, remote_of
from emco_rsync.delivery.layout import ANTHOS, FLUX, Consignment, Layout, go_duration, status_branches
from emco_rsync.delivery.reports import MAX_OBJECTS, BadReport, bundle_of, changes, objects_of

PAIRS = {
    "userName": "bot",
    "gitToken": "CANARY",
    "repoName": "edge",
    "branch": "main",
    "url": "https://git.example.org/e",
}


@pytest.mark.robustness(17)
@pytest.mark.parametrize(
    "url",
    [
        "http://git.example.org/e",
        "file:///etc/passwd",
        "ext::sh -c id",
        "ssh://git.example.org/e",
        "https://u:CANARY@git.example.org/e",
        "https://git.example.org/e\r\nX: y",
        "https://git.example.org/e?x=1",
        "https:///e",
        "https://git.example.org:99999/e",
        "--upload-pack=id",
    ],
)
def test_a_url_that_leads_elsewhere_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(BadRemote) as refused:
        remote_of({**PAIRS, "url": url})

    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("branch", ["-x", "a..b", "a b", "/a", "a.lock", "a/", "x:y", "+x", "a" * 300])
def test_a_branch_has_a_branchs_name(branch: str) -> None:
    with pytest.raises(BadRemote, match="branch"):
        remote_of({**PAIRS, "branch": branch})


def test_a_remote_shows_no_token() -> None:
    assert "CANARY" not in repr(remote_of(PAIRS))


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("fatal: Authentication failed for 'https://x'", errors.Unauthorized),
        ("error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403", errors.Unauthorized),
        (" ! [rejected] a -> main (fetch first)", Behind),
        (" ! [remote rejected] a -> main (pre-receive hook declined)", errors.Forbidden),
        ("fatal: unable to access 'https://x': Could not resolve host: x", errors.Unreachable),
        ("fatal: unable to access 'https://x': The requested URL returned error: 503", errors.Unreachable),
        ("fatal: SSL certificate problem: unable to get local issuer certificate", errors.Unreachable),
    ],
)
def test_what_git_says_means_something(told: str, kind: type[errors.KubeError]) -> None:
    assert type(error_of(told, server="s")) is kind


def test_what_git_says_is_freed_of_secrets() -> None:
    assert without("at https://u:p@host and CANARY", ["CANARY", ""]) == "at https://***@host and ***"


@pytest.mark.parametrize(("seconds", "text"), [(60, "1m0s"), (30, "30s"), (90, "1m30s"), (3600, "1h0m0s")])
def test_durations_are_written_as_go_does(seconds: int, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("flavour", "level", "kind", "own", "there"),
    [
        (FLUX, "0", Kind("v1", "ConfigMap"), "", "shop"),
        (FLUX, "1", Kind("v1", "ConfigMap"), "other", "other"),
        (FLUX, "0", Kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "shop", ""),
        (FLUX, "0", Kind("example.org/v1", "Unheard"), "", "shop"),
        (ANTHOS, "0", Kind("v1", "ConfigMap"), "other", "other"),
        (ANTHOS, "1", Kind("v1", "ConfigMap"), "other", "shop"),
        (ANTHOS, "1", Kind("v1", "Namespace"), "", ""),
    ],
)
def test_an_object_is_where_its_kind_and_the_layout_say(
    flavour: str, level: str, kind: Kind, own: str, there: str
) -> None:
    of = Consignment("1", "web", "1-web", level=level, namespace="shop")

    assert Layout(flavour, "p+c").namespace_of(Ref(kind, "x", own), of) == there


@pytest.mark.parametrize(("flavour", "words"), [(FLUX, "prune"), (ANTHOS, "deletion")])
@pytest.mark.parametrize(("kind", "label"), [("CustomResourceDefinition", "1-web"), ("Namespace", "")])
def test_what_others_may_depend_on_is_not_pruned(flavour: str, words: str, kind: str, label: str) -> None:
    labels = {"emco/deployment-id": label} if label else {}
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "labels": labels, "annotations": {"a": "b"}}}

    written = Layout(flavour, "p+c").written(obj, Ref(Kind("v1", kind), "x"), Consignment("1", "web", "1-web"))

    assert written["metadata"]["annotations"]["a"] == "b"
    assert any(words in name for name in written["metadata"]["annotations"])


def test_a_cluster_is_not_taken_for_another_whose_name_begins_alike() -> None:
    heads = {"p+c": "1", "p+c-2": "2", "p+c-7-web": "3", "p+c-x-7-web": "4", "main": "5"}

    assert status_branches("p+c", heads, per_app=False) == {"p+c": "1"}
    assert status_branches("p+c", heads, per_app=True) == {"p+c-7-web": "3"}


@given(st.dictionaries(st.text("ab/", min_size=1, max_size=4), st.binary(max_size=3)),
       st.lists(st.tuples(st.text("ab/", min_size=1, max_size=4), st.none() | st.binary(max_size=3))))  # fmt: skip
def test_a_draft_says_exactly_what_differs(before: dict[str, bytes], steps: list[tuple[str, bytes | None]]) -> None:
    draft = Draft({p: blob_id(c) for p, c in before.items()}, {blob_id(c): c for c in before.values()})
    after = dict(before)
    for path, content in steps:
        if content is None:
            draft.remove(path)
            after.pop(path, None)
        else:
            draft.put(path, content)
            after[path] = content

    assert draft.writes == {p: c for p, c in after.items() if before.get(p) != c}
    assert set(draft.removals) == before.keys() - after.keys()


def labelled(name: str, label: str = "7-web", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"emco/deployment-id": label}}, **more}


@pytest.mark.robustness(27)
def test_a_report_is_believed_of_its_own_label_only_and_nonsense_in_it_is_left_out() -> None:
    generic = base64.b64encode(json.dumps(labelled("r", apiVersion="v1", kind="Namespace")).encode()).decode()
    status = {
        "podStatuses": [labelled("p"), labelled("q", "8-other"), 7, {"metadata": []}],
        "resourceStatuses": [{"res": generic}, {"res": "%%%"}, {"res": None}, "x"],
        "serviceStatuses": "none",
        "jobStatuses": [{"metadata": {"name": {}, "labels": {"emco/deployment-id": "7-web"}}}],
    }

    found = objects_of({"status": status}, label="7-web")

    assert [(obj["apiVersion"], obj["kind"], obj["metadata"]["name"]) for obj in found] == [
        ("v1", "Pod", "p"),
        ("v1", "Namespace", "r"),
    ]


@pytest.mark.robustness(27)
def test_a_report_of_endless_objects_is_cut() -> None:
    status = {"podStatuses": [labelled(f"p{n}") for n in range(MAX_OBJECTS + 10)]}

    assert len(objects_of({"status": status}, label="7-web")) == MAX_OBJECTS


@pytest.mark.robustness(27)
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"status": 1}', b"a: &a [*a]"])
def test_what_is_no_report_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(BadReport):
        bundle_of(content)


def test_a_report_may_be_yaml() -> None:
    assert bundle_of(b"kind: ResourceBundleState\nstatus: {ready: false}")["status"] == {"ready": False}


def test_from_one_report_to_the_next_each_change_is_one_event() -> None:
    old = [labelled("same"), labelled("changed", spec=1), labelled("gone")]
    new = [labelled("same"), labelled("changed", spec=2), labelled("new")]

    assert [(event.type, event.object["metadata"]["name"]) for event in changes(old, new)] == [
        ("MODIFIED", "changed"),
        ("ADDED", "new"),
        ("DELETED", "gone"),
    ]
