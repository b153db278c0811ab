"""Words of the command line to what click parses."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_emcoctl.commandline import arranged, first_of, listed_files
from emco_emcoctl.errors import UsageError

COMMANDS = ("apply", "get")


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("--config c apply -f x", "apply --config c -f x"),
        ("-v v -f r apply", "apply -v v -f r"),
        ("-s apply -f r", "apply -s -f r"),
        ("-fr apply", "apply -fr"),
        ("--config=c get projects", "get --config=c projects"),
        ("apply get", "apply get"),
        ("get apply", "get apply"),
        ("foo apply", "foo apply"),
        ("apply -f=r --stop=true", "apply -f r --stop"),
        ("apply --stop=false --waitTime=0", "apply --waitTime=0"),
        ("apply -- -x", "apply -- -x"),
        ("-- apply", "-- apply"),
        ("", ""),
    ],
)
def test_the_command_comes_first(words: str, result: str) -> None:
    assert arranged(words.split(), commands=COMMANDS) == result.split()


def test_a_switch_with_a_value_that_is_no_truth_value_is_refused() -> None:
    with pytest.raises(UsageError, match="maybe"):
        arranged(["apply", "--stop=maybe"], commands=COMMANDS)


@pytest.mark.parametrize(
    ("given", "files"),
    [
        (("a,b",), ("a", "b")),
        (("a", "b"), ("a", "b")),
        (("has,comma",), ("has,comma",)),
        (('"x,y"',), ("x,y",)),
        (('q"q',), ('q"q',)),
        (("",), ("",)),
    ],
)
def test_a_file_name_is_taken_as_it_is_if_there_is_such_a_file(
    given: tuple[str, ...], files: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "has,comma").touch()

    assert listed_files(given, cwd=tmp_path) == files


@pytest.mark.parametrize(
    ("given", "first"), [(("one,two",), "one"), (("a", "b"), "a"), (('"a,b"',), "a,b"), (("",), ""), ((), "")]
)
def test_of_a_token_list_the_first_counts(given: tuple[str, ...], first: str) -> None:
    assert first_of(given, flag="-t") == first


@pytest.mark.parametrize("text", ['a"b', '"a'])
def test_a_stray_quotation_mark_in_a_token_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="quotation mark"):
        first_of((text,), flag="-t")
