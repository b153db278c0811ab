"""The published example files: each expands, parses and routes, given values for every name it uses."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from emco_emcoctl import gotemplate
from emco_emcoctl.planning import Call, plan
from emco_emcoctl.resources import Resource, resources, unknown_fields
from emco_emcoctl.validating import findings

ROOT = Path(__file__).parents[3]
EXAMPLES = Path(os.environ.get("EMCO_SHARED") or ROOT.parent / "shared") / "emco" / "examples"
FILES = sorted(path for path in EXAMPLES.rglob("*.yaml") if "resourceContext" in path.read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(
    not FILES, reason="the published example files are not here; point EMCO_SHARED at the folder that holds them"
)


def values_for(text: str) -> dict[str, Any]:
    """A value for each name in the template: two maps for what is ranged over, a number for a port, else a word of its
    own."""
    values: dict[str, Any] = {
        name: 9000 if name.lower().endswith("port") else name.lower() for name in re.findall(r"\.(\w+)", text)
    }
    for name in re.findall(r"range [^}]*:= \.(\w+)", text):
        values[name] = [{inner: f"{inner.lower()}{n}" for inner in re.findall(r"\$\w+\.(\w+)", text)} for n in (1, 2)]
    for name in re.findall(r"range [^}]*:= \$\w+\.(\w+)", text):
        for item in (one for many in values.values() if isinstance(many, list) for one in many):
            item[name] = [{inner: inner.lower() for inner in re.findall(r"\$\w+\.(\w+)", text)}]
    return values


def documents(path: Path) -> list[Resource]:
    text = path.read_text(encoding="utf-8")
    return resources(gotemplate.render(text, values_for(text), name=path.name), name=path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("command", ["apply", "update", "get", "delete"])
def test_an_example_file_routes(path: Path, command: str) -> None:
    found = documents(path)

    assert found
    assert list(unknown_fields(found)) == []
    assert [one for one in plan(command, found) if not isinstance(one, Call)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_found_wrong_with_an_example_but_that_its_files_are_elsewhere(path: Path, tmp_path: Path) -> None:
    found = [problem for finding in findings(documents(path), cwd=tmp_path) for problem in finding.problems]

    assert [problem for problem in found if not problem.endswith("does not exist")] == []


def test_tabs_inside_brackets_are_read() -> None:
    path = EXAMPLES / "test-gac" / "test-gac-update.yaml"
    if not path.exists():
        pytest.skip("test-gac is not among the example files here")

    [found] = documents(path)
    assert found.spec["patchJson"] == [{"op": "replace", "path": "/spec/replicas", "value": 2}]
