"""What a service can be told at start: environment first, then EMCO's ``config.json``, then the default.

Every field is read from the environment as ``EMCO_<NAME>``, for one service of several in a process as
``EMCO_<SERVICE>_<NAME>``, which goes before; with ``_FILE`` after it, from the file of that name, as container engines
hand out secrets. The names that EMCO's deployments have always used
(``DB_EMCO_USERNAME``, ``<SERVICE>_SERVICE_PORT``, the keys of ``config.json``) are accepted as well (spec
orchestrator-api 1.1, deployment 3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

Port = Annotated[int, Field(ge=0, le=65535)]
"""0 lets the system choose, which tests use."""

GRPC_OFF: Literal["off"] = "off"
GRPC_TLS: Literal["tls"] = "tls"
GRPC_MTLS: Literal["mtls"] = "mtls"


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

    @classmethod
    def load(cls, service: str, environment: Mapping[str, str], *, config: Path | None = None, **defaults: Any) -> Self:
        """Settings of ``service``. Raises ``BadSettings`` with one sentence when something makes no sense."""
        values: dict[str, Any] = dict(defaults)
        if config is not None and config.exists():
            values |= _from_config(config)
        values |= _from_environment(service, environment, frozenset(cls.model_fields))
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise BadSettings(f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _from_config(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text())
    except ValueError as error:
        raise BadSettings(f"{path} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadSettings(f"{path} must hold a JSON object")
    values: dict[str, Any] = {}
    if raw.get("database-ip"):
        values["database_url"] = f"mongodb://{raw['database-ip']}:27017"
    if raw.get("etcd-ip"):
        values["bus_url"] = f"etcd://{raw['etcd-ip']}:2379"
    renamed = {
        "service-port": "http_port",
        "log-level": "log_level",
        "etcd-cert": "bus_cert_file",
        "etcd-key": "bus_key_file",
        "etcd-ca-file": "bus_ca_file",
    }
    values |= {name: raw[key] for key, name in renamed.items() if raw.get(key)}
    milliseconds = {"grpc-conn-timeout": "grpc_connect_timeout", "grpc-call-timeout": "grpc_call_timeout"}
    values |= {name: raw[key] / 1000 for key, name in milliseconds.items() if key in raw}
    return values


def _from_environment(service: str, environment: Mapping[str, str], fields: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    injected = environment.get(f"{service.upper().replace('-', '_')}_SERVICE_PORT", "")
    if injected.isdigit():
        values["grpc_port"] = injected
    for prefix in ("EMCO", f"EMCO_{service.upper().replace('-', '_')}"):
        given = {name: _given(f"{prefix}_{name.upper()}", environment) for name in fields}
        values |= {name: value for name, value in given.items() if value is not None}
    if isinstance(values.get("retired_data_keys"), str):
        values["retired_data_keys"] = tuple(filter(None, values["retired_data_keys"].split(",")))
    user, password = environment.get("DB_EMCO_USERNAME"), environment.get("DB_EMCO_PASSWORD")
    if user and password:
        plain = values.get("database_url", "mongodb://127.0.0.1:27017")
        login = f"mongodb://{quote(user, safe='')}:{quote(password, safe='')}@"
        if plain.startswith("mongodb://") and "@" not in plain:
            values["database_url"] = plain.replace("mongodb://", login, 1) + "/?authSource=emco"
    user, password = environment.get("CONTEXTDB_EMCO_USERNAME"), environment.get("CONTEXTDB_EMCO_PASSWORD")
    if user and password:
        plain = values.get("bus_url", "etcd://127.0.0.1:2379")
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
