"""What the renderer and its worker processes say to each other: frames of a length and a payload. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from emco_common.helm.api import Manifest, RenderedApp, RenderRequest
from emco_common.helm.limits import ArchiveLimits, RenderLimits

LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """How a worker is to work. ``engine`` is ``sdk`` or the path of a ``helm`` binary."""

    engine: str
    kube_version: str
    work: str
    limits: RenderLimits

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: str) -> WorkerSetup:
        fields = json.loads(text)
        limits = fields.pop("limits")
        archive = ArchiveLimits(**limits.pop("archive"))
        return WorkerSetup(**fields, limits=RenderLimits(**limits, archive=archive))


@dataclass(frozen=True, slots=True)
class Answer:
    """``cpu_seconds``: what the worker has used since it was started. Either ``app`` or ``error`` is there."""

    cpu_seconds: float
    app: RenderedApp | None = None
    error: str = ""


def encode_request(request: RenderRequest) -> bytes:
    profile = b"" if request.profile is None else request.profile
    head = {
        "folder": request.folder,
        "release": request.release,
        "namespace": request.namespace,
        "overrides": request.overrides,
        "chart": len(request.chart),
        "profile": None if request.profile is None else len(profile),
    }
    payload = json.dumps(head).encode() + b"\n" + request.chart + profile
    return len(payload).to_bytes(LENGTH_BYTES) + payload


def decode_request(payload: bytes) -> RenderRequest:
    line, _, archives = payload.partition(b"\n")
    head = json.loads(line)
    return RenderRequest(
        folder=head["folder"],
        chart=archives[: head["chart"]],
        profile=None if head["profile"] is None else archives[head["chart"] :],
        release=head["release"],
        namespace=head["namespace"],
        overrides=tuple((key, value) for key, value in head["overrides"]),
    )


def encode_answer(answer: Answer) -> bytes:
    body: dict[str, Any] = {"cpuSeconds": answer.cpu_seconds}
    if answer.app is None:
        body["error"] = answer.error
    else:
        body["regular"] = _rows(answer.app.regular)
        body["crds"] = _rows(answer.app.crds)
        body["hooks"] = {event: _rows(manifests) for event, manifests in answer.app.hooks.items()}
    payload = json.dumps(body).encode()
    return len(payload).to_bytes(LENGTH_BYTES) + payload


def decode_answer(payload: bytes) -> Answer:
    body: Mapping[str, Any] = json.loads(payload)
    if "error" in body:
        return Answer(cpu_seconds=body["cpuSeconds"], error=body["error"])
    app = RenderedApp(
        regular=_manifests(body["regular"]),
        crds=_manifests(body["crds"]),
        hooks={event: _manifests(rows) for event, rows in body["hooks"].items()},
    )
    return Answer(cpu_seconds=body["cpuSeconds"], app=app)


def _rows(manifests: Iterable[Manifest]) -> list[tuple[str, ...]]:
    return [astuple(manifest) for manifest in manifests]


def _manifests(rows: Iterable[Sequence[str]]) -> tuple[Manifest, ...]:
    return tuple(Manifest(*row) for row in rows)
