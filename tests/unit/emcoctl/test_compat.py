"""``--compat``: what the original sends where ours does better (emcoctl 1 to 7). The recorded cases are replayed in
tests/api/test_emcoctl_golden.py; these are the rules that they do not show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

Document = Callable[..., str]


def test_a_redirected_post_becomes_a_get(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(302, headers={"Location": "/v2/elsewhere"}), Reply(200, b"read")]

    assert ctl("--compat", "apply", "projects") == 0
    assert recorder.lines == ["orchestrator POST /v2/projects", "orchestrator GET /v2/elsewhere"]
    assert recorder.seen[1].body == b""
    assert "POST  --> URL" in ctl.out
    assert "Response Code: 200" in ctl.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("help", "foo"), 0),
        (("apply", "projects", "-w", "-3"), 0),
        (("apply",), 0),
        (("apply", "-f", "gone.yaml"), 0),
        (("get", "policy/agents/x"), 0),
        (("get", "ncm-controllers"), 0),
        (("watch", "projects/p"), 0),
        (("apply", "--colour"), 1),
        (("get", "-w", "1"), 1),
    ],
)
def test_exit_codes_are_those_of_the_original(words: tuple[str, ...], code: int, ctl: Ctl, recorder: Recorder) -> None:
    assert ctl("--compat", *words) == code
    assert [line for line in recorder.lines if "projects" not in line] == []


def test_only_the_first_of_several_files_and_values_counts(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    for name in "ab":
        ctl.file(f"{name}.yaml", document("projects", f"{name}-{{{{ .V }}}}"))
        ctl.file(f"v{name}.yaml", f"V: {name}\n")

    assert ctl("--compat", "apply", "-f", "a.yaml,b.yaml", "-v", "va.yaml", "-v", "vb.yaml") == 0
    assert [one.body for one in recorder.seen] == [b'{"metadata":{"name":"a-a"}}']


def test_names_are_part_of_the_anchor_as_they_are(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("r.yaml", document("projects", '"a/b?c=d e"') + document("projects/p/x/c/v1/y/d/policy-intents/i", "n"))

    assert ctl("--compat", "get", "-f", "r.yaml") == 0
    assert [one.target for one in recorder.seen] == [
        "/v2/projects/a/b?c=d%20e",
        "/v2/projects/p/x/c/v1/y/d/policy-intents/i/n",
    ]


def test_files_are_looked_for_in_the_working_directory_only(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    anchor = "cluster-providers/p/clusters"
    ctl.file("sub/k", "kubeconfig")
    ctl.file("sub/r.yaml", document("projects", "first") + document(anchor, "c", {"file": "k"}))

    assert ctl("--compat", "apply", "-f", "sub/r.yaml") == 0
    assert recorder.lines == ["orchestrator POST /v2/projects"]
    assert ctl("apply", "-f", "sub/r.yaml") == 0
    assert recorder.lines[1:] == ["orchestrator POST /v2/projects", f"clm POST /v2/{anchor}"]


def test_a_configuration_that_was_read_has_no_defaults(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("cfg.yaml", recorder.config(["orchestrator"]))
    ctl.file("r.yaml", document("projects", "a") + document("cluster-providers", "b") + document("projects", "c"))

    assert ctl("--compat", "apply", "-f", "r.yaml") == 1
    assert recorder.lines == ["orchestrator POST /v2/projects"]
    assert "clm.host is not set" in ctl.err


def test_a_configuration_may_ask_for_it(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("cfg.yaml", recorder.config() + "compat: true\n")
    ctl.file("r.yaml", document("projects", "a") + "---\n---\n" + document("projects", "b"))

    assert ctl("apply", "-f", "r.yaml") == 0
    assert len(recorder.seen) == 1


def test_a_missing_value_is_sent_as_the_original_prints_it(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("r.yaml", document("projects", "p", {"spec": "{a: '{{ .Gone }}'}"}))
    ctl.file("v.yaml", "x: 1\n")

    assert ctl("--compat", "apply", "-f", "r.yaml", "-v", "v.yaml") == 0
    assert recorder.seen[0].body == b'{"metadata":{"name":"p"},"spec":{"a":"\\u003cno value\\u003e"}}'
