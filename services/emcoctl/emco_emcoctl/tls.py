"""How a service is known and how emcoctl proves who it is: the certificate keys of a configuration section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emco_emcoctl.errors import ConfigError

if TYPE_CHECKING:
    import ssl

_FILES = ("caFile", "certFile", "keyFile")


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


def tls_of(values: Mapping[str, Any], *, section: str, folder: Path) -> Tls:
    """The certificates of a section with lower-case keys; relative paths are meant from ``folder``.

    Raises ``ConfigError``.
    """
    ca, cert, key = (_path(values.get(name.lower()), key=f"{section}.{name}", folder=folder) for name in _FILES)
    insecure = values.get("insecure") or False
    if insecure not in (True, False, "true", "false"):
        raise ConfigError(f"{section}.insecure must be true or false, not '{insecure}'")
    if key and not cert:
        raise ConfigError(f"{section}.keyFile is set without {section}.certFile")
    return Tls(ca, cert, key, insecure=insecure in (True, "true"))


def _path(value: Any, *, key: str, folder: Path) -> str:
    if not value:
        return ""
    path = folder / str(value)
    if not path.is_file():
        raise ConfigError(f"{key}: there is no file {path}")
    return str(path)


def _no_password() -> str:
    raise ConfigError("the key file is encrypted; give one that is not")
