"""The template engine against outputs recorded from Go's own text/template."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from emco_emcoctl import gotemplate
from emco_emcoctl.yamldocs import Timestamp

VALUES: dict[str, Any] = {
    "S": "hello",
    "U": "žluť",
    "N": 42,
    "Z": 0,
    "F": 1.5,
    "G": 12345678.9,
    "H": 1e20,
    "K": 0.00001,
    "B": True,
    "E": "",
    "NUL": None,
    "L": ["a", 1, 2.5, None, True],
    "LL": [[1, 2], [3]],
    "M": {"k-1": "v", "b": 2, "a": 1},
    "MM": {1: "a", "x": "b", "y": [None, {"q": 1}]},
    "D": Timestamp(date(2020, 1, 2)),
    "T": Timestamp(date(2020, 1, 2), 3, 4, 5, "12", 120),
    "EL": [],
    "EM": {},
    "A": {"B": {"C": "deep"}},
}
_LINES = (Path(__file__).parent / "gotemplate_vectors.jsonl").read_text(encoding="utf-8").split("\n")
VECTORS = [json.loads(line) for line in _LINES if line]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "output" in v], ids=lambda v: v["template"])
def test_prints_what_go_prints(vector: dict[str, str]) -> None:
    printed = gotemplate.render(vector["template"], VALUES, name="page", missing_as_text=True)

    assert printed == vector["output"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "error" in v], ids=lambda v: v["template"])
def test_refuses_what_go_refuses_and_says_why(vector: dict[str, str]) -> None:
    with pytest.raises(gotemplate.TemplateError) as caught:
        gotemplate.render(vector["template"], VALUES, name="page", missing_as_text=True)

    assert str(caught.value).endswith(vector["error"])
    assert str(caught.value).startswith("template: page:")
