"""What an object's health means for its app and for hooks: pure. When it is ready says ``status.readiness``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emco_common.status.readiness import Ready, group_of, is_hook, job_of, readiness

Object = Mapping[str, Any]

COUNTED = frozenset(
    {
        ("", "Service"),
        ("", "Pod"),
        ("apps", "Deployment"),
        ("apps", "DaemonSet"),
        ("apps", "StatefulSet"),
        ("batch", "Job"),
    }
)
"""Kinds by whose objects an app is ready or not (rsync 13.4), by group and kind."""


def counts(obj: Object) -> bool:
    """Does the object decide whether its app is ready? Hooks and pods of jobs do not: they come and go."""
    return (group_of(obj), str(obj.get("kind", ""))) in COUNTED and not runs_to_completion_aside(obj)


def runs_to_completion_aside(obj: Object) -> bool:
    """Is it a hook that runs to completion, or the pod of a job? These have ``ressuccess`` instead of ``resready``."""
    kind = (group_of(obj), obj.get("kind"))
    return (kind in (("batch", "Job"), ("", "Pod")) and is_hook(obj)) or (kind == ("", "Pod") and bool(job_of(obj)))


def hook_verdict(obj: Object) -> Ready:
    """May the installation go on after this hook (rsync 8.3)? One that ``failed`` stops it (D8)."""
    if (group_of(obj), obj.get("kind")) != ("", "Pod"):
        return readiness(obj)  # a Job is ready when it is complete
    status = obj.get("status")
    phase = status.get("phase") if isinstance(status, Mapping) else None
    return readiness(obj) if phase in ("Succeeded", "Failed") else Ready(False, "the pod has not finished")


def established(crd: Object) -> bool:
    """Does the cluster serve the kinds of this CustomResourceDefinition?"""
    status = crd.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return any(
        condition.get("type") == "Established" and condition.get("status") == "True"
        for condition in (conditions if isinstance(conditions, list) else [])
        if isinstance(condition, Mapping)
    )
