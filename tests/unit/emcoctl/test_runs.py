"""Whole runs: what is shown, what stops them, and how they end."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable

import pytest

from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

Document = Callable[..., str]
GROUP = "projects/p/composite-apps/c/v1/deployment-intent-groups/d"
CONTROLLERS = """---
version: emco/v2
resourceContext:
   anchor: controllers
metadata :
   name: rsync
spec:
   host: "192.168.121.103"
   port: 30546
"""


@pytest.fixture
def three(ctl: Ctl, document: Document) -> str:
    return ctl.file("three.yaml", "".join(document("projects", name) for name in "abc"))


def test_the_published_walk_through_works_as_it_stands(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("controllers.yaml", CONTROLLERS)
    ports = {name: recorder.ports[name] for name in ("orchestrator", "clm", "ncm", "ovnaction", "dcm")}
    ctl.file("local-cfg.yaml", "".join(f"{name}:\n  host: 127.0.0.1\n  port: {port}\n" for name, port in ports.items()))

    assert ctl.plain("--config", "local-cfg.yaml", "apply", "-f", "controllers.yaml") == 0
    assert ctl.out == (
        "Using config file: local-cfg.yaml\n"
        "---\n"
        f"POST  --> URL: http://127.0.0.1:{ports['orchestrator']}/v2/controllers\n"
        "Response Code: 201\n"
        "Response: created\n"
    )
    assert recorder.seen[0].body == (b'{"metadata":{"name":"rsync"},"spec":{"host":"192.168.121.103","port":30546}}')


def test_a_blank_body_prints_the_word_and_no_body_prints_nothing(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, b" \n"), Reply(200)]
    ctl("get", "projects")
    assert ctl.out.endswith("Response Code: 200\nResponse: \n")
    ctl("get", "projects")
    assert ctl.out.endswith("Response Code: 200\n")


def test_an_accepted_call_is_waited_for_as_long_as_asked(ctl: Ctl, document: Document) -> None:
    ctl.file("r.yaml", document(f"{GROUP}/approve") + document("projects", "p") + document(f"{GROUP}/instantiate"))

    assert ctl("apply", "-f", "r.yaml", "-w", "3") == 0
    assert ctl.slept == [3, 3]
    assert ctl.out.count("Response Code: 202\nAPI Response code 202. Waiting...\n") == 2


def test_without_w_nothing_is_waited_for_though_the_line_stays(ctl: Ctl) -> None:
    ctl("apply", f"{GROUP}/approve")

    assert ctl.slept == []
    assert ctl.out.endswith("API Response code 202. Waiting...\n")


def test_a_delete_is_waited_for_only_when_asked(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(202), Reply(202)]
    ctl("delete", "projects/p")
    assert (ctl.slept, "Waiting" in ctl.out) == ([], False)
    ctl("delete", "projects/p", "--waitTime", "2")
    assert (ctl.slept, "Waiting" in ctl.out) == ([2], True)


@pytest.mark.parametrize("command", ["apply", "update", "get", "delete"])
def test_a_failed_document_makes_the_run_fail_after_the_others(
    command: str, ctl: Ctl, recorder: Recorder, three: str
) -> None:
    recorder.script = [Reply(200), Reply(409, b"Project already exists\n")]

    assert ctl(command, "-f", three) == 3
    assert len(recorder.seen) == 3
    assert "Response Code: 409\nResponse: Project already exists\n" in ctl.out


@pytest.mark.parametrize("command", ["apply", "update", "delete"])
def test_stop_ends_the_run_at_the_first_failure(command: str, ctl: Ctl, recorder: Recorder, three: str) -> None:
    recorder.script = [Reply(200), Reply(500, b"no")]

    assert ctl(command, "-f", three, "-s") == 3
    assert len(recorder.seen) == 2


@pytest.mark.parametrize(("command", "sent"), [("apply", 1), ("update", 1), ("delete", 1), ("get", 3)])
def test_a_broken_connection_ends_the_run_except_when_reading(
    command: str, sent: int, ctl: Ctl, recorder: Recorder, three: str
) -> None:
    recorder.script = [Reply(drop=True)]

    assert ctl(command, "-f", three) == 4
    assert len(recorder.seen) == sent
    assert ctl.err.count("\n") == 1
    assert "/v2/projects" in ctl.err


def test_an_answer_that_breaks_off_is_no_answer(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, b"half", cut=10)]

    assert ctl("get", "projects") == 4
    assert "Response" not in ctl.out
    assert "the answer broke off" in ctl.err


def test_an_answer_that_does_not_come_is_waited_for_with_a_limit(ctl: Ctl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ctl.file("cfg.yaml", f"orchestrator: {{host: 127.0.0.1, port: {silent.getsockname()[1]}}}\n")

        assert ctl("get", "projects", "--timeout", "0.05") == 4
    assert "no answer in time" in ctl.err


def test_nothing_is_sent_if_one_anchor_leads_nowhere(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "a") + document("foo", "b") + document("bar", "c"))

    assert ctl("apply", "-f", "r.yaml") == 2
    assert recorder.seen == []
    assert ctl.err.count("leads to no service") == 2
    assert "r.yaml:8" in ctl.err


def test_reading_skips_an_anchor_that_leads_nowhere_and_fails(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "a") + document("foo", "b") + document("projects", "c"))

    assert ctl("get", "-f", "r.yaml") == 2
    assert recorder.lines == ["orchestrator GET /v2/projects/a", "orchestrator GET /v2/projects/c"]


@pytest.mark.parametrize(("content", "reason"), [(None, "does not exist"), ("", "is empty")])
def test_uploads_are_checked_before_anything_is_sent(
    content: str | None, reason: str, ctl: Ctl, recorder: Recorder, document: Document
) -> None:
    if content is not None:
        ctl.file("a.tgz", content)
    ctl.file("r.yaml", document("projects", "p") + document("projects/p/apps", "a", {"file": "a.tgz"}))

    assert ctl("apply", "-f", "r.yaml") == 2
    assert recorder.seen == []
    assert f"the file a.tgz {reason}" in ctl.err


def test_delete_and_get_do_not_read_uploads(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("cluster-providers/p/clusters", "c", {"file": "nope"}))

    assert ctl("delete", "-f", "r.yaml") == ctl("get", "-f", "r.yaml") == 0


def test_all_files_are_processed_in_order(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    for name in "abc":
        ctl.file(f"{name}.yaml", document("projects", name))

    assert ctl("get", "-f", "b.yaml,a.yaml", "-f", "c.yaml") == 0
    assert [line[-1] for line in recorder.lines] == ["b", "a", "c"]


def test_a_missing_second_file_shows_before_the_first_is_sent(ctl: Ctl, recorder: Recorder, three: str) -> None:
    assert ctl("apply", "-f", three, "-f", "nope.yaml") == 2
    assert recorder.seen == []
    assert "nope.yaml cannot be read: No such file or directory" in ctl.err


def test_standard_input_is_read(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    assert ctl("apply", "-f", "-", stdin=document("projects", "p").encode()) == 0
    assert recorder.lines == ["orchestrator POST /v2/projects"]


def test_templates_are_expanded_with_merged_values(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "'{{ .a.x }}{{ .a.y }}{{ range .l }}{{ . }}{{ end }}'"))
    ctl.file("one.yaml", "a: {x: 1, y: 1}\nl: [1, 2]\n---\nnot: read\n")
    ctl.file("two.yaml", "a: {y: 2.0}\nl: [7]\n")

    assert ctl("get", "-f", "r.yaml", "-v", "one.yaml", "-v", "two.yaml") == 0
    assert recorder.lines == ["orchestrator GET /v2/projects/127"]


def test_without_values_braces_are_only_braces(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "'{{ .a }}'"))

    assert ctl("get", "-f", "r.yaml") == 0
    assert recorder.lines == ["orchestrator GET /v2/projects/%7B%7B%20.a%20%7D%7D"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("a: [", "v.yaml:2: "),
        ("", "v.yaml: the values file is empty"),
        ("b: 1", "r.yaml:6:11"),
        (None, "v.yaml cannot be read: No such file"),
    ],
)
def test_wrong_values_are_named_and_nothing_is_sent(
    values: str | None, reason: str, ctl: Ctl, recorder: Recorder, document: Document
) -> None:
    ctl.file("r.yaml", document("projects", "{{ .a }}"))
    if values is not None:
        ctl.file("v.yaml", values)

    assert ctl("apply", "-f", "r.yaml", "-v", "v.yaml") == 2
    assert recorder.seen == []
    assert reason in ctl.err


def test_missing_values_can_be_allowed(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "'{{ .a }}'"))
    ctl.file("v.yaml", "b: 1\n")

    assert ctl("apply", "-f", "r.yaml", "-v", "v.yaml", "--allow-missing") == 0
    assert recorder.seen[0].body == b'{"metadata":{"name":"\\u003cno value\\u003e"}}'


def test_unknown_fields_warn_or_refuse(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("r.yaml", "resourceContext: {anchor: projects}\nMetadata: {name: p}\n")

    assert ctl("apply", "-f", "r.yaml") == 0
    assert "warning: r.yaml:1: the field 'Metadata' is unknown" in ctl.err
    assert ctl("apply", "-f", "r.yaml", "--strict") == 2
    assert len(recorder.seen) == 1


def test_a_folder_is_no_input(ctl: Ctl) -> None:
    (ctl.folder / "d").mkdir()

    assert ctl("apply", "-f", "d") == 2
    assert "d is a folder without files that end in .yaml" in ctl.err


@pytest.mark.parametrize(
    "words",
    [
        ["foo"],
        ["apply"],
        ["update", "projects"],
        ["get", "-w", "1"],
        ["apply", "-q"],
        ["apply", "-w", "x"],
        ["apply", "-w", "-1"],
        ["apply", "-f"],
        ["watch"],
        ["help", "foo"],
        ["completion", "bash", "x"],
        ["-f", "x.yaml"],
        ["apply", "--stop=perhaps"],
        ["get", "projects", "-t", 'a"b'],
    ],
    ids=" ".join,
)
def test_a_usage_error_appears_once_on_standard_error(words: list[str], ctl: Ctl, recorder: Recorder) -> None:
    assert ctl.plain(*words) == 1
    assert recorder.seen == []
    assert ctl.err.startswith("emcoctl: ")
    assert ctl.err.count("\n") == 1


def test_a_wrong_section_that_is_not_needed_does_not_stop_the_run_but_fails_it(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("cfg.yaml", recorder.config(["orchestrator"]) + "clm: text\n")

    assert ctl("get", "projects") == 1
    assert len(recorder.seen) == 1
    assert "clm must be a section" in ctl.err
    assert ctl("get", "cluster-providers") == 1
    assert len(recorder.seen) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [("resourceContext: {anchor: foo}\n", 0), ("[1", 1), ("resourceContext: {anchor: projects}\n", 0)],
)
@pytest.mark.parametrize("asked", ["flag", "config"])
def test_compat_ends_with_the_codes_of_the_original(
    asked: str, content: str, code: int, ctl: Ctl, recorder: Recorder
) -> None:
    recorder.script = [Reply(500)]
    ctl.file("r.yaml", content)
    if asked == "config":
        ctl.file("cfg.yaml", recorder.config() + "compat: true\n")

    assert ctl("apply", "-f", "r.yaml", *(["--compat"] if asked == "flag" else [])) == code


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_line_per_document_with_the_reason(ctl: Ctl, recorder: Recorder, three: str) -> None:
    recorder.script = [Reply(201, b"{}"), Reply(409, b"already\n exists\n"), Reply(202)]
    ctl.environ["NO_COLOR"] = "1"

    ctl.plain("--config", "cfg.yaml", "apply", "-f", three, "-w", "1", stdout=Terminal())
    assert ctl.out.splitlines() == [
        "configuration: cfg.yaml",
        "✓ POST projects a  201",
        "✗ POST projects b  409: already exists",
        "✓ POST projects c  202",
        "  accepted; waiting 1 s",
        "2 done, 1 failed",
    ]


def test_on_a_terminal_a_server_that_is_away_is_a_cross_too(ctl: Ctl, three: str) -> None:
    ctl.file("cfg.yaml", "orchestrator: {host: 127.0.0.1, port: 1}\n")
    ctl.environ["NO_COLOR"] = "1"

    assert ctl.plain("--config", "cfg.yaml", "apply", "-f", three, stdout=Terminal()) == 4
    assert ctl.err == "✗ POST http://127.0.0.1:1/v2/projects: Connection refused\n"


def test_on_a_terminal_what_is_read_is_shown_indented_and_coloured(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, b'{"a":[1]}'), Reply(200, b"text")]

    ctl.plain("--config", "cfg.yaml", "get", "projects/p", stdout=Terminal())
    assert ctl.out.endswith('{\n  "a": [\n    1\n  ]\n}\n')
    assert "\x1b[32m✓" in ctl.out
    ctl.plain("--config", "cfg.yaml", "get", "projects/p", stdout=Terminal())
    assert ctl.out.endswith("\ntext\n")
