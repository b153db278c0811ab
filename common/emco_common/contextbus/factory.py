"""Which context bus a URL means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from emco_common.contextbus.api import ContextBus, Reading
from emco_common.errors import BadRequest

_FORMS = "embedded:///path/to/file, etcd://host:port,host:port or etcds://… (TLS)"


async def open_bus(url: str, *, ca_file: str = "", cert_file: str = "", key_file: str = "") -> ContextBus:
    """``embedded:///path`` (``embedded:///:memory:`` for nothing to keep), ``etcd://user:password@host:port,…``.

    The files are PEM and count for ``etcds`` only. The adapter is imported only when it is asked for. Raises
    ``BadRequest`` for any other URL or a file that cannot be read, ``BusUnavailable`` when the bus does not answer.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadRequest(f"The URL of the context bus is wrong: {error}") from error
    if parts.scheme == "embedded" and not parts.netloc and len(parts.path) > 1:
        from emco_common.contextbus.embedded import EmbeddedBus

        memory = parts.path == "/:memory:"
        return await EmbeddedBus.open(":memory:" if memory else Path(unquote(parts.path)))
    if parts.scheme in ("etcd", "etcds") and parts.netloc:
        return await _open_etcd(parts, ca_file=ca_file, cert_file=cert_file, key_file=key_file)
    raise BadRequest(f"The context bus is named by {_FORMS}")


async def open_reading(url: str, *, ca_file: str = "", cert_file: str = "", key_file: str = "") -> Reading:
    """As ``open_bus``, only to be read; an embedded one also while another process has it. ``UnusableBus`` if it is not
    there: what is only read is not made."""
    parts = urlsplit(url) if url.startswith("embedded:") else None
    if parts is not None and not parts.netloc and len(parts.path) > 1:
        from emco_common.contextbus.embedded.snapshot import FileReading

        return FileReading(Path(unquote(parts.path)))
    return await open_bus(url, ca_file=ca_file, cert_file=cert_file, key_file=key_file)


async def _open_etcd(parts: SplitResult, *, ca_file: str, cert_file: str, key_file: str) -> ContextBus:
    from emco_common.contextbus.etcd import EtcdBus, Tls

    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    tls = None
    if parts.scheme == "etcds":
        if bool(cert_file) != bool(key_file):
            raise BadRequest("A client certificate for etcd needs both its file and that of its key")
        tls = Tls(ca=_read(ca_file), certificate=_read(cert_file), key=_read(key_file))
    endpoints = [host for host in hosts.split(",") if host]
    return await EtcdBus.connect(endpoints, tls=tls, user=unquote(user), password=unquote(password))


def _read(file: str) -> bytes | None:
    try:
        return Path(file).read_bytes() if file else None
    except OSError as error:
        raise BadRequest(f"The file {file} for etcd cannot be read: {error.strerror}") from error
