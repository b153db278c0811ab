"""What an agent can be told, all of it in the environment as ``EMCO_AGENT_<NAME>``. Times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from emco_common.settings import BadSettings, Port

PREFIX = "EMCO_AGENT_"


class AgentSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(description="Where rsync receives agents, `host:port`.")
    cluster: str = Field(pattern=r"^[^+]+\+[^+]+$", description="The cluster as it is registered, `provider+cluster`.")
    token: SecretStr = Field(SecretStr(""), description="The `agentToken` of the cluster's sync object.")
    token_file: str = Field("", description="A file with the token, read anew at each connection.")
    ca_file: str = Field("", description="CA of rsync's certificate, PEM; unset: those that the system trusts.")
    cert_file: str = Field("", description="Client certificate, PEM, where rsync asks for one.")
    key_file: str = Field("", description="Private key of that certificate, PEM.")
    server_name: str = Field("", description="Name that rsync's certificate is for, if not the host of `server`.")
    plaintext: bool = Field(False, description="Connect without TLS. On loopback only, since the token is readable.")
    kubeconfig: str = Field("", description="A kubeconfig of the cluster; unset: the pod's own service account.")
    host: str = Field("127.0.0.1", description="Address of health and metrics. A pod says 0.0.0.0.")
    http_port: Port = Field(9024, description="Port of health and metrics.")
    log_level: str = Field("info", description="panic, fatal, error, warn, info, debug or trace.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        host = self.server.rpartition(":")[0].strip("[]")
        if not host or not self.server.rpartition(":")[2].isdigit():
            raise ValueError("server must be host:port")
        if bool(self.token.get_secret_value()) == bool(self.token_file):
            raise ValueError("give either token or token_file")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together")
        if self.plaintext and not _is_loopback(host):
            raise ValueError("plaintext is for loopback only; the token would be readable on the way")
        return self

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """``BadSettings`` with one sentence when something makes no sense."""
        given = {
            name: environment[f"{PREFIX}{name.upper()}"] for name in cls.model_fields if _named(name) in environment
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BadSettings(f"setting {_named(where) if where else PREFIX + '*'}: {first['msg']}") from None

    def present_token(self) -> str:
        """``OSError`` if its file cannot be read."""
        return Path(self.token_file).read_text().strip() if self.token_file else self.token.get_secret_value()


def _named(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
