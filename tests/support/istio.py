"""Istio's custom resource definitions, from its Go module, kept where Go keeps modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.support.realserver import skip_or_fail

MODULE = "istio.io/api@v1.27.3"


def definitions() -> list[dict[str, Any]]:
    """All of them. Skips the test where they cannot be had."""
    go = shutil.which("go")
    if go is None:
        skip_or_fail("Istio's definitions cannot be had without Go", remedy="install Go 1.26 or newer")
    with tempfile.TemporaryDirectory() as folder:  # outside of any module
        answer = subprocess.run(
            [go, "mod", "download", "-json", MODULE],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "GOWORK": "off"},
        )
    if answer.returncode != 0:
        skip_or_fail(f"{MODULE} cannot be had: {answer.stdout[-300:]}{answer.stderr[-300:]}", remedy="a network")
    file = Path(json.loads(answer.stdout)["Dir"]) / "kubernetes" / "customresourcedefinitions.gen.yaml"
    return [document for document in yaml.load_all(file.read_text(), yaml.CSafeLoader) if document]
