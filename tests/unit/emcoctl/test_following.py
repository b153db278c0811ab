"""``--wait``, ``--upsert``, ``-o``, folders and the looking commands, against a server that answers by a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from emco_emcoctl.following import target_of
from emco_emcoctl.planning import Call, plan_anchor
from emco_emcoctl.routing import address
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

GROUP = "projects/p/composite-apps/c/v1/deployment-intent-groups/d"
Document = Callable[..., str]


def status(state: str, **more: Any) -> Reply:
    return Reply(200, json.dumps({"deployedStatus": state, **more}).encode())


def test_wait_follows_the_status_until_it_is_there(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [
        Reply(202),
        status("Instantiating", deployedCounts={"Applied": 1, "Pending": 2}),
        Reply(503),
        Reply(drop=True),
        status("Instantiated", deployedCounts={"Applied": 3}),
    ]

    assert ctl("apply", f"{GROUP}/instantiate", "--wait") == 0
    assert recorder.lines[1:] == [f"orchestrator GET /v2/{GROUP}/status?status=deployed"] * 4
    assert ctl.slept == sorted(ctl.slept)
    assert [line.rpartition(": ")[2] for line in ctl.err.splitlines()] == [
        "Instantiating, 1 of 3",
        "Instantiated, 3 of 3",
    ]
    assert "Instantiating" not in ctl.out


def test_a_deployment_that_failed_ends_the_run_with_its_reason(
    ctl: Ctl, document: Document, recorder: Recorder
) -> None:
    recorder.script = [Reply(202), status("Instantiating"), status("InstantiateFailed", reason="edge: refused")]
    ctl.file("r.yaml", document("projects/p/logical-clouds/l/instantiate") + document("projects", "next"))

    assert ctl("apply", "-f", "r.yaml", "--wait") == 5
    assert "projects/p/logical-clouds/l is InstantiateFailed: edge: refused" in ctl.err
    assert len(recorder.seen) == 3


def test_a_failure_at_the_first_look_may_be_an_old_one(ctl: Ctl, recorder: Recorder) -> None:
    old = status("TerminateFailed")
    recorder.script = [Reply(202), old, status("Terminating"), status("Terminated"), Reply(202), old, old]

    assert ctl("apply", f"{GROUP}/terminate", "--wait") == 0
    assert ctl("apply", f"{GROUP}/terminate", "--wait") == 5


def test_what_does_not_come_in_time_says_what_to_do(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(202)] + [status("Terminating")] * 20

    assert ctl("apply", f"{GROUP}/terminate", "--wait", "--wait-timeout", "10") == 5
    assert f"{GROUP} is Terminating after 10 s; look with 'emcoctl status {GROUP}'" in ctl.err
    assert sum(ctl.slept) <= 10


def test_delete_waits_for_the_end_before_it_deletes(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    recorder.script = [Reply(202), status("Terminating"), status("Terminated")]
    ctl.file("r.yaml", document(GROUP.rpartition("/")[0], "d") + document(f"{GROUP}/instantiate"))

    assert ctl("delete", "-f", "r.yaml", "--wait") == 0
    assert recorder.lines[-1] == f"orchestrator DELETE /v2/{GROUP}"


@pytest.mark.parametrize(
    ("anchor", "followed"),
    [
        (f"{GROUP}/instantiate", f"{GROUP}/status?status=deployed"),
        (f"{GROUP}/approve", None),
        ("projects/p/logical-clouds/l/terminate", "projects/p/logical-clouds/l/status"),
        ("cluster-providers/p/clusters/c/apply", "cluster-providers/p/clusters/c/status"),
        ("projects/p/ca-certs/x/enrollment/instantiate", "projects/p/ca-certs/x/enrollment/status"),
        ("projects", None),
    ],
)
def test_each_action_has_the_status_of_its_object(anchor: str, followed: str | None) -> None:
    target = target_of(plan_anchor("apply", anchor))

    assert (target and target.status) == followed


def test_a_migration_is_followed_where_it_leads() -> None:
    body = '{"spec":{"targetCompositeAppVersion":"v2","targetDeploymentIntentGroup":"d2"}}'
    target = target_of(Call("POST", address(f"{GROUP}/migrate"), "r.yaml:1", body))

    assert target is not None
    assert target.anchor == "projects/p/composite-apps/c/v2/deployment-intent-groups/d2"


def test_upsert_replaces_what_is_there(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    recorder.script = [Reply(409), Reply(200), Reply(201)]
    ctl.file("r.yaml", document("projects", "old") + document("projects", "new") + document(f"{GROUP}/approve"))

    assert ctl("apply", "--upsert", "-f", "r.yaml") == 0
    assert recorder.lines[:3] == [
        "orchestrator POST /v2/projects",
        "orchestrator PUT /v2/projects/old",
        "orchestrator POST /v2/projects",
    ]
    assert recorder.seen[0].body == recorder.seen[1].body


def test_files_of_a_folder_are_taken_in_order_of_name(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    ctl.file("d/2.yaml", document("projects", "two"))
    ctl.file("d/1.yml", document("projects", "one"))
    ctl.file("d/README.md", "no resource")

    assert ctl("apply", "-f", "d") == 0
    assert [json.loads(one.body)["metadata"]["name"] for one in recorder.seen] == ["one", "two"]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_data_alone_is_shown_in_its_form(form: str, ctl: Ctl, recorder: Recorder) -> None:
    body = {"metadata": {"name": "yes"}, "spec": {"version": "1.0", "octal": "0o17", "n": 3}}
    recorder.script = [Reply(200, json.dumps(body).encode())]

    assert ctl("get", "-o", form, "projects/p") == 0
    assert (json.loads if form == "json" else yaml.safe_load)(ctl.out) == body


def test_a_table_has_the_columns_that_say_something(ctl: Ctl, recorder: Recorder) -> None:
    listed = [{"metadata": {"name": f"n{i}", "description": ""}, "spec": {"port": i, "x": "\x1b[2J"}} for i in (1, 2)]
    recorder.script = [Reply(200, json.dumps(listed).encode())]

    assert ctl("get", "-o", "table", "controllers") == 0
    head, first, _ = ctl.out.splitlines()
    assert head.split() == ["NAME", "SPEC.PORT", "SPEC.X"]
    assert first.split() == ["n1", "1", "[2J"]
    assert "\x1b" not in ctl.out


def test_what_was_refused_is_told_beside_the_data(ctl: Ctl, document: Document, recorder: Recorder) -> None:
    recorder.script = [Reply(201, b'{"metadata":{"name":"a"}}'), Reply(409, b"Project already exists")]
    ctl.file("r.yaml", document("projects", "a") + document("projects", "b"))

    assert ctl("apply", "-o", "json", "-f", "r.yaml") == 3
    assert [one["status"] for one in json.loads(ctl.out)] == [201, 409]
    assert ctl.err == "emcoctl: POST projects b: 409: Project already exists\n"


RESOURCES = [
    {"GVK": {"Kind": "Deployment"}, "name": "web", "readyStatus": "NotReady", "reason": "1 of 2 are up"},
    {"GVK": {"Kind": "Service"}, "name": "web", "readyStatus": "Ready"},
]
SICK = {
    "deployedStatus": "Instantiated",
    "readyStatus": "NotReady",
    "readyCounts": {"Ready": 1, "NotReady": 1},
    "states": {"actions": [{"state": "Approved", "time": "2026-01-02T03:04:05Z", "instance": "", "revision": 0}]},
    "apps": [
        {
            "name": "web",
            "clusters": [
                {"clusterProvider": "acme", "cluster": "e1", "connectivity": "Available", "resources": RESOURCES},
                {"clusterProvider": "acme", "cluster": "e2", "connectivity": "Retrying", "reason": "no route"},
            ],
        }
    ],
}


def test_status_tells_what_is_wrong_and_where(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, json.dumps(SICK).encode())]

    assert ctl("status", f"{GROUP}/status") == 0
    assert ctl.out.splitlines() == [
        "deployed Instantiated",
        "ready    NotReady",
        "objects  1 Ready, 1 NotReady",
        "",
        "APP  CLUSTER  OBJECT          STATE     REASON",
        "web  acme+e1  Deployment web  NotReady  1 of 2 are up",
        "web  acme+e2                  Retrying  no route",
    ]
    assert recorder.lines == [f"orchestrator GET /v2/{GROUP}/status?status=ready"]


def test_a_tree_shows_everything_with_its_reason(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, json.dumps(SICK).encode())]

    assert ctl("tree", GROUP) == 0
    assert ctl.out.splitlines() == [
        "deployment d  NotReady: 1 Ready, 1 NotReady",
        "└─ web  NotReady",
        "   ├─ acme+e1  Available",
        "   │  ├─ Deployment web  NotReady: 1 of 2 are up",
        "   │  └─ Service web  Ready",
        "   └─ acme+e2  Retrying: no route",
    ]


def test_a_tree_of_a_project_goes_on_where_one_part_cannot_be_read(ctl: Ctl, recorder: Recorder) -> None:
    apps = b'[{"metadata":{"name":"c"},"spec":{"compositeAppVersion":"v1"}}]'
    groups = b'[{"metadata":{"name":"d"}},{"metadata":{"name":"e"}}]'
    recorder.script = [
        Reply(200),
        Reply(404),
        Reply(200, apps),
        Reply(200, groups),
        Reply(500, b"broken"),
        status("Created"),
    ]

    assert ctl("tree", "projects/p") == 0
    assert ctl.out.splitlines() == [
        "project p",
        "└─ composite app c v1",
        "   ├─ deployment d: 500: broken",
        "   └─ deployment e  Created",
    ]


def test_logs_tell_what_happened_and_what_is_wrong(ctl: Ctl, recorder: Recorder) -> None:
    history = [
        {"state": "Instantiated", "time": "2026-01-02T03:04:06Z", "instance": "77", "revision": 1},
        *SICK["states"]["actions"],  # type: ignore[index]
    ]
    revisions = [{"revision": 1, "instance": "77", "reason": "asked for by hand"}]
    recorder.script = [
        Reply(200, json.dumps({**SICK, "states": {"actions": history}}).encode()),
        Reply(200, json.dumps(revisions).encode()),
    ]

    assert ctl("logs", GROUP) == 0
    lines = ctl.out.splitlines()
    assert lines[1].split() == ["2026-01-02T03:04:05Z", "Approved"]
    assert lines[2].split(maxsplit=4) == ["2026-01-02T03:04:06Z", "Instantiated", "1", "77", "asked for by hand"]
    assert "now:" in lines
    assert lines[-1].endswith("no route")


def test_an_original_server_has_no_revisions_and_logs_say_so(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, json.dumps(SICK).encode()), Reply(404)]

    assert ctl("logs", GROUP, "-o", "json") == 0
    assert json.loads(ctl.out)["events"][0]["what"] == "Approved"
    assert "this server keeps no revisions" in ctl.err


@pytest.mark.parametrize("command", ["status", "tree", "logs"])
def test_what_has_no_status_is_refused_before_anything_is_sent(command: str, ctl: Ctl, recorder: Recorder) -> None:
    assert ctl(command, "controllers/rsync") == 2
    assert "name a" in ctl.err
    assert recorder.seen == []


def test_a_status_that_is_refused_ends_with_the_reason(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(404, b"DeploymentIntentGroup not found")]

    assert ctl("status", GROUP) == 3
    assert ctl.err == f"emcoctl: {GROUP}/status?status=ready: 404: DeploymentIntentGroup not found\n"


def test_version_tells_which_services_answer(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file(
        "cfg.yaml", recorder.config(["orchestrator"]) + "".join(f"{n}: {{port: 1}}\n" for n in ("clm", "dcm", "ncm"))
    )
    recorder.script = [Reply(200, b'{"info":{"version":"9.9"}}')]

    assert ctl("version", "-o", "json", "--timeout", "2") == 0
    found = {one["component"]: one["version"] for one in json.loads(ctl.out)}
    assert found["orchestrator"] == "9.9"
    assert "emcoctl" in found
    assert "clm" not in found
