"""`emcoctl plan`: what it asks for, and how it shows what would happen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emco_emcoctl import drawing, planview
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

GROUP = "projects/p/composite-apps/a/v1/deployment-intent-groups/d"


def resource(action: str, name: str, *fields: dict[str, Any], reason: str = "") -> dict[str, Any]:
    found = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "ns", "name": name}
    return {**found, "action": action, "reason": reason, "fields": list(fields)}


def cluster(name: str, *resources: dict[str, Any], reason: str = "") -> dict[str, Any]:
    return {"clusterProvider": "acme", "cluster": name, "reason": reason, "resources": list(resources)}


CHANGED = resource(
    "change",
    "settings",
    {"path": "data.a", "from": '"1"', "to": '"2"', "hidden": False},
    {"path": "data.b", "from": "", "to": '"new"', "hidden": False},
    {"path": "data.c", "from": '"old"', "to": "", "hidden": False},
    {"path": "data.key", "from": "", "to": "", "hidden": True},
)
PLAN: dict[str, Any] = {
    "for": "update",
    "counts": {"create": 1, "change": 2, "replace": 1, "delete": 1, "unchanged": 2, "run": 1, "refused": 0},
    "notes": ["d is not approved yet"],
    "apps": [
        {
            "name": "web",
            "clusters": [
                cluster("east", CHANGED, resource("unchanged", "same")),
                cluster("west", CHANGED, resource("unchanged", "same")),
                cluster(
                    "hq",
                    resource("create", "new"),
                    resource("replace", "fixed", reason="spec.template cannot be changed in place"),
                    resource("delete", "old"),
                    resource("run", "hook"),
                ),
                cluster("far", resource("unknown", "x"), reason="the cluster is away"),
            ],
        }
    ],
}
SHOWN = """\
update of d: 1 to create, 2 to change, 1 to replace, 1 to delete, 1 hooks to run, 2 unchanged
└─ web
   ├─ acme+east, acme+west
   │  └─ ~ ConfigMap ns/settings
   │     ├─ data.a: "1" → "2"
   │     ├─ data.b: "new" is new
   │     ├─ data.c: "old" goes
   │     └─ data.key: changed
   ├─ acme+hq
   │  ├─ + ConfigMap ns/new
   │  ├─ ! ConfigMap ns/fixed: spec.template cannot be changed in place
   │  ├─ - ConfigMap ns/old
   │  └─ > ConfigMap ns/hook
   └─ acme+far: the cluster is away
      └─ ? ConfigMap ns/x
"""


def answers(recorder: Recorder, plan: Any) -> None:
    recorder.script.append(Reply(200, json.dumps(plan).encode()))


def test_it_shows_a_tree_with_marks_in_which_clusters_alike_share_a_line(ctl: Ctl, recorder: Recorder) -> None:
    answers(recorder, PLAN)
    assert ctl("plan", GROUP) == 0
    assert ctl.out == SHOWN
    assert "d is not approved yet" in ctl.err
    assert [(one.method, one.target, one.body) for one in recorder.seen] == [("POST", f"/v2/{GROUP}/plan", b"")]


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["--for", "update", GROUP], "?for=update"),
        ([f"{GROUP}/instantiate"], "?for=instantiate"),
        ([f"{GROUP}/status"], ""),
    ],
)
def test_what_is_planned_is_said_by_a_flag_or_by_the_anchor(
    ctl: Ctl, recorder: Recorder, words: list[str], query: str
) -> None:
    answers(recorder, PLAN)
    assert ctl("plan", *words) == 0
    assert recorder.seen[0].target == f"/v2/{GROUP}/plan{query}"


def test_what_stays_is_shown_when_asked_for(ctl: Ctl, recorder: Recorder) -> None:
    answers(recorder, PLAN)
    assert ctl("plan", "--all", GROUP) == 0
    assert "= ConfigMap ns/same" in ctl.out


def test_an_update_of_nothing_says_so(ctl: Ctl, recorder: Recorder) -> None:
    apps = [{"name": "web", "clusters": [cluster("east", resource("unchanged", "same"))]}]
    answers(recorder, {"for": "update", "counts": {"unchanged": 1}, "notes": [], "apps": apps})
    assert ctl("plan", GROUP) == 0
    assert ctl.out.splitlines() == ["update of d: 1 unchanged", "└─ web", "   └─ acme+east: unchanged"]


def test_the_plan_can_be_had_as_data_and_as_a_table(ctl: Ctl, recorder: Recorder) -> None:
    answers(recorder, PLAN)
    assert ctl("plan", "-o", "json", GROUP) == 0
    assert json.loads(ctl.out) == PLAN
    answers(recorder, PLAN)
    assert ctl("plan", "-o", "table", GROUP) == 0
    assert "ConfigMap ns/old" in ctl.out


@pytest.mark.parametrize("reply", [Reply(404, b"404 page not found\n"), Reply(404), Reply(405)])
def test_a_server_without_plans_is_told_from_a_group_that_is_not_there(
    ctl: Ctl, recorder: Recorder, reply: Reply
) -> None:
    recorder.script.append(reply)
    assert ctl("plan", GROUP) == 3
    assert "this server has no plan" in ctl.err
    recorder.script.append(Reply(404, b"DeploymentIntentGroup not found\n"))
    assert ctl("plan", GROUP) == 3
    assert "DeploymentIntentGroup not found" in ctl.err


def test_only_a_deployment_intent_group_has_a_plan(ctl: Ctl, recorder: Recorder) -> None:
    assert ctl("plan", "projects/p") == 2
    assert "name a deployment intent group" in ctl.err
    assert recorder.seen == []


def test_marks_are_coloured_and_what_a_server_says_cannot_steer_a_terminal() -> None:
    evil = cluster("east", resource("delete", "a\x1b[2Jb", {"path": "p", "from": '"\x1b]0;x"', "to": "1"}))
    shown = planview.tree({"apps": [{"name": "web", "clusters": [evil]}]}, name="d")
    lines = list(drawing.tree(shown, colours=True, line=lambda node: planview.line(node, colours=True)))
    assert any(f"{drawing.RED}- ConfigMap ns/a [2Jb{drawing.PLAIN}" in line for line in lines)
    assert "\x1b]0" not in "".join(lines)
    assert "\x1b[2J" not in "".join(lines)
