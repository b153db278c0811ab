"""The words of the command line, put in the order click wants: the original takes flags before the command, and
``--stop=false`` and ``-f=x`` besides the usual forms (emcoctl 1)."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from emco_emcoctl.errors import UsageError

_SWITCHES = frozenset(
    {
        "-s",
        "--stop",
        "-h",
        "--help",
        "--compat",
        "--strict",
        "--allow-missing",
        "--wait",
        "--upsert",
        "--all",
        "--client",
    }
)
_YES = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_NO = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def _plain_switches(words: list[str]) -> list[str]:
    """The words without ``=`` after flags that click takes otherwise; raises ``UsageError``."""
    result: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return result + words[index:]
        name, mark, value = word.partition("=")
        if mark and name in _SWITCHES:
            if value not in _YES | _NO:
                raise UsageError(f"'{value}' is not a truth value for {name}")
            result += [name] if value in _YES else []
        elif mark and len(name) == 2 and name[0] == "-" and name[1].isalpha():
            result += [name, value]
        else:
            result.append(word)
    return result


def arranged(words: list[str], *, commands: Collection[str]) -> list[str]:
    """The words with the command in front, if there is one; raises ``UsageError``."""
    words = _plain_switches(words)
    position = _first_positional(words)
    if position is None or words[position] not in commands:
        return words
    return [words[position], *words[:position], *words[position + 1 :]]


def _first_positional(words: list[str]) -> int | None:
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return None
        if not word.startswith("-") or word == "-":
            return index
        takes_next = word not in _SWITCHES and "=" not in word and (word.startswith("--") or len(word) == 2)
        index += 2 if takes_next else 1
    return None


def listed_files(given: tuple[str, ...], *, cwd: Path) -> tuple[str, ...]:
    """File names: one per flag if such a file exists, else one record of comma-separated names."""
    names: list[str] = []
    for text in given:
        exists = text and (cwd / text).exists()
        names += [text] if exists else _record(text) or [text]
    return tuple(names)


def asked_for(switch: str, words: list[str]) -> tuple[bool, list[str]]:
    """Whether ``switch`` is among the words, and the words without it."""
    end = words.index("--") if "--" in words else len(words)
    return switch in words[:end], [word for word in words[:end] if word != switch] + words[end:]


def first_of(given: tuple[str, ...], *, flag: str) -> str:
    """The first element of a list flag of which only the first counts; raises ``UsageError``."""
    records = [_record(text) for text in given]
    if None in records:
        raise UsageError(f"a quotation mark inside the value of {flag}")
    return next((name for record in records for name in record or ()), "")


def _record(text: str) -> list[str] | None:
    """The fields of a CSV record, ``None`` if it is not one."""
    if not text:
        return []
    if any('"' in part and not part.startswith('"') for part in text.split(",")) and '"' not in text[:1]:
        return None
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
