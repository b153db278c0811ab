"""The text of a configuration file, in any of its formats, to nested mappings with lower-case keys (emcoctl 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from emco_emcoctl.errors import ConfigError, YamlError

EXTENSIONS = ("json", "toml", "yaml", "yml", "properties", "props", "prop", "hcl", "tfvars", "dotenv", "env", "ini")
"""In the order in which the home directory is searched."""

WITHOUT_SECTIONS = frozenset({"hcl", "tfvars"})
"""Read by the original, which then finds no service in them."""


def parse(text: str, *, extension: str) -> dict[str, Any]:
    """Raises ``ConfigError`` whose text is the reason alone, without the path."""
    reader = _READERS.get(extension)
    if reader is None:
        known = ", ".join(name for name in EXTENSIONS if name in _READERS)
        raise ConfigError(f"files of type '{extension}' cannot be read; known types are {known}")
    try:
        content = reader(text)
    except (ValueError, YamlError) as error:
        raise ConfigError(str(error)) from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ConfigError("must be a mapping of sections")
    return _lowered(content)


def _lowered(content: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key).lower(): _lowered(value) if isinstance(value, Mapping) else value for key, value in content.items()
    }


def _yaml(text: str) -> Any:
    from emco_emcoctl import yamldocs

    root = next(yamldocs.documents(text, name="line"), None)
    return None if root is None else yamldocs.Decoder(name="line").value(root)


def _json(text: str) -> Any:
    import json

    return json.loads(text) if text.strip() else None


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _ini(text: str) -> Any:
    import configparser

    parser = configparser.ConfigParser(interpolation=None, default_section="default")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).replace("\n", " ")) from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _dotted(text: str) -> Any:
    content: dict[str, Any] = {}
    for number, line in _lines(text):
        key, mark, value = line.partition("=")
        if not mark:
            key, mark, value = line.partition(":")
        if not mark:
            raise ValueError(f"line {number}: expected key=value")
        *sections, last = key.strip().removeprefix("export ").split(".")
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise ValueError(f"line {number}: '{section}' is a value, not a section")
        inner[last] = _unquoted(value.strip())
    return content


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and line.lstrip()[0] not in "#!":
            yield number, line


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


_READERS: dict[str, Callable[[str], Any]] = {
    "json": _json,
    "toml": _toml,
    **dict.fromkeys(("yaml", "yml"), _yaml),
    "ini": _ini,
    **dict.fromkeys(("properties", "props", "prop", "dotenv", "env"), _dotted),
}
