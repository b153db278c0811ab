"""Picks the way to render: the ``helm`` binary where there is one, else helm-python-sdk."""

from __future__ import annotations

import os
import shutil
from typing import Literal

from emco_common.helm.limits import RenderLimits
from emco_common.helm.pool import PooledRenderer
from emco_common.helm.wire import WorkerSetup

EngineChoice = Literal["auto", "cli", "sdk"]

DEFAULT_KUBE_VERSION = "1.31.0"
"""What charts see as ``.Capabilities.KubeVersion``: old enough that every supported cluster has it."""


def make_renderer(
    *,
    engine: EngineChoice = "auto",
    helm: str = "helm",
    kube_version: str = DEFAULT_KUBE_VERSION,
    limits: RenderLimits | None = None,
    concurrency: int | None = None,
) -> PooledRenderer:
    """A renderer; processes start with ``await renderer.warm()`` or the first request.

    ``helm`` is a name on the PATH or a path. ``concurrency`` (default: the machine's cores) bounds the renders that run
    at once. Raises ``ValueError`` with one sentence if ``engine`` is ``cli`` and there is no such binary.
    """
    executable = None if engine == "sdk" else shutil.which(helm)
    if engine == "cli" and executable is None:
        raise ValueError(f"no helm binary {helm!r} was found: install Helm, name its path, or choose the engine 'sdk'")
    setup = WorkerSetup(
        engine=os.path.abspath(executable) if executable else "sdk",
        kube_version=kube_version,
        work="",
        limits=limits or RenderLimits(),
    )
    return PooledRenderer(setup, size=concurrency or os.cpu_count() or 1)
