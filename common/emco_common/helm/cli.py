"""Renders with the ``helm`` binary: ``helm template`` as a child process, started through pyhelm3."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from pyhelm3 import Command, errors

from emco_common.helm.api import RenderError
from emco_common.helm.engine import TemplateJob, describe_crash
from emco_common.helm.manifests import Document, RenderedChart, split_with_sources
from emco_common.kubeyaml import load_mapping

_CRD_FILE = re.compile(r"(?:[^/]+(?:/charts/[^/]+)*/)?(crds/.*)")
_MISSING = re.compile(r"found in Chart\.yaml, but missing in charts/ directory: (.*)")
_DEPENDENCY_FILES = ("Chart.yaml", "requirements.yaml")
_SIGNALLED = 128
_HINT = "Use --debug flag to render out invalid YAML"


class CliEngine:
    def __init__(self, *, executable: str) -> None:
        self._command = Command(executable=executable)

    def template(self, job: TemplateJob) -> RenderedChart:
        try:
            output = self._run(job)
        except RenderError as error:
            missing = _MISSING.search(str(error))
            if missing is None:
                raise
            # Lifecycle 5.5: a dependency that was not packed is not fetched and not reported.
            _forget_dependencies(job.chart, [name.strip() for name in missing[1].split(",")])
            output = self._run(job)
        return _sorted_out(split_with_sources(output))

    def _run(self, job: TemplateJob) -> str:
        try:
            # No argument ends up in a shell unquoted; pyhelm3 sees to it.
            output: bytes = asyncio.run(self._command.run(_arguments(job)))
            return output.decode()
        except errors.Error as error:
            raise RenderError(_failure(error.stderr.decode(errors="replace"), error.returncode)) from error
        except UnicodeDecodeError as error:
            raise RenderError("the chart renders text that is not UTF-8") from error
        except (OSError, ValueError) as error:
            raise RenderError(f"helm cannot be started with these values: {error}") from error


def _arguments(job: TemplateJob) -> list[str]:
    return [
        "template",
        job.release,
        str(job.chart),
        f"--namespace={job.namespace}",
        f"--kube-version={job.kube_version}",
        "--include-crds",
        *([f"--values={job.values}"] if job.values else []),
        *(f"--set={pair}" for pair in job.overrides),
    ]


def _message(stderr: str) -> str:
    """Helm's error without its prefix, its advice for the command line, and the warnings before it."""
    text = stderr.replace(_HINT, "").strip()
    _, found, error = text.rpartition("Error: ") if text.startswith("Error: ") else text.partition("\nError: ")
    return (error if found else text).strip()


def _failure(stderr: str, returncode: int) -> str:
    """A crash of Helm in the words that the other engine has for it."""
    message = _message(stderr)
    if returncode >= _SIGNALLED or not message or message.startswith(("fatal error:", "runtime:", "panic:")):
        return describe_crash(returncode, stderr)
    return message


def _forget_dependencies(chart: Path, names: Sequence[str]) -> None:
    for file in _DEPENDENCY_FILES:
        path = chart / file
        if not path.is_file():
            continue
        content = dict(load_mapping(path.read_bytes()))
        dependencies = content.get("dependencies")
        if isinstance(dependencies, list):
            kept = [item for item in dependencies if not (isinstance(item, dict) and item.get("name") in names)]
            path.write_text(yaml.safe_dump({**content, "dependencies": kept}))


def _sorted_out(documents: Sequence[Document]) -> RenderedChart:
    """Files of ``crds/`` are told by their path; Helm 3.8 left out the chart's name there, newer ones do not."""
    crds: list[Document] = []
    templates: list[Document] = []
    for document in documents:
        crd = _CRD_FILE.fullmatch(document.source)
        if crd:
            crds.append(Document(source=crd[1], text=document.text))
        else:
            templates.append(document)
    return RenderedChart(crds=crds, templates=templates)
