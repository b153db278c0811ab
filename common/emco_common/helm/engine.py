"""What is asked of Helm itself: a chart folder and values in, rendered documents out. Engines: ``cli`` and ``sdk``.

An engine runs inside a worker process, which is what confines it.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emco_common.helm.api import RenderError
from emco_common.helm.manifests import RenderedChart

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_MAX = 63
_MEMORY_SIGNS = (
    "out of memory",
    "annot allocate memory",
    "cannot map pages",
    "failed to create new OS thread",
    "pthread_create failed",
    "MemoryError",
    "stack exceeds",
)
"""A thread needs memory for its stack, so a limit may show there first."""


@dataclass(frozen=True, slots=True)
class TemplateJob:
    """``work`` is a folder that engines may write to; ``overrides`` are in the order in which they apply."""

    chart: Path
    values: Path | None
    release: str
    namespace: str
    overrides: tuple[str, ...]
    kube_version: str
    work: Path


class Engine(Protocol):
    def template(self, job: TemplateJob) -> RenderedChart:
        """Raises ``RenderError`` with Helm's text."""
        ...


def describe_crash(returncode: int, stderr: str) -> str:
    """In the user's words, from the little that a dead process leaves; a shell gives 128 more than the signal."""
    if returncode in (-signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        return "rendering passed the CPU limit, or the machine ran out of memory, and was stopped"
    if any(sign in stderr for sign in _MEMORY_SIGNS):
        return "rendering passed the memory limit and was stopped"
    return "rendering crashed Helm"


def check_release(name: str) -> None:
    """Lifecycle 5.5: a release name is a DNS-1123 label. Raises ``RenderError`` with the original's text."""
    reasons = []
    if len(name) > _LABEL_MAX:
        reasons.append(f"must be no more than {_LABEL_MAX} characters")
    if not _LABEL.fullmatch(name):
        reasons.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and"
            " end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
            f" '{_LABEL.pattern}')"
        )
    if reasons:
        raise RenderError(f"release name {name} is not a valid DNS label: {' '.join(reasons)}")
