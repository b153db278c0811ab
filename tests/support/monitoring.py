"""The definitions of Prometheus' operator, from its Go module, as ``istio`` has those of Istio."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.gomodule import folder_of

MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
WANTED = ("servicemonitors", "prometheusrules")


def definitions() -> list[dict[str, Any]]:
    """Those that the chart makes objects of. Skips the test where they cannot be had."""
    folder = folder_of(MODULE, what="the definitions of Prometheus' operator") / "example" / "prometheus-operator-crd"
    texts = ((folder / f"monitoring.coreos.com_{name}.yaml").read_text() for name in WANTED)
    return [yaml.load(text, yaml.CSafeLoader) for text in texts]
