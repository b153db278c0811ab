"""Istio's custom resource definitions, from its Go module."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.gomodule import folder_of

MODULE = "istio.io/api@v1.27.3"


def definitions() -> list[dict[str, Any]]:
    """All of them. Skips the test where they cannot be had."""
    file = folder_of(MODULE, what="Istio's definitions") / "kubernetes" / "customresourcedefinitions.gen.yaml"
    return [document for document in yaml.load_all(file.read_text(), yaml.CSafeLoader) if document]
