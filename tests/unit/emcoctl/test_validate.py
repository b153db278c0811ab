"""``validate``: what can be told of resource files without a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emco_emcoctl import placeholders
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder

GROUPS = "projects/p/composite-apps/c/v1/deployment-intent-groups"
Document = Callable[..., str]


def test_good_files_are_fine_and_nothing_is_sent(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("chart.tgz", b"x")
    ctl.file("r.yaml", document("projects/p/composite-apps/c/v1/apps", "{{ .App }}", {"file": "chart.tgz"}))
    ctl.file("v.yaml", "App: web\n")

    assert ctl("validate", "-f", "r.yaml", "-v", "v.yaml") == 0
    assert "✓ r.yaml:2  projects/p/composite-apps/c/v1/apps/web\n1 documents, 0 with problems" in ctl.out
    assert recorder.seen == []


@pytest.mark.parametrize(
    ("anchor", "name", "more", "said"),
    [
        ("nowhere", "x", {}, "the anchor 'nowhere' leads to no service"),
        ("projects", "", {}, "metadata.name is missing"),
        ("projects", '"a b"', {}, "metadata.name 'a b' must consist of"),
        ("projects", "x" * 200, {}, "metadata.name has 200 characters, at most 128"),
        ("projects/p/composite-apps", "c", {"spec": "{compositeAppVersion: 1.0}"}, "write it with quotation marks"),
        ("projects/p/composite-apps/c/v1/apps", "a", {}, "file is missing"),
        ("projects/p/composite-apps/c/v1/apps", "a", {"file": "gone.tgz"}, "the file gone.tgz does not exist"),
        ("projects/p/composite-apps/c/v1/apps", "a", {"file": "left.tgz"}, "left.tgz is a placeholder"),
        (GROUPS, "g", {"spec": "{version: r, logicalCloud: l}"}, "spec.compositeProfile is missing"),
        (GROUPS, "g", {"spec": "{compositeProfile: [a], version: r, logicalCloud: l}"}, "must be a text, not ['a']"),
        (
            GROUPS,
            "g",
            {"spec": "{CompositeProfile: a, version: r, logicalCloud: l, delivery: {readyTimeout: -1}}"},
            "spec.delivery.readyTimeout -1 is less than 0",
        ),
        ("controllers", "c", {"spec": "{host: h, port: 1.5}"}, "spec.port must be an integer, not 1.5"),
        ("projects", "p", {"colour": "red"}, "the field 'colour' is unknown"),
        (
            "cluster-providers/p/cluster-sync-objects",
            "s",
            {"spec": f'{{kv: [{{t: "{placeholders.TEXT}"}}]}}'},
            "secret",
        ),
    ],
)
def test_what_is_wrong_is_said_beside_its_document(
    anchor: str, name: str, more: dict[str, str], said: str, ctl: Ctl, document: Document
) -> None:
    ctl.file("left.tgz", placeholders.FILE + b"the chart of web\n")
    ctl.file("r.yaml", document("projects", "fine") + document(anchor, name, more))

    assert ctl("validate", "-f", "r.yaml") == 2
    lines = ctl.out.splitlines()
    assert lines[0].startswith("✓ r.yaml:2")
    assert lines[1].startswith("✗ r.yaml:")
    assert said in "\n".join(lines[2:])
    assert lines[-1] == "2 documents, 1 with problems"


def test_the_same_document_twice_names_the_first(ctl: Ctl, document: Document) -> None:
    ctl.file("r.yaml", 2 * document("projects", "p"))

    assert ctl("validate", "-f", "r.yaml") == 2
    assert "is there already, at r.yaml:2" in ctl.out


def test_what_has_no_known_schema_says_so(ctl: Ctl, document: Document) -> None:
    ctl.file("r.yaml", document(f"{GROUPS}/g/hpa-intents", "h") + document(f"{GROUPS}/g/instantiate"))

    assert ctl("validate", "-f", "r.yaml") == 0
    first, second, _ = ctl.out.splitlines()
    assert "its schema is not known here" in first
    assert "not known" not in second


def test_a_template_that_does_not_expand_is_an_error(ctl: Ctl, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "{{ .Gone }}"))
    ctl.file("v.yaml", "App: web\n")

    assert ctl("validate", "-f", "r.yaml", "-v", "v.yaml") == 2
    assert "Gone" in ctl.err


def test_a_placeholder_is_never_sent(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("k", placeholders.FILE + b"the kubeconfig of edge\n")
    ctl.file("r.yaml", document("projects", "p") + document("cluster-providers/c/clusters", "edge", {"file": "k"}))

    assert ctl("apply", "-f", "r.yaml") == 2
    assert "the file k is a placeholder of an export; put what it names there" in ctl.err
    assert recorder.seen == []
