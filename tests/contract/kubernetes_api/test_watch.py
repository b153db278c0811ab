"""Watches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tests.contract.kubernetes_api.builders import (
    config_map,
    revision,
)
from tests.support.witness import MERGE, Witness

Json = dict[str, Any]


class TestWatch:
    def test_events_come_in_order_from_a_revision_on(self, witness: Witness, maps: str) -> None:
        start = revision(witness.send("GET", maps).body)
        witness.send("POST", maps, config_map({"n": "1"}))
        witness.send("PATCH", f"{maps}/a", {"data": {"n": "2"}}, media=MERGE)
        witness.send("DELETE", f"{maps}/a")
        events = self._take(witness.watch(maps, resourceVersion=start, fieldSelector="metadata.name=a"), 3)
        assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
        assert [e["object"]["data"]["n"] for e in events] == ["1", "2", "2"]
        revisions = [int(revision(e["object"])) for e in events]
        assert revisions == sorted(set(revisions))

    def test_a_watch_without_revision_begins_with_what_is_there(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        [event] = self._take(witness.watch(maps, fieldSelector="metadata.name=a"), 1)
        assert (event["type"], event["object"]["kind"]) == ("ADDED", "ConfigMap")

    def test_objects_enter_and_leave_a_selection(self, witness: Witness, maps: str) -> None:
        start = revision(witness.send("POST", maps, config_map()).body)
        for labels in ({"x": "1"}, {"x": None}):
            witness.send("PATCH", f"{maps}/a", {"metadata": {"labels": labels}}, media=MERGE)
        events = self._take(witness.watch(maps, resourceVersion=start, labelSelector="x=1"), 2)
        assert [e["type"] for e in events] == ["ADDED", "DELETED"]

    def test_one_object_is_not_watched_at_its_own_path(self, witness: Witness, maps: str) -> None:
        made = witness.send("POST", maps, config_map())
        assert witness.send("GET", f"{maps}/a", watch="true").body == made.body

    def test_the_server_ends_a_watch_after_its_time(self, witness: Witness, maps: str) -> None:
        start = revision(witness.send("GET", maps).body)
        assert list(witness.watch(maps, seconds=1, resourceVersion=start, fieldSelector="metadata.name=a")) == []

    def test_initial_events_end_with_a_marked_bookmark(self, witness: Witness, maps: str) -> None:
        witness.send("POST", maps, config_map())
        events = self._take(
            witness.watch(
                maps,
                fieldSelector="metadata.name=a",
                sendInitialEvents="true",
                allowWatchBookmarks="true",
                resourceVersionMatch="NotOlderThan",
            ),
            2,
        )
        assert [e["type"] for e in events] == ["ADDED", "BOOKMARK"]
        assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    def test_contradicting_options_are_refused(self, witness: Witness, maps: str) -> None:
        answer = witness.send("GET", maps, watch="1", sendInitialEvents="true")
        assert (answer.status, "resourceVersionMatch: Forbidden: " in answer.message) == (422, True)

    def test_a_list_newer_than_the_server_is_a_504(self, witness: Witness, maps: str) -> None:
        answer = witness.send("GET", maps, resourceVersion="99999999")
        assert (answer.status, answer.body["reason"]) == (504, "Timeout")
        assert answer.message.startswith("Timeout: Too large resource version: 99999999, current: ")

    @staticmethod
    def _take(events: Iterator[Json], count: int) -> list[Json]:
        return list(itertools.islice((e for e in events if e["type"] != "UNWANTED"), count))
