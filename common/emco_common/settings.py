"""What a service can be told at start: environment first, then EMCO's ``config.json``, then the default.

Every field is read from the environment as ``EMCO_<NAME>``, for one service of several in a process as
``EMCO_<SERVICE>_<NAME>``, which goes before; with ``_FILE`` after it, from the file of that name, as container engines
hand out secrets. The names that EMCO's deployments have always used
(``DB_EMCO_USERNAME``, ``<SERVICE>_SERVICE_PORT``, the keys of ``config.json``) are accepted as well (spec
orchestrator-api 1.1, deployment 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from emco_common.configfile import BadConfigFile, ConfigFile, read_config

Port = Annotated[int, Field(ge=0, le=65535)]
"""0 lets the system choose, which tests use."""

GRPC_OFF: Literal["off"] = "off"
GRPC_TLS: Literal["tls"] = "tls"
GRPC_MTLS: Literal["mtls"] = "mtls"


_TAKES_TRACES = re.compile(r"https?://[^/\s@?#]+(?:/[^\s?#]*)?\Z")


class BadSettings(ValueError):
    """A setting makes no sense; the text is one sentence that names it."""


class Settings(BaseModel):
    """Settings shared by all services; times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on. Loopback, so that nothing is open by accident.")
    http_port: Port = Field(0, description="REST port.")
    grpc_port: Port = Field(0, description="gRPC port, for services that have one.")
    database_url: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017"),
        description="`mongodb://…` or `sqlite:///path`. Hides a password in logs.",
    )
    bus_url: SecretStr = Field(
        SecretStr("etcd://127.0.0.1:2379"),
        description="`etcd://host:port,…`, `etcds://…` for TLS, or `embedded:///path`.",
    )
    bus_ca_file: str = Field("", description="CA of the etcd servers, PEM.")
    bus_cert_file: str = Field("", description="Client certificate for etcd, PEM.")
    bus_key_file: str = Field("", description="Private key of that certificate, PEM.")
    data_key: SecretStr = Field(SecretStr(""), description="Key that seals kubeconfigs and other secrets. No default.")
    retired_data_keys: tuple[SecretStr, ...] = Field((), description="Older keys that may still open what they sealed.")
    meta_emco_sha: str = Field("", description="The commit that was built, for the metric `emco_build`.")
    log_level: str = Field("info", description="panic, fatal, error, warn, info, debug or trace.")
    max_body: int = Field(4 << 20, gt=0, description="Largest JSON body. Intents are small; 4 MiB is a thousand-fold.")
    max_upload: int = Field(64 << 20, gt=0, description="Largest multipart body. A chart of 64 MiB is already unusual.")
    grpc_connect_timeout: float = Field(1.0, gt=0, description="How long a controller may take to become reachable.")
    grpc_call_timeout: float = Field(10.0, gt=0, description="Deadline of one call to a controller.")
    grpc_tls: Literal["off", "tls", "mtls"] = Field(
        GRPC_OFF,
        description="`tls`: servers of gRPC show a certificate, `mtls`: clients as well. One word for all who call one "
        "another. Off, since a mesh does it too, and certificates have to come from somewhere.",
    )
    grpc_cert_file: str = Field("", description="Certificate for gRPC and its chain, PEM. Read again when it changes.")
    grpc_key_file: str = Field("", description="Private key of that certificate, PEM.")
    grpc_ca_file: str = Field("", description="CA of the servers that are called, and of clients with mtls, PEM.")
    grpc_server_name: str = Field(
        "", description="Name expected in the certificates of all servers that are called, instead of their own."
    )
    status_window: float = Field(
        3.0, ge=0, description="Seconds between two looks at a watched object at least; news in between are joined."
    )
    status_streams: int = Field(
        1_000, ge=0, description="Open server-sent event streams of one process; each holds a connection."
    )
    status_clients: int = Field(
        10_000, ge=0, description="Clients registered for status notification over gRPC at one process."
    )
    nice: int = Field(
        0, ge=0, le=19, description="How far the process gives way to others on the same machine; not of `emco up`."
    )
    rsync_timeout: float = Field(10.0, gt=0, description="How long rsync may take to queue work.")
    trace_endpoint: str = Field(
        "",
        description="Where traces go: the URL of an OTLP/HTTP collector, `http://collector:4318`, or of Zipkin, "
        "`http://zipkin:9411/api/v2/spans`. Off by default, as somebody has to take them.",
    )
    trace_sample: float = Field(
        1.0, ge=0, le=1, description="Share of the traces that is recorded; a caller that has decided goes before."
    )
    trace_headers: SecretStr = Field(
        SecretStr(""), description="What whoever takes the traces wants to be sent, `name=value,name=value`."
    )
    trace_service: str = Field("", description="Name in traces; by default `<APP_NAME>.<POD_NAMESPACE>`.")
    zipkin_ip: str = Field("", description="Host of Zipkin, as in `config.json`; `trace_endpoint` goes before.")
    zipkin_port: Port = Field(9411, description="Its port.")

    @field_validator("trace_endpoint")
    @classmethod
    def _a_url(cls, given: str) -> str:
        if given and not _TAKES_TRACES.match(given):
            raise ValueError(f"{given!r} is not http://host:port or https://host:port")
        return given

    @property
    def zipkin_endpoint(self) -> str:
        host = f"[{self.zipkin_ip}]" if self.zipkin_ip.count(":") > 1 else self.zipkin_ip
        return f"http://{host}:{self.zipkin_port}/api/v2/spans" if host else ""

    @classmethod
    def load(cls, service: str, environment: Mapping[str, str], *, config: Path | None = None, **defaults: Any) -> Self:
        """Settings of ``service``. Raises ``BadSettings`` with one sentence when something makes no sense."""
        fields = frozenset(cls.model_fields)
        values = dict(defaults) | _injected(service, environment)
        if config is not None and config.exists():
            values |= {name: value for name, value in _read(config).values.items() if name in fields}
        values |= _from_environment(service, environment, fields)
        values |= _with_logins(values, environment)
        values.setdefault("trace_service", _name_in_traces(service, environment))
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise BadSettings(f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def unused_keys(config: Path) -> Sequence[str]:
    """Keys of an existing ``config.json`` that say something which has no meaning here. ``BadSettings``."""
    return _read(config).unused


def _read(config: Path) -> ConfigFile:
    try:
        return read_config(config)
    except BadConfigFile as error:
        raise BadSettings(str(error)) from error
    except OSError as error:
        raise BadSettings(f"{config} cannot be read: {error.strerror}") from error


def _injected(service: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Kubernetes tells each pod the first port of each Service, which in the original's charts is that of gRPC."""
    port = environment.get(f"{service.upper().replace('-', '_')}_SERVICE_PORT", "")
    return {"grpc_port": port} if port.isascii() and port.isdigit() else {}


def _name_in_traces(service: str, environment: Mapping[str, str]) -> str:
    """Spec deployment 3.2; an empty variable says nothing."""
    return f"{environment.get('APP_NAME') or service}.{environment.get('POD_NAMESPACE') or 'default'}"


def _from_environment(service: str, environment: Mapping[str, str], fields: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for prefix in ("EMCO", f"EMCO_{service.upper().replace('-', '_')}"):
        given = {name: _given(f"{prefix}_{name.upper()}", environment) for name in fields}
        values |= {name: value for name, value in given.items() if value is not None}
    if isinstance(values.get("retired_data_keys"), str):
        values["retired_data_keys"] = tuple(filter(None, values["retired_data_keys"].split(",")))
    return values


def _with_logins(settings: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The addresses of store and bus with the credentials that the original is given beside them."""
    values: dict[str, Any] = {}
    user, password = environment.get("DB_EMCO_USERNAME"), environment.get("DB_EMCO_PASSWORD")
    if user and password:
        plain = settings.get("database_url", "mongodb://127.0.0.1:27017")
        scheme, _, rest = plain.partition("://")
        if scheme.startswith("mongodb") and "@" not in rest:
            address, _, options = rest.partition("?")
            if "authsource=" not in options.lower():
                options = f"{options}&authSource=emco".lstrip("&")
            place = address if "/" in address else f"{address}/"
            values["database_url"] = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{place}?{options}"
    user, password = environment.get("CONTEXTDB_EMCO_USERNAME"), environment.get("CONTEXTDB_EMCO_PASSWORD")
    if user and password:
        plain = settings.get("bus_url", "etcd://127.0.0.1:2379")
        scheme, _, rest = plain.partition("://")
        if scheme.startswith("etcd") and "@" not in rest:
            values["bus_url"] = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"
    return values


def _given(variable: str, environment: Mapping[str, str]) -> str | None:
    """The value, or the content of the file that ``<variable>_FILE`` names."""
    value, file = environment.get(variable), environment.get(f"{variable}_FILE")
    if file is None:
        return value
    if value is not None:
        raise BadSettings(f"{variable} and {variable}_FILE are both set; give one of them")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadSettings(f"{variable}_FILE: {file} cannot be read: {reason}") from error
