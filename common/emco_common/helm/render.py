"""One render from the uploaded archives to the objects of the AppContext; what a worker process does with a request."""

from __future__ import annotations

from pathlib import Path

from emco_common.errors import EmcoError
from emco_common.helm import archive, profile
from emco_common.helm.api import RenderedApp, RenderError, RenderRequest
from emco_common.helm.engine import Engine, TemplateJob, check_release
from emco_common.helm.limits import RenderLimits
from emco_common.helm.manifests import RenderedChart, arrange

_MESSAGE_CHARACTERS = 4000
"""Helm tells an endless recursion level by level, and the reason last."""


def render(
    request: RenderRequest, *, engine: Engine, work: Path, kube_version: str, limits: RenderLimits
) -> RenderedApp:
    """Raises ``RenderError``; leaves its files in ``work``, whose path is in no message."""
    try:
        job = prepare(request, work=work, kube_version=kube_version, limits=limits)
        rendered = engine.template(job)
        _check_size(rendered, limits)
        return arrange(rendered, limits=limits)
    except EmcoError as error:
        raise RenderError(shown(str(error), work)) from error
    except OSError as error:
        raise RenderError(f"the archive cannot be unpacked: {error.strerror}") from error


def prepare(request: RenderRequest, *, work: Path, kube_version: str, limits: RenderLimits) -> TemplateJob:
    """Unpack chart and profile below ``work`` and put the profile's files into the chart (lifecycle 5.1-5.3)."""
    check_release(request.release)
    _check_text(request)
    charts = work / "chart"
    charts.mkdir()
    chart = archive.check_chart(request.chart, folder=request.folder, limits=limits.archive)
    archive.unpack(request.chart, charts, limits=limits.archive)
    values = None if request.profile is None else _apply_profile(request.profile, work, charts, limits)
    scratch = work / "scratch"
    scratch.mkdir()
    return TemplateJob(
        chart=charts / chart.folder,
        values=values,
        release=request.release,
        namespace=request.namespace or "default",
        overrides=tuple(f"{key}={value}" for key, value in sorted(request.overrides)),
        kube_version=kube_version,
        work=scratch,
    )


def shown(text: str, work: Path) -> str:
    for found in (work.resolve(), work):
        for folder in ("chart", "profile", "scratch"):
            text = text.replace(f"{found}/{folder}/", "")
        text = text.replace(f"{found}/", "").replace(str(found), "")
    half = _MESSAGE_CHARACTERS // 2
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:half]} … {text[-half:]}"


def _apply_profile(data: bytes, work: Path, charts: Path, limits: RenderLimits) -> Path:
    report = archive.check_profile(data, limits=limits.archive)
    folder = work / "profile"
    folder.mkdir()
    archive.unpack(data, folder, limits=limits.archive)
    profile.apply_resources(report.manifest, profile=folder, chart=charts)
    return folder / report.manifest.values


def _check_text(request: RenderRequest) -> None:
    texts = [request.namespace, *(part for pair in request.overrides for part in pair)]
    if any("\0" in text for text in texts):
        raise RenderError("an override value or the namespace holds a NUL character")


def _check_size(rendered: RenderedChart, limits: RenderLimits) -> None:
    size = sum(len(document.text.encode()) for document in [*rendered.crds, *rendered.templates])
    if size > limits.output_bytes:
        raise RenderError(f"the chart renders to {size} bytes, more than the limit of {limits.output_bytes}")
