"""``export``: what is written, and what is left to be filled in, against a server that answers by a script."""

from __future__ import annotations

import json

import pytest
import yaml

from emco_emcoctl import placeholders
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

PROVIDER = {"metadata": {"name": "acme", "description": "", "userData1": "yes"}}
SYNC = [{"metadata": {"name": "git"}, "spec": {"kv": [{"gitToken": "sekret"}, {"branch": "1.0"}, {"url": "***"}]}}]
CLUSTERS = [
    {"metadata": {"name": "direct"}, "spec": {"gitOps": {"gitOpsType": ""}}},
    {"metadata": {"name": "by git"}, "spec": {"gitOps": {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "git"}}},
]


def told(body: object) -> Reply:
    return Reply(200, json.dumps(body).encode())


def exported(ctl: Ctl, recorder: Recorder) -> list[dict[str, object]]:
    ctl.file("cfg.yaml", recorder.config(["clm", "ncm"]) + "cacert: {port: 1}\n")
    labels = [{"clusterLabel": "east"}]
    nothing = Reply(404)
    below = [told([]), told(labels), nothing, nothing]
    recorder.script = [told(PROVIDER), told(SYNC), told(CLUSTERS), *below, told([]), told([]), told([]), told([])]
    assert ctl("export", "cluster-providers/acme", "-d", "out") == 0, ctl.err
    return list(yaml.safe_load_all((ctl.folder / "out/02-clusters.yaml").read_text()))


def test_documents_come_in_the_order_in_which_they_need_each_other(ctl: Ctl, recorder: Recorder) -> None:
    documents = exported(ctl, recorder)

    assert [document["resourceContext"] for document in documents] == [
        {"anchor": "cluster-providers"},
        {"anchor": "cluster-providers/acme/cluster-sync-objects"},
        {"anchor": "cluster-providers/acme/clusters"},
        {"anchor": "cluster-providers/acme/clusters"},
        {"anchor": "cluster-providers/acme/clusters/direct/labels"},
    ]
    assert documents[0]["metadata"] == {"name": "acme", "userData1": "yes"}
    assert documents[4]["clusterLabel"] == "east"


def test_secrets_are_left_to_be_filled_in(ctl: Ctl, recorder: Recorder) -> None:
    sync = exported(ctl, recorder)[1]

    assert sync["spec"] == {"kv": [{"gitToken": placeholders.TEXT}, {"branch": "1.0"}, {"url": placeholders.TEXT}]}
    assert "cluster-sync-objects/git: spec.kv[0].gitToken is a secret and not exported" in ctl.err
    assert not any(b"sekret" in path.read_bytes() for path in (ctl.folder / "out").rglob("*") if path.is_file())


def test_a_kubeconfig_is_a_placeholder_and_a_cluster_behind_git_has_none(ctl: Ctl, recorder: Recorder) -> None:
    direct, by_git = exported(ctl, recorder)[2:4]

    assert direct["file"] == "files/cluster-providers/acme/clusters/direct.kubeconfig"
    assert (ctl.folder / "out" / str(direct["file"])).read_bytes().startswith(placeholders.FILE)
    assert "file" not in by_git
    assert not any(one.headers.get("accept") == "application/octet-stream" for one in recorder.seen)


def test_a_service_that_is_not_there_is_named(ctl: Ctl, recorder: Recorder) -> None:
    exported(ctl, recorder)

    assert "not reached, so nothing of theirs is exported: cacert" in ctl.err


def test_an_export_that_would_be_incomplete_is_none(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [told(PROVIDER), Reply(404), Reply(500, b"store away")]

    assert ctl("export", "cluster-providers/acme", "-d", "out") == 3
    assert "500: store away" in ctl.err
    assert not (ctl.folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 1, "name what to export"),
        (("projects/p", "--all"), 1, "name what to export"),
        (("projects/p/logical-clouds/l",), 1, "cannot be exported; name projects/P"),
        (("projects/p",), 3, "404"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    words: tuple[str, ...], code: int, said: str, ctl: Ctl, recorder: Recorder
) -> None:
    recorder.script = [Reply(404)]

    assert ctl("export", *words, "-d", "out") == code
    assert said in ctl.err


def test_nothing_is_written_over(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("out/mine.yaml", "x")

    assert ctl("export", "--all", "-d", "out") == 2
    assert "the folder out is not empty" in ctl.err
    assert recorder.seen == []
