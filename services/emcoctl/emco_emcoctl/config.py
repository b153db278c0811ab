"""Which host and port each service has: the configuration file over the defaults, section by section (emcoctl 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emco_emcoctl import configformats
from emco_emcoctl.errors import ConfigError, NoServiceError
from emco_emcoctl.tls import StatusTls, Tls, status_tls_of, tls_of


@dataclass(frozen=True)
class Section:
    """``port`` and ``status_port`` are 0 where there is none; ``url`` is where requests go instead of host and port."""

    host: str = ""
    port: int = 0
    status_port: int = 0
    url: str = ""
    tls: Tls = field(default_factory=Tls)
    status_tls: StatusTls = field(default_factory=StatusTls)


@dataclass(frozen=True)
class Endpoint:
    """Where requests to a service go. ``url`` is what stands before ``/v2``."""

    url: str
    tls: Tls = field(default_factory=Tls)


def _local(port: int, status_port: int = 0) -> Section:
    return Section("localhost", port, status_port)


DEFAULTS: Mapping[str, Section] = {
    "ingress": Section(),
    "orchestrator": _local(9015, 9016),
    "clm": _local(9061),
    "ncm": _local(9081, 9082),
    "dcm": _local(9077, 9078),
    "rsync": Section(),
    "ovnaction": _local(9051),
    "gac": _local(9020),
    "dtc": _local(9018),
    "hpaplacement": _local(9091),
    "sfc": _local(9055),
    "sfcclient": _local(9057),
    "workflowmgr": _local(9095),
    "tac": _local(9064),
    "cacert": _local(9036),
    "policy": _local(9060),
}


@dataclass(frozen=True)
class Config:
    """``path`` is the file as named, ``None`` if none was found; ``compat`` asks for the original's exit codes.

    ``problems`` tells, by section, what is wrong with it. Such a section cannot be used; the others can.
    """

    path: str | None = None
    sections: Mapping[str, Section] = field(default_factory=lambda: DEFAULTS)
    compat: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)

    def endpoint(self, service: str) -> Endpoint:
        """The endpoint of the service, or of the ingress if there is one; raises ``ConfigError``."""
        ingress = self._usable("ingress")
        section = ingress if ingress.url or (ingress.host and ingress.port) else self._usable(service)
        if section.url:
            return Endpoint(section.url, section.tls)
        self._check(service, "host", section.host)
        self._check(service, "port", section.port)
        return Endpoint(f"http://{_bracketed(section.host)}:{section.port}", section.tls)

    def status_endpoint(self, service: str) -> tuple[str, int]:
        """Host, as it stands in addresses, and port of the service's notifications; raises ``ConfigError``."""
        section = self._usable(service)
        self._check(service, "host", section.host)
        self._check(service, "statusPort", section.status_port)
        return _bracketed(section.host), section.status_port

    def status_tls(self, service: str) -> StatusTls:
        """How that port is spoken to; raises ``ConfigError``."""
        return self._usable(service).status_tls

    def _usable(self, service: str) -> Section:
        if service in self.problems:
            raise ConfigError(f"the configuration {self.path}: {self.problems[service]}")
        return self.sections[service]

    def _check(self, service: str, key: str, value: object) -> None:
        if not value:
            raise NoServiceError(f"{self.path or 'the configuration'}: {service}.{key} is not set")


def load(named: str, *, environ: Mapping[str, str], cwd: Path, compat: bool = False) -> Config:
    """The file ``named``, else the first ``$HOME/.emco.<ext>``, else the defaults.

    Raises ``ConfigError``: a file that is named or found but cannot be read is never replaced by defaults. With
    ``compat`` it is, as by the original, for which there are no defaults once a file was read.
    """
    path = named or _in_home(environ)
    if not path:
        return Config()
    try:
        content = _content(path, cwd=cwd, compat=compat)
    except ConfigError:
        if compat:
            return Config()
        raise
    compat = compat or content.get("compat") is True
    sections: dict[str, Section] = {}
    problems: dict[str, str] = {}
    for name in DEFAULTS:
        try:
            sections[name] = _section(name, content, environ=environ, compat=compat, folder=(cwd / path).parent)
        except ConfigError as error:
            problems[name] = str(error)
    if compat:
        return Config(path, {**dict.fromkeys(problems, Section()), **sections}, compat=True)
    return Config(path, sections, problems=problems)


def _content(path: str, *, cwd: Path, compat: bool) -> Mapping[str, Any]:
    extension = Path(path).suffix.removeprefix(".")
    try:
        text = (cwd / path).read_text(encoding="utf-8-sig")
        if compat and extension in configformats.WITHOUT_SECTIONS:
            return {}
        return configformats.parse(text, extension=extension)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"the configuration {path} cannot be read: {reason}") from error
    except ConfigError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error}") from error


def _in_home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        raise ConfigError("there is no home directory to search for a configuration; name one with --config")
    candidates = (Path(home) / f".emco.{extension}" for extension in configformats.EXTENSIONS)
    return next((str(path) for path in candidates if path.is_file()), "")


def _section(
    name: str, content: Mapping[str, Any], *, environ: Mapping[str, str], compat: bool, folder: Path
) -> Section:
    default = Section() if compat else DEFAULTS[name]
    given = content.get(name)
    if given is None:
        return default
    if not isinstance(given, Mapping):
        raise ConfigError(f"{name} must be a section with host and port, not '{given}'")
    values = {key: environ.get(f"{name}.{key}".upper()) or value for key, value in given.items()}
    if compat:
        port, status_port = (_loose_port(values.get(key)) for key in ("port", "statusport"))
        return Section(str(values.get("host") or ""), port, status_port)
    tls = tls_of(values, section=name, folder=folder)
    return Section(
        _host(values.get("host", default.host), key=f"{name}.host"),
        _port(values.get("port", default.port), key=f"{name}.port"),
        _port(values.get("statusport", default.status_port), key=f"{name}.statusPort"),
        _url(values.get("url"), key=f"{name}.url"),
        tls,
        status_tls_of(values, section=name, folder=folder, shared=tls),
    )


def _url(value: Any, *, key: str) -> str:
    text = str(value or "").rstrip("/")
    scheme, mark, rest = text.partition("://")
    if text and (not mark or scheme not in ("http", "https") or not rest or any(c in rest for c in "?#@ ")):
        raise ConfigError(f"{key} must be http://host[:port][/path] or https://…, not '{value}'")
    return text.removesuffix("/v2")


def _loose_port(value: Any) -> int:
    """Any number: one that is no port fails when something is sent there."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _host(value: Any, *, key: str) -> str:
    if value is None:
        return ""
    if isinstance(value, list | Mapping | bool):
        raise ConfigError(f"{key} must be a host name or address, not '{value}'")
    host = str(value)
    if "/" in host or any(c.isspace() for c in host):
        raise ConfigError(f"{key} must be a host name or address without scheme and path, not '{host}'")
    return host.removeprefix("[").removesuffix("]")


def _port(value: Any, *, key: str) -> int:
    if value is None or value == "":
        return 0
    wrong = ConfigError(f"{key} must be a port from 1 to 65535, not '{value}'")
    if isinstance(value, bool | list | Mapping):
        raise wrong
    try:
        port = int(value)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if not 0 <= port <= 65535 or port != float(value):
        raise wrong
    return port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
