"""Renders with helm-python-sdk, Helm's own Go code as a library: for machines without a ``helm`` binary.

Only to be imported in a worker process: a hostile chart can end the interpreter that holds the library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import helm_python
from helm_python import _native

from emco_common.helm import setvalues
from emco_common.helm.api import RenderError
from emco_common.helm.engine import TemplateJob
from emco_common.helm.manifests import Document, RenderedChart, split

_NOTES = "NOTES.txt"


class SdkEngine:
    def template(self, job: TemplateJob) -> RenderedChart:
        try:
            return self._template(job)
        except helm_python.HelmError as error:
            raise RenderError(str(error)) from error

    def _template(self, job: TemplateJob) -> RenderedChart:
        helm_python.validate_release_name(job.release)
        values = self._values(job)
        # The library takes values as JSON and so turns every number into a float, as Helm does with those of files;
        # `--set` keeps integers, and 1000000 must not come out as 1e+06.
        integers = setvalues.restoring_template(values)
        if integers:
            path = job.chart / "templates" / setvalues.RESTORING_PATH
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(integers)
        with helm_python.Chart.load(job.chart) as chart:
            _check_installable(chart.metadata, job)
            rendered = _render(chart, values, job)
            return RenderedChart(crds=_crds(chart), templates=_templates(rendered))

    def _values(self, job: TemplateJob) -> dict[str, Any]:
        text = job.values.read_text(encoding="utf-8-sig") if job.values else ""
        values = helm_python.values_from_yaml(text) if text.strip() else {}
        for pair in job.overrides:
            for assignment in setvalues.assignments(pair):
                values = setvalues.merged(values, assignment, _parsed(assignment))
        return values


def _parsed(assignment: str) -> Mapping[str, Any]:
    tree = helm_python.parse_set_string(assignment)
    if not tree and "[" in assignment.partition("=")[0]:
        # The library takes the end of the text inside of an index for the end of all.
        raise RenderError(f"failed parsing --set data: error parsing index of {assignment!r}")
    return tree


def _render(chart: helm_python.Chart, values: Mapping[str, Any], job: TemplateJob) -> dict[str, str]:
    """``Chart.render`` knows no Kubernetes version, the call below it does."""
    options = {"name": job.release, "namespace": job.namespace, "kube_version": job.kube_version, "is_install": True}
    answer = _native.call_string("helm_render", chart._raw(), json.dumps(values), json.dumps(options))
    rendered: dict[str, str] = json.loads(answer)
    return rendered


def _check_installable(metadata: Mapping[str, Any], job: TemplateJob) -> None:
    """What an install checks before it renders; the library's render does not."""
    kind = metadata.get("type") or "application"
    if kind != "application":
        raise RenderError(f"{kind} charts are not installable")
    constraint = metadata.get("kubeVersion")
    if constraint:
        _check_kube_version(str(constraint), job)


def _check_kube_version(constraint: str, job: TemplateJob) -> None:
    """Let Helm judge the constraint: a chart of nothing else is installed into nowhere."""
    probe = job.work / "probe"
    probe.mkdir()
    metadata = {"apiVersion": "v2", "name": "probe", "version": "0.1.0", "kubeVersion": constraint}
    (probe / "Chart.yaml").write_text(json.dumps(metadata))
    options = json.dumps({"dry_run": "client", "kube_version": job.kube_version})
    with (
        helm_python.Chart.load(probe) as chart,
        helm_python.Config(storage_driver="memory", namespace=job.namespace) as config,
    ):
        no_handle = _native.HANDLE(0)
        arguments = (config._raw(), no_handle, chart._raw(), None, job.release, None, options)
        _native.call_string("helm_install", *arguments)


def _crds(chart: helm_python.Chart) -> list[Document]:
    return [Document(source=crd["name"], text=text) for crd in chart.crds for text in split(crd["data"])]


def _templates(rendered: Mapping[str, str]) -> list[Document]:
    return [
        Document(source=path, text=text)
        for path, content in sorted(rendered.items())
        if not path.endswith(_NOTES)
        for text in split(content)
    ]
