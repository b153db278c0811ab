"""Looks at objects that seem not to be as they were applied, and tells who changed what of them.

The watch only raises a suspicion. What is told rests on the object itself, read when nobody was at work on it: gone is
what the cluster says is gone, and a change is what somebody else owns now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from emco_common.kube import KubeApi, errors
from emco_rsync.plan.manifests import Json
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.drift import (
    DELETED,
    LeaveAlone,
    describe,
    differs,
    digest_of,
    ownership_changes,
    pieces,
)
from emco_rsync.watch.observe import Expected, Suspect

_log = structlog.get_logger()

MAX_AT_ONCE = 1000
"""Objects looked at in one go; the others have their turn after that."""
Manifests = Callable[[str, str, str, str, str], Awaitable[tuple[Json, ...]]]
"""By context, app, cluster, resource and label: the objects as they are applied, none if that is not known any more."""
Client = Callable[[], Awaitable[KubeApi]]


@dataclass(slots=True)
class Docket:
    """What was looked at of one app on one cluster: by resource and piece, what was ours of it and what that meant.

    Empty as long as all is as it was applied.
    """

    looked: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)

    def open(self, suspects: Iterable[Suspect], acknowledged: Mapping[str, str]) -> list[Suspect]:
        """Those not looked at since they last changed. What is no suspect any more is forgotten."""
        found = {(one.resource, one.piece): one for one in suspects}
        for place in [place for place in self.looked if place not in found]:
            del self.looked[place]
        return [one for place, one in found.items() if self.looked.get(place, ("?",))[0] != _state(one, acknowledged)]

    def note(self, suspect: Suspect, acknowledged: Mapping[str, str], text: str) -> None:
        self.looked[suspect.resource, suspect.piece] = (_state(suspect, acknowledged), text)

    def is_told(self, resource: str) -> bool:
        """Is there anything to be told of it?"""
        return any(text for (name, _), (_, text) in self.looked.items() if name == resource)

    def texts(self) -> dict[str, str]:
        """Of each resource, what is to be told."""
        told: dict[str, list[str]] = {}
        for (resource, _), (_, text) in sorted(self.looked.items()):
            if text:
                told.setdefault(resource, []).append(text)
        return {resource: "; ".join(dict.fromkeys(texts)) for resource, texts in told.items()}


class Inspector:
    """``manifests`` help to name what was removed."""

    def __init__(self, *, manifests: Manifests, leave_alone: LeaveAlone) -> None:
        self._manifests = manifests
        self._leave_alone = leave_alone

    async def look(
        self, docket: Docket, found: Iterable[Suspect], *, client: Client, recorder: Recorder, expected: Expected
    ) -> None:
        """Look at each of them. Any ``EmcoError`` of the way to the cluster; what was found until then counts."""

        def acknowledged() -> Mapping[str, str]:
            return recorder.acknowledged(expected.app, expected.cluster)

        async def manifest(suspect: Suspect) -> Json | None:
            place = (recorder.context, expected.app, expected.cluster, suspect.resource, expected.label)
            objects = await self._manifests(*place)
            return objects[suspect.piece] if suspect.piece < len(objects) else None

        for suspect in list(found)[:MAX_AT_ONCE]:
            before = acknowledged()
            if suspect.resource in before:
                wanted = _Wanted(before[suspect.resource], partial(manifest, suspect))
                text = await self._judge(suspect, wanted, await client())
                if acknowledged().get(suspect.resource) == before[suspect.resource]:  # nobody was at work on it
                    docket.note(suspect, before, text)

    async def _judge(self, suspect: Suspect, wanted: _Wanted, client: KubeApi) -> str:
        try:
            live = await client.get(suspect.ref)
        except (errors.NotFound, errors.UnknownKind):
            return "" if _ends_itself(await wanted.manifest()) else DELETED
        except (errors.Forbidden, errors.Invalid) as error:
            _log.info("drift_not_judged", object=str(suspect.ref), why=str(error))
            return ""
        digest = _piece(wanted.digest, suspect.piece)
        if not differs(digest, digest_of(live)):
            return ""
        manifest = await wanted.manifest()
        changes = ownership_changes(live, digest, leave_alone=self._leave_alone, manifest=manifest)
        return describe(changes)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the cluster acknowledged of a resource, and how to come by one of its manifests."""

    digest: str
    manifest: Callable[[], Awaitable[Json | None]]


def _piece(digest: str, piece: int) -> str:
    digests = pieces(digest)
    return digests[piece] if piece < len(digests) else ""


def _ends_itself(manifest: Json | None) -> bool:
    """Does the cluster remove it when it has done its work?"""
    spec = (manifest or {}).get("spec")
    is_job = (manifest or {}).get("kind") == "Job"
    return is_job and isinstance(spec, dict) and spec.get("ttlSecondsAfterFinished") is not None


def _state(suspect: Suspect, acknowledged: Mapping[str, str]) -> str:
    return f"{acknowledged.get(suspect.resource, '')} {suspect.live}"
