"""An operation as it is recorded on its document, and the document that bears it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from emco_common.lifecycle import STATE_TAG, StateInfo
from emco_common.store.api import Document, Key

OPERATION_TAG = "operation"
"""The tag of a document that holds the operation under way on it, absent when there is none."""


class Phase(StrEnum):
    """``BUILDING``: nothing outside has been asked for yet; ``HANDOVER``: rsync may have been told."""

    BUILDING = "building"
    HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Begun:
    """The AppContext that an operation is about, and the one that it replaces, if any."""

    instance: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is being done, by which process since when (RFC 3339); ``asked`` is what the request said besides."""

    verb: str
    phase: Phase
    instance: str
    owner: str
    since: str
    source: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "verb": self.verb,
            "phase": self.phase,
            "instance": self.instance,
            "owner": self.owner,
            "since": self.since,
            "source": self.source,
            "asked": dict(self.asked),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Operation:
        return cls(
            raw["verb"],
            Phase(raw["phase"]),
            raw["instance"],
            raw["owner"],
            raw["since"],
            raw.get("source", ""),
            raw.get("asked", {}),
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A document with a history (``stateInfo``), as read."""

    document: Document

    @property
    def key(self) -> Key:
        return self.document.key

    @property
    def name(self) -> str:
        return str(self.document.body["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.document.body["spec"]
        return spec

    @property
    def state(self) -> StateInfo:
        return StateInfo.from_json(self.document.tags[STATE_TAG])

    @property
    def operation(self) -> Operation | None:
        raw = self.document.tags.get(OPERATION_TAG)
        return Operation.from_json(raw) if raw else None

    def with_state(self, state: StateInfo) -> Subject:
        return Subject(replace(self.document, tags={**self.document.tags, STATE_TAG: state.as_json()}))

    def with_operation(self, operation: Operation | None) -> Subject:
        tags = {name: value for name, value in self.document.tags.items() if name != OPERATION_TAG}
        if operation is not None:
            tags[OPERATION_TAG] = operation.as_json()
        return Subject(replace(self.document, tags=tags))

    def with_spec(self, **changes: Any) -> Subject:
        body = {**self.document.body, "spec": {**self.spec, **changes}}
        return Subject(replace(self.document, body=body))
