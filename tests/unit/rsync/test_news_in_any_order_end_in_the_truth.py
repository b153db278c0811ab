"""What is known of a cluster's objects, when lists, events and answers to applies arrive as they like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emco_common.kube import Kind
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL
from emco_rsync.watch.alike import Alike
from emco_rsync.watch.known import Answers, Known

KIND = Kind("apps/v1", "Deployment")
NAMES = st.sampled_from("ab")
Obj = dict[str, Any]


def obj(
    name: str,
    *,
    revision: int,
    generation: int = 1,
    uid: str = "u",
    status: str = "",
    opaque: bool = False,
    label: str = "1-web",
) -> Obj:
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": uid,
        "generation": generation,
        "resourceVersion": f"v-{revision}" if opaque else str(revision),
        "labels": {DEPLOYMENT_LABEL: label},
    }
    return {"apiVersion": KIND.api_version, "kind": KIND.kind, "metadata": metadata, "status": {"is": status}}


def statuses(known: Known) -> dict[str, str]:
    return {name: json.loads(held.entry)["status"]["is"] for (_, _, name), held in known.objects("1-web").items()}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1-web", "1-db", "2-web", ""]), st.booleans())))
def test_each_label_has_its_objects_whichever_come_go_and_change_hands(news: list[tuple[str, str, bool]]) -> None:
    known = Known(lambda labels: None)
    wanted: dict[str, str] = {}
    for revision, (name, label, deleted) in enumerate(news, start=1):
        known.happened(KIND, obj(name, revision=revision, label=label), deleted=deleted)
        wanted[name] = "" if deleted else label
    for label in ("1-web", "1-db", "2-web"):
        found = {name for (_, _, name) in known.objects(label)}
        assert found == {name for name, owner in wanted.items() if owner == label}


@pytest.fixture
def known() -> Known:
    return Known(lambda labels: None)


@pytest.mark.robustness(47)
def test_an_answer_that_was_overtaken_is_not_believed(known: Known) -> None:
    known.listed(KIND, [obj("a", revision=7, status="ready")], before={})
    known.answered(KIND, obj("a", revision=5, status="made"))
    assert statuses(known) == {"a": "ready"}


def test_an_answer_ahead_of_the_stream_is_believed_and_what_is_older_is_not(known: Known) -> None:
    known.listed(KIND, [obj("a", revision=3, status="old")], before={})
    known.answered(KIND, obj("a", revision=5, generation=2, status="changed"))
    known.happened(KIND, obj("a", revision=4, status="old still"), deleted=False)
    assert statuses(known) == {"a": "changed"}
    known.happened(KIND, obj("a", revision=6, generation=2, status="ready"), deleted=False)
    assert statuses(known) == {"a": "ready"}


def test_where_revisions_are_no_numbers_generations_tell_at_least_of_the_specification(known: Known) -> None:
    known.listed(KIND, [obj("a", revision=7, generation=2, status="ready", opaque=True)], before={})
    known.answered(KIND, obj("a", revision=5, generation=2, status="made", opaque=True))
    assert statuses(known) == {"a": "ready"}
    known.answered(KIND, obj("a", revision=8, generation=3, status="changed", opaque=True))
    known.happened(KIND, obj("a", revision=7, generation=2, status="ready", opaque=True), deleted=False)
    assert statuses(known) == {"a": "changed"}


def test_an_answer_about_what_is_gone_already_does_not_bring_it_back(known: Known) -> None:
    known.listed(KIND, [obj("a", revision=5)], before={})
    known.happened(KIND, obj("a", revision=6), deleted=True)
    known.answered(KIND, obj("a", revision=5))
    assert statuses(known) == {}


@pytest.mark.parametrize("revision", ["9" * 30, "7"])
@pytest.mark.robustness(47)
def test_a_list_asked_for_after_an_answer_goes_before_it_whatever_the_numbers_say(known: Known, revision: str) -> None:
    """A cluster that was restored from a backup counts again from an earlier number."""
    known.listed(KIND, [obj("a", revision=6)], before={})
    known.answered(KIND, obj("a", revision=int(revision), status="before the restore"))
    known.listed(KIND, [obj("a", revision=2, status="restored")], before=known.answers())
    assert statuses(known) == {"a": "restored"}
    known.happened(KIND, obj("a", revision=3, status="ready"), deleted=False)
    assert statuses(known) == {"a": "ready"}


@given(st.lists(st.sampled_from(["", "ready"]), max_size=6))
def test_only_what_changes_is_told(told: list[str]) -> None:
    changes: list[str] = []
    known = Known(changes.extend)
    for status in told:
        known.listed(KIND, [obj("a", revision=1, status=status)], before=known.answers())
    assert len(changes) == sum(now != before for before, now in zip([None, *told], told, strict=False))


@given(st.lists(st.tuples(st.integers(0, 2), NAMES, st.sampled_from(["", "made", "ready"])), max_size=20))
def test_clusters_that_share_what_is_alike_are_told_each_by_its_own_news(news: list[tuple[int, str, str]]) -> None:
    alike = Alike([(KIND, "default", "a")])
    clusters = [Known(lambda labels: None, share=lambda label: alike) for _ in range(3)]
    wanted: list[dict[str, str]] = [{}, {}, {}]
    for revision, (cluster, name, status) in enumerate(news, start=1):
        clusters[cluster].happened(KIND, obj(name, revision=revision, status=status), deleted=False)
        wanted[cluster][name] = status
    assert [statuses(known) for known in clusters] == wanted


def test_what_is_equal_on_several_clusters_is_kept_once() -> None:
    alike = Alike([(KIND, "default", "a")])
    kept = []
    for _ in range(3):
        known = Known(lambda labels: None, share=lambda label: alike)
        known.happened(KIND, obj("a", revision=1, status="ready"), deleted=False)
        ((key, seen),) = known.objects("1-web").items()
        kept.append((key, seen._packed))
    assert len({id(key) for key, _ in kept}) == len({id(packed) for _, packed in kept}) == 1


class Cluster(RuleBasedStateMachine):
    """A cluster whose news are under way for any time; only the stream's keep their order."""

    @initialize(opaque=st.booleans())
    def begin(self, opaque: bool) -> None:
        self.opaque = opaque
        self.revision = 0
        self.live: dict[str, Obj] = {}
        self.log: list[tuple[int, Obj, bool]] = []
        self.answers: list[Obj] = []
        self.asked: Answers | None = None
        self.list: tuple[int, list[Obj]] | None = None
        self.seen = 0
        self.known = Known(lambda labels: None)

    @rule(name=NAMES)
    def apply(self, name: str) -> None:
        former = self.live.get(name)
        generation = former["metadata"]["generation"] + 1 if former else 1
        uid = former["metadata"]["uid"] if former else f"u{self.revision}"
        self.answers.append(self._write(name, generation=generation, uid=uid, deleted=False))

    @rule(name=NAMES)
    def turn(self, name: str) -> None:
        if former := self.live.get(name):
            kept = former["metadata"]
            self._write(name, generation=kept["generation"], uid=kept["uid"], deleted=False)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if former := self.live.get(name):
            kept = former["metadata"]
            self._write(name, generation=kept["generation"], uid=kept["uid"], deleted=True)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.known.answered(KIND, self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    @precondition(lambda self: self.asked is None)
    @rule()
    def ask_for_a_list(self) -> None:
        self.asked = self.known.answers()

    @precondition(lambda self: self.asked is not None and self.list is None)
    @rule()
    def make_the_list(self) -> None:
        self.list = self.revision, list(self.live.values())

    @precondition(lambda self: self.list is not None)
    @rule()
    def get_the_list(self) -> None:
        assert self.list is not None
        assert self.asked is not None
        self.seen, items = self.list
        self.known.listed(KIND, items, before=self.asked)
        self.asked = self.list = None

    @precondition(lambda self: self.asked is None)
    @rule()
    def get_an_event(self) -> None:
        for revision, changed, deleted in self.log:
            if revision > self.seen:
                self.seen = revision
                self.known.happened(KIND, changed, deleted=deleted)
                return

    @invariant()
    def in_the_end_all_is_known_as_it_is(self) -> None:
        if self.asked is None and self.seen == self.revision and not self.opaque:
            assert statuses(self.known) == self._truth()

    def teardown(self) -> None:
        if not hasattr(self, "known"):
            return
        self.known.listed(KIND, self.live.values(), before=self.known.answers())
        assert statuses(self.known) == self._truth()

    def _truth(self) -> dict[str, str]:
        return {name: str(held["status"]["is"]) for name, held in self.live.items()}

    def _write(self, name: str, *, generation: int, uid: str, deleted: bool) -> Obj:
        self.revision += 1
        written = obj(
            name,
            revision=self.revision,
            generation=generation,
            uid=uid,
            status=f"as of {self.revision}",
            opaque=self.opaque,
        )
        self.live.pop(name, None)
        if not deleted:
            self.live[name] = written
        self.log.append((self.revision, written, deleted))
        return written


TestNewsInAnyOrder = Cluster.TestCase
TestNewsInAnyOrder.settings = settings(stateful_step_count=25, deadline=None)
