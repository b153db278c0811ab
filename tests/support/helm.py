"""The charts of `deploy/helm`, rendered by the real `helm`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.controlplane import helm_binary
from tests.support.realserver import skip_or_fail

CHARTS = Path(__file__).parents[2] / "deploy" / "helm"
KUBERNETES = "1.33.0"
Json = dict[str, Any]
Values = Mapping[str, Any]


def helm(*arguments: str, values: Values | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs it; what is on its standard input are the values. Skips the test where there is no `helm`."""
    binary = helm_binary()
    if binary is None:
        skip_or_fail("there is no helm", remedy="run `make testbed`, or install Helm 3")
    more = ["--values", "-"] if values is not None else []
    return subprocess.run(
        [str(binary), *arguments, *more],
        input=yaml.safe_dump(values) if values is not None else None,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


@lru_cache
def _rendered(chart: str, values: str, name: str, namespace: str) -> Sequence[Json]:
    answer = helm(
        *("template", name, str(CHARTS / chart), "--namespace", namespace, "--kube-version", KUBERNETES),
        values=yaml.safe_load(values),
    )
    if answer.returncode != 0:
        pytest.fail(f"{chart} with {values}: {answer.stderr}")
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def rendered(chart: str = "emco", values: Values | None = None, *, namespace: str = "emco") -> Sequence[Json]:
    """What `helm template` makes of a chart, in no cluster. Not to be changed."""
    return _rendered(chart, yaml.safe_dump(dict(values or {})), chart, namespace)


def refusal(values: Values, *, chart: str = "emco") -> str:
    """What is said of values that are none."""
    answer = helm("template", chart, str(CHARTS / chart), "--kube-version", KUBERNETES, values=values)
    assert answer.returncode != 0, f"taken: {values}"
    return answer.stderr


def named(documents: Iterable[Json], kind: str, name: str) -> Json:
    found = [one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pods(documents: Iterable[Json]) -> list[tuple[str, Json]]:
    """Every pod there would be, by the name of what makes it: metadata and spec."""
    found = []
    for one in documents:
        spec = one.get("spec", {})
        pod = one if one["kind"] == "Pod" else spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if isinstance(pod, dict) and "containers" in pod.get("spec", {}):
            found.append((str(one["metadata"]["name"]), pod))
    return found
