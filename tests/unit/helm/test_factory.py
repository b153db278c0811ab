"""Which way to render is chosen by what is there."""

from pathlib import Path

import pytest

from emco_common.errors import Unprocessable
from emco_common.helm.engine import check_release
from emco_common.helm.factory import make_renderer
from emco_common.helm.wire import WorkerSetup


def setup_of(**options: object) -> WorkerSetup:
    return make_renderer(**options)._setup  # type: ignore[arg-type]


def test_a_binary_is_taken_if_there_is_one_else_the_library(tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\n")
    helm.chmod(0o755)
    assert setup_of(helm=str(helm)).engine == str(helm)
    assert setup_of(helm=str(tmp_path / "none")).engine == "sdk"
    assert setup_of(engine="sdk", helm=str(helm)).engine == "sdk"


def test_asking_for_a_binary_that_is_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no helm binary .* was found"):
        make_renderer(engine="cli", helm=str(tmp_path / "none"))


def test_a_release_name_is_a_label() -> None:
    check_release("r1")
    with pytest.raises(
        Unprocessable, match=r"^release name r1\.0 is not a valid DNS label: a lowercase RFC 1123 label"
    ):
        check_release("r1.0")
    with pytest.raises(Unprocessable, match="must be no more than 63 characters"):
        check_release("a" * 64)
