"""Files to documents: reads values and inputs, expands templates, all before anything is sent (emcoctl 3, 4)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from emco_emcoctl import yamldocs
from emco_emcoctl.errors import InputError, YamlError
from emco_emcoctl.resources import Resource, resources

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Source:
    """Where files are looked for, and what ``-`` reads."""

    cwd: Path
    stdin: BinaryIO
    stdin_named: str = STDIN
    """``""`` where no name stands for standard input."""

    def opened(self, paths: Iterable[str]) -> list[str]:
        """The paths, folders replaced by the resource files in them, in order of name; raises ``InputError``."""
        found: list[str] = []
        for path in paths:
            folder = self.cwd / path
            if not path or path == self.stdin_named or not folder.is_dir():
                found.append(path)
                continue
            inside = sorted(one.name for one in folder.iterdir() if one.suffix in _SUFFIXES and one.is_file())
            if not inside:
                raise InputError(f"{path} is a folder without files that end in {', '.join(_SUFFIXES)}")
            found += [os.path.join(path, name) for name in inside]
        return found

    def text(self, path: str) -> str:
        """Raises ``InputError``, or ``YamlError`` if the bytes are not UTF-8."""
        if not path:
            raise InputError("an empty file name")
        try:
            data = self.stdin.read() if path == self.stdin_named else (self.cwd / path).read_bytes()
        except IsADirectoryError as error:
            raise InputError(f"{path} is a folder; name the files in it") from error
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise YamlError(f"{path}:{line}: not UTF-8") from error


def read(
    paths: Iterable[str],
    *,
    values: Iterable[str],
    source: Source,
    missing_as_text: bool = False,
    compat: bool = False,
) -> list[Resource]:
    """The documents of all files in order; with values files, the inputs are templates.

    Raises ``InputError``. ``missing_as_text`` prints a missing value as ``<no value>`` instead. ``compat`` keeps
    empty documents.
    """
    layers = [_values(path, source=source) for path in values]
    found: list[Resource] = []
    for path in paths if compat else source.opened(paths):
        text = source.text(path)
        if layers:
            text = _expanded(text, _merged(layers), name=path, missing_as_text=missing_as_text)
        found += resources(text, name=path, compat=compat)
    return found


def _values(path: str, *, source: Source) -> Any:
    try:
        root = next(yamldocs.documents(source.text(path), name=path), None)
        if root is None:
            raise InputError(f"{path}: the values file is empty")
        return yamldocs.Decoder(name=path).value(root)
    except YamlError as error:
        raise InputError(f"the values file is not YAML: {error}") from error


def _merged(layers: list[Any]) -> Any:
    result = layers[0]
    for layer in layers[1:]:
        result = _merge(result, layer)
    return result


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}
    return above


def _expanded(text: str, values: Any, *, name: str, missing_as_text: bool) -> str:
    from emco_emcoctl import gotemplate

    try:
        return gotemplate.render(text, values, name=name, missing_as_text=missing_as_text)
    except gotemplate.TemplateError as error:
        raise InputError(str(error)) from error
