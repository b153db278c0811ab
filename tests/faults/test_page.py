"""The page of faults says what the markers of the tests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.robustness import PAGE, TESTS, marked, written


def test_the_page_is_what_the_markers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == written(), "make faults writes the page anew"


def test_marks_of_functions_and_classes_are_found_with_all_their_lines(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "pytestmark = [pytest.mark.slow, pytest.mark.robustness(47)]\n"
        "@pytest.mark.robustness(44, 45)\nasync def test_a(): ...\n"
        "@pytest.mark.robustness(46)\nclass TestB:\n    def test_c(self): ...\n    def helper(self): ...\n"
    )
    assert marked(tmp_path) == {
        44: ["test_some.py::test_a"],
        45: ["test_some.py::test_a"],
        46: ["test_some.py::TestB::test_c"],
        47: ["test_some.py::test_a", "test_some.py::TestB::test_c"],
    }


def test_a_line_that_is_not_on_the_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text("import pytest\n@pytest.mark.robustness(99)\ndef test_a(): ...\n")
    with pytest.raises(ValueError, match="line 99"):
        marked(tmp_path)


def test_markers_are_written_in_full_so_that_they_are_found() -> None:
    """Aliases and marks of parameters would count in a run and be missing on the page."""
    files = (file for file in TESTS.rglob("*.py") if file.name not in ("test_page.py", "robustness.py"))
    hidden = [
        f"{file.relative_to(TESTS)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "mark.robustness" in line
        and not line.startswith(("pytestmark = ", "@pytest.mark.robustness(", "    @pytest.mark.robustness("))
    ]
    assert hidden == []
