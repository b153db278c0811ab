"""YAML values against JSON recorded from the parser of the original, with and without libyaml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emco_emcoctl import gojson, yamldocs
from emco_emcoctl.errors import YamlError

_LINES = (Path(__file__).parent / "yaml_vectors.jsonl").read_text(encoding="utf-8").split("\n")
VECTORS = [json.loads(line) for line in _LINES if line]
# The pure parser takes tabs at the start of a line after a plain scalar inside brackets; libyaml refuses them.
LENIENT_WITHOUT_LIBYAML = {"[\n\ta\n\t]", "[\n  a\n\t]", '{\n\t"a": 1\n\t}', '"\\ud800"'}


def decoded(text: str, *, pure: bool) -> str:
    root = next(yamldocs.documents(f"spec:\n  k: {text}\n", name="t.yaml", pure=pure))
    try:
        return gojson.dumps(yamldocs.Decoder(name="t.yaml").value(root)["spec"])
    except gojson.NotJsonError as error:
        raise YamlError(f"t.yaml: {error}") from error


@pytest.mark.parametrize("pure", [False, True], ids=["with libyaml", "without libyaml"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: ascii(v["yaml"]))
def test_a_scalar_becomes_the_json_of_the_original(vector: dict[str, str], *, pure: bool) -> None:
    if "json" in vector:
        assert decoded(vector["yaml"], pure=pure) == vector["json"]
    elif not (pure and vector["yaml"] in LENIENT_WITHOUT_LIBYAML):
        with pytest.raises(YamlError, match=r"^t\.yaml"):
            decoded(vector["yaml"], pure=pure)
