"""How a service is known and how emcoctl proves who it is: the certificate keys of a configuration section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emco_emcoctl.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from emco_common.rpc.tls import ClientTls

_FILES = ("caFile", "certFile", "keyFile")
_STATUS = ("CaFile", "CertFile", "KeyFile")


@dataclass(frozen=True)
class Tls:
    """Paths of PEM files, ``""`` for none: without ``ca_file`` the system's authorities are trusted. ``insecure``
    checks nothing."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Raises ``ConfigError`` that names the file that cannot be used."""
        import ssl

        named = self.ca_file
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.cert_file:
                named = f"{self.cert_file} with the key {self.key_file or 'in it'}"
                context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)
        except OSError as error:  # of which ssl.SSLError is one
            raise ConfigError(f"the certificates {named} cannot be used: {error.strerror or error}") from error
        return context


@dataclass(frozen=True)
class StatusTls:
    """The same for the port with notifications, which speaks gRPC; ``on`` is whether by TLS at all. ``server_name`` is
    expected in the certificate instead of the host's name."""

    on: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""

    def client(self, section: str) -> ClientTls | None:
        """``None`` for plain text. Raises ``ConfigError`` that names key and file."""
        if not self.on:
            return None
        from emco_common.rpc.certificates import CLIENT, File, Files
        from emco_common.rpc.tls import ClientTls
        from emco_common.settings import BadSettings

        ca = File(f"{section}.statusCaFile", self.ca_file) if self.ca_file else None
        key = self.key_file or self.cert_file
        pair = (File(f"{section}.statusCertFile", self.cert_file), File(f"{section}.statusKeyFile", key))
        try:
            files = Files(pair if self.cert_file else None, ca, frozenset({CLIENT}))
            return ClientTls.made(files, name=self.server_name)
        except BadSettings as error:
            raise ConfigError(str(error).removeprefix("setting ")) from error


def status_tls_of(values: Mapping[str, Any], *, section: str, folder: Path, shared: Tls) -> StatusTls:
    """Files that are not named are those of ``shared``, the section's for https. Raises ``ConfigError``."""
    on = _truth(values, "statusTls", section=section)
    ca, cert, key = (
        _path(values.get(f"status{name}".lower()), key=f"{section}.status{name}", folder=folder) for name in _STATUS
    )
    if key and not cert:
        raise ConfigError(f"{section}.statusKeyFile is set without {section}.statusCertFile")
    name = str(values.get("statusservername") or "")
    if (ca or cert or name) and not on:
        raise ConfigError(f"{section}: certificates for the status port are named, and {section}.statusTls is not true")
    pair = (cert, key) if cert else (shared.cert_file, shared.key_file)
    return StatusTls(on, ca or shared.ca_file, *pair, server_name=name)


def tls_of(values: Mapping[str, Any], *, section: str, folder: Path) -> Tls:
    """The certificates of a section with lower-case keys; relative paths are meant from ``folder``.

    Raises ``ConfigError``.
    """
    ca, cert, key = (_path(values.get(name.lower()), key=f"{section}.{name}", folder=folder) for name in _FILES)
    insecure = _truth(values, "insecure", section=section)
    if key and not cert:
        raise ConfigError(f"{section}.keyFile is set without {section}.certFile")
    return Tls(ca, cert, key, insecure=insecure)


def _truth(values: Mapping[str, Any], key: str, *, section: str) -> bool:
    found = values.get(key.lower()) or False
    if found not in (True, False, "true", "false"):
        raise ConfigError(f"{section}.{key} must be true or false, not '{found}'")
    return found in (True, "true")


def _path(value: Any, *, key: str, folder: Path) -> str:
    if not value:
        return ""
    path = folder / str(value)
    if not path.is_file():
        raise ConfigError(f"{key}: there is no file {path}")
    return str(path)


def _no_password() -> str:
    raise ConfigError("the key file is encrypted; give one that is not")
