"""The definition of cert-manager's certificates, from its Go module, as ``istio`` has those of Istio."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.gomodule import folder_of

MODULE = "github.com/cert-manager/cert-manager@v1.18.2"


def definitions() -> list[dict[str, Any]]:
    """Those that the chart makes objects of. Skips the test where they cannot be had."""
    file = folder_of(MODULE, what="the definitions of cert-manager") / "deploy" / "crds" / "crd-certificates.yaml"
    found = yaml.load(file.read_text(), yaml.CSafeLoader)
    return [found | {"metadata": {"name": found["metadata"]["name"]}}]  # labels and annotations are templates there
