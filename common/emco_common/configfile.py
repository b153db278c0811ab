"""EMCO's ``config.json`` (spec deployment 3.1): what its keys mean here, and what is wrong with it, by line and key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Reader = Callable[[Any], Any]
"""From a key's value to that of our setting, ``None`` for nothing said. ``ValueError`` says what was expected."""


class BadConfigFile(ValueError):
    """The text is one sentence with file, line and key."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """``values`` by the names of our settings; ``unused`` are keys of the original that say something which has no
    meaning here."""

    values: Mapping[str, Any]
    unused: Sequence[str]


def read_config(path: Path) -> ConfigFile:
    """``BadConfigFile`` for anything that is not understood; ``OSError``."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadConfigFile(f"{path} is not UTF-8 (byte {error.start})") from error
    values: dict[str, Any] = {}
    unused: list[str] = []
    for key, value in _pairs(path, text):
        read = _KEYS.get(key)
        if read is None:
            raise _wrong(path, text, key, f"there is no such key{_instead(key)}")
        setting, reader = read
        try:
            meant = reader(value)
        except ValueError as error:
            raise _wrong(path, text, key, f"it must be {error}, and is {_shown(value)}") from None
        if setting is None:
            unused += [key] if meant is not None else []
        elif meant is not None:
            values[setting] = meant
    return ConfigFile(values, unused)


def _pairs(path: Path, text: str) -> Sequence[tuple[str, Any]]:
    nested: list[Sequence[tuple[str, Any]]] = []

    def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nested.append(pairs)  # the outermost comes last
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=kept)
    except RecursionError:
        raise BadConfigFile(f"{path} is nested too deeply to be a config.json") from None
    except json.JSONDecodeError as error:
        raise BadConfigFile(_no_json(path, text, error)) from None
    if not isinstance(found, dict):
        raise BadConfigFile(f"{path} must hold a JSON object")
    pairs = nested[-1]
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _wrong(path, text, key, "it is there twice")
        seen.add(key)
    return pairs


def _no_json(path: Path, text: str, error: json.JSONDecodeError) -> str:
    before = text[: error.pos].rstrip()
    keys = _KEY.findall(before)
    after = f" after key {keys[-1]}" if keys else ""
    if before.endswith(",") and text[error.pos : error.pos + 1] in ("}", "]"):
        line = before.count("\n") + 1
        return f"{path} line {line}{after}: the comma before the closing bracket must go"
    return f"{path} line {error.lineno}{after}: this is not JSON: {error.msg} (column {error.colno})"


_KEY = re.compile(r'"([^"\\\n]{1,100})"\s*:')


def _wrong(path: Path, text: str, key: str, what: str) -> BadConfigFile:
    places = list(re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text))
    line = f" line {text.count(chr(10), 0, places[-1].start()) + 1}" if places else ""
    return BadConfigFile(f"{path}{line}: key {key[:100]}: {what}")


def _instead(key: str) -> str:
    near = difflib.get_close_matches(key.lower().replace("_", "-"), _KEYS, n=1)
    return f" (is {near[0]} meant?)" if near else "; what has no published key is set in the environment, as EMCO_…"


def _shown(value: Any) -> str:
    """Its kind; nothing of a text, which may be a secret in the wrong place."""
    kinds = {str: "a text", bool: "a truth value", type(None): "null", list: "a list", dict: "an object"}
    return kinds.get(type(value), str(value)[:40])


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value or None


def _port(value: Any) -> int | None:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if value == "":
        return None
    if type(number) is not int or not 0 <= number <= 65535:
        raise ValueError("a port between 0 and 65535")
    return number


def _seconds(value: Any) -> float:
    if type(value) is not int or value <= 0:
        raise ValueError("a whole number of milliseconds above 0")
    return value / 1000


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a whole number")
    return value


def _retries(value: Any) -> int | None:
    """Nothing and a negative number are without end (spec deployment 3.1)."""
    if value == "":
        return None
    try:
        number = int(value) if isinstance(value, str) else _whole(value)
    except ValueError:
        raise ValueError("a whole number, or empty for no end") from None
    return number if number >= 0 else None


def _kind(value: Any) -> None:
    if value not in ("mongo", ""):
        raise ValueError("mongo, the only kind there is (other addresses: EMCO_DATABASE_URL)")


def _grpc_tls(value: Any) -> str | None:
    """Any text with ``enable`` in it, as the original reads it; ``enable-mtls`` is ours."""
    text = value.lower() if isinstance(value, str) else "?"
    if "enable" in text:
        return "mtls" if "mtls" in text else "tls"
    if "disable" in text or text == "off":
        return "off"
    if text:
        raise ValueError("enable, enable-mtls or disable")
    return None


def _address(scheme: str, port: int) -> Reader:
    def read(value: Any) -> str | None:
        host = _text(value)
        if host is None:
            return None
        if host.count(":") > 1 and not host.startswith("["):
            host = f"[{host}]"
        return f"{scheme}://{host}:{port}"

    return read


_KEYS: Mapping[str, tuple[str | None, Reader]] = {
    "service-port": ("http_port", _port),
    "grpc-port": ("grpc_port", _port),
    "database-type": (None, _kind),
    "database-ip": ("database_url", _address("mongodb", 27017)),
    "etcd-ip": ("bus_url", _address("etcd", 2379)),
    "etcd-cert": ("bus_cert_file", _text),
    "etcd-key": ("bus_key_file", _text),
    "etcd-ca-file": ("bus_ca_file", _text),
    "log-level": ("log_level", _text),
    "max-retries": ("max_retries", _retries),
    "grpc-enable-tls": ("grpc_tls", _grpc_tls),
    "grpc-ca-file": ("grpc_ca_file", _text),
    "grpc-server-cert": ("grpc_cert_file", _text),
    "grpc-server-key": ("grpc_key_file", _text),
    "grpc-server-name-override": ("grpc_server_name", _text),
    "grpc-conn-timeout": ("grpc_connect_timeout", _seconds),
    "grpc-call-timeout": ("grpc_call_timeout", _seconds),
    "grpc-conn-ready-time": (None, _seconds),
    "zipkin-ip": ("zipkin_ip", _text),
    "zipkin-port": ("zipkin_port", _port),
    "db-schema-backoff": (None, _whole),
    "db-schema-max-backoff": (None, _whole),
    "ca-file": (None, _text),
    "server-cert": (None, _text),
    "server-key": (None, _text),
    "password": (None, _text),
    "plugin-dir": (None, _text),
    "kubernetes-label-name": (None, _text),
}
"""By key the setting that it is here, ``None`` for one that has no meaning here."""
