"""Reads an uploaded kubeconfig by allow-list: what it may say, and what it says.

Nothing in a kubeconfig may make this process run a program, read a file, use a proxy or trust anybody (robustness
lines 20 to 22), so only inline data is taken and every other field is refused by name. Pure: no file, no connection.
No message and no ``repr`` ever holds a value of the file that could be secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from emco_common.errors import BadRequest
from emco_common.kube.certificates import check_ca, check_pair
from emco_common.kubeyaml import BadYaml, load

MAX_BYTES = 1_000_000
MAX_DEPTH = 30

_MINIFY = "kubectl config view --raw --minify --flatten writes one with inline data only"
_CLUSTER_FIELDS = {"server", "certificate-authority-data", "extensions", "disable-compression"}
_USER_FIELDS = {"client-certificate-data", "client-key-data", "token", "username", "password", "extensions"}
_CONTEXT_FIELDS = {"cluster", "user", "namespace", "extensions"}
_REFUSED = {
    "exec": "programs are never run",
    "auth-provider": "authentication plug-ins are never run; use a token or a client certificate",
    "tokenFile": "files are never read; give the token inline",
    "client-certificate": "files are never read; use client-certificate-data",
    "client-key": "files are never read; use client-key-data",
    "certificate-authority": "files are never read; use certificate-authority-data",
    "proxy-url": "proxies are not used",
    "insecure-skip-tls-verify": "the server's certificate is always checked; give certificate-authority-data",
    "tls-server-name": "the certificate must be valid for the host of the server address",
    "as": "impersonation is not taken from a kubeconfig",
    "as-uid": "impersonation is not taken from a kubeconfig",
    "as-groups": "impersonation is not taken from a kubeconfig",
    "as-user-extra": "impersonation is not taken from a kubeconfig",
}


class BadKubeconfig(BadRequest):
    """The kubeconfig is refused; the message names the field and what to do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator (never a tenant) has opted in to. All off: the server is authenticated, always."""

    allow_http: bool = False
    allow_insecure_tls: bool = False
    allow_server_name: bool = False
    unchecked_certificates: bool = False
    """Let certificate data pass that is base64 but no PEM; it then fails at the first connection."""


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """How to reach one cluster as one user. Certificates and keys are PEM; ``None`` is "not given"."""

    server: str
    ca_data: bytes | None = None
    client_certificate: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    namespace: str = ""
    server_name: str | None = None
    verify: bool = True

    def __repr__(self) -> str:
        return f"Kubeconfig(server={self.server!r}, namespace={self.namespace!r}, …)"


def parse_kubeconfig(
    text: bytes | str,
    *,
    policy: Policy | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Kubeconfig:
    """The current context of a kubeconfig; ``BadKubeconfig`` for everything that is not on the allow-list."""
    policy = policy or Policy()
    document = _load(text)
    contexts = _entries(document, "contexts", inner="context")
    clusters = _entries(document, "clusters", inner="cluster")
    users = _entries(document, "users", inner="user")
    for name, body in contexts.items():
        _check_fields(body, path=f"contexts[{name}].context", allowed=_CONTEXT_FIELDS, policy=policy)
    for name, body in clusters.items():
        _check_fields(body, path=f"clusters[{name}].cluster", allowed=_CLUSTER_FIELDS, policy=policy)
    for name, body in users.items():
        _check_fields(body, path=f"users[{name}].user", allowed=_USER_FIELDS, policy=policy)

    context_name, context = _current(document, contexts)
    path = f"contexts[{context_name}].context"
    cluster_name, cluster = _referred(context, clusters, path=path, name="cluster", plural="clusters")
    user_name, user = _referred(context, users, path=path, name="user", plural="users")
    config = Kubeconfig(
        namespace=_string(context, "namespace", path=path) or "",
        **_cluster_part(cluster, path=f"clusters[{cluster_name}].cluster", policy=policy),
        **_user_part(user, path=f"users[{user_name}].user"),
    )
    if not policy.unchecked_certificates:
        _check_certificates(config, cluster=cluster_name, user=user_name, now=now())
    return config


def _load(text: bytes | str) -> Mapping[str, Any]:
    if len(text) > MAX_BYTES:
        raise BadKubeconfig(f"kubeconfig: larger than {MAX_BYTES} bytes; {_MINIFY}")
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise BadKubeconfig("kubeconfig: not UTF-8 text") from None
    try:
        document = load(decoded, max_depth=MAX_DEPTH, aliases=False)
    except BadYaml as error:
        raise BadKubeconfig(f"kubeconfig {error}") from None
    if not isinstance(document, dict):
        raise BadKubeconfig("kubeconfig: must be a mapping with clusters, users, contexts and current-context")
    return document


def _entries(document: Mapping[str, Any], plural: str, *, inner: str) -> dict[str, Mapping[str, Any]]:
    """Named entries of a list such as ``clusters``; like kubectl, the first of a name counts."""
    listed = document.get(plural)
    if not isinstance(listed, list) or not listed:
        raise BadKubeconfig(f"{plural}: missing or empty; {_MINIFY}")
    entries: dict[str, Mapping[str, Any]] = {}
    for position, entry in enumerate(listed):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadKubeconfig(f"{plural}[{position}].name: missing or not a string")
        body = entry.get(inner)
        if body is None:
            body = {}
        if not isinstance(body, dict):
            raise BadKubeconfig(f"{plural}[{position}].{inner}: must be a mapping")
        entries.setdefault(entry["name"], body)
    return entries


def _check_fields(body: Mapping[str, Any], *, path: str, allowed: set[str], policy: Policy) -> None:
    opted_in = {
        "insecure-skip-tls-verify": policy.allow_insecure_tls or body.get("insecure-skip-tls-verify") is False,
        "tls-server-name": policy.allow_server_name,
    }
    for name, value in body.items():
        if name in allowed or opted_in.get(name) or value is None or value == "":
            continue
        shown = name if isinstance(name, str) and len(name) < 64 else "(key)"
        raise BadKubeconfig(f"{path}.{shown}: {_REFUSED.get(name, 'not a field that is allowed here')}; {_MINIFY}")


def _current(document: Mapping[str, Any], contexts: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    name = document.get("current-context")
    if name in (None, ""):
        if len(contexts) > 1:
            raise BadKubeconfig("current-context: missing, and there are several contexts; name the one to use")
        return next(iter(contexts.items()))
    if not isinstance(name, str) or name not in contexts:
        raise BadKubeconfig("current-context: names a context that is not in contexts")
    return name, contexts[name]


def _referred(
    context: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]], *, path: str, name: str, plural: str
) -> tuple[str, Mapping[str, Any]]:
    wanted = _string(context, name, path=path)
    if wanted is None or wanted not in entries:
        raise BadKubeconfig(f"{path}.{name}: missing, or names an entry that is not in {plural}")
    return wanted, entries[wanted]


def _cluster_part(cluster: Mapping[str, Any], *, path: str, policy: Policy) -> dict[str, Any]:
    server = _server(cluster, path=path, policy=policy)
    ca_data = _base64(cluster, "certificate-authority-data", path=path)
    verify = cluster.get("insecure-skip-tls-verify") is not True
    if server.startswith("https:") and ca_data is None and verify:
        raise BadKubeconfig(
            f"{path}.certificate-authority-data: missing; it is what proves that the server is the right one"
        )
    return {
        "server": server,
        "ca_data": ca_data,
        "server_name": _string(cluster, "tls-server-name", path=path),
        "verify": verify,
    }


def _server(cluster: Mapping[str, Any], *, path: str, policy: Policy) -> str:
    text = _string(cluster, "server", path=path)
    if text is None:
        raise BadKubeconfig(f"{path}.server: missing; give the address of the API server, https://host:port")
    try:
        url = urlsplit(text)
        parsed_ok = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        parsed_ok = False
    if not parsed_ok or url.query or url.fragment or any(c.isspace() or ord(c) < 32 for c in text):
        raise BadKubeconfig(f"{path}.server: not an address; write https://host:port")
    if url.username is not None or url.password is not None:
        raise BadKubeconfig(f"{path}.server: credentials in the address are not allowed; put them into the user")
    if url.scheme != "https" and not (url.scheme == "http" and policy.allow_http):
        raise BadKubeconfig(f"{path}.server: must be an https:// address")
    return text.rstrip("/")


def _user_part(user: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    part = {
        "client_certificate": _base64(user, "client-certificate-data", path=path),
        "client_key": _base64(user, "client-key-data", path=path),
        "token": _header_safe(user, "token", path=path),
        "username": _header_safe(user, "username", path=path),
        "password": _string(user, "password", path=path),
    }
    if (part["client_certificate"] is None) != (part["client_key"] is None):
        missing = "client-key-data" if part["client_key"] is None else "client-certificate-data"
        raise BadKubeconfig(f"{path}.{missing}: missing; certificate and key belong together")
    if (part["username"] is None) != (part["password"] is None):
        raise BadKubeconfig(f"{path}: username and password belong together")
    return part


def _string(body: Mapping[str, Any], name: str, *, path: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadKubeconfig(f"{path}.{name}: must be a string")
    return value


def _header_safe(body: Mapping[str, Any], name: str, *, path: str) -> str | None:
    value = _string(body, name, path=path)
    if value is not None and not (value.isascii() and value.isprintable()):
        raise BadKubeconfig(f"{path}.{name}: must be printable ASCII text in one line")
    return value


def _base64(body: Mapping[str, Any], name: str, *, path: str) -> bytes | None:
    text = _string(body, name, path=path)
    if text is None:
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadKubeconfig(f"{path}.{name}: not valid base64") from None


def _check_certificates(config: Kubeconfig, *, cluster: str, user: str, now: datetime) -> None:
    if config.ca_data is not None and (problem := check_ca(config.ca_data, now=now)):
        raise BadKubeconfig(f"clusters[{cluster}].cluster.certificate-authority-data: {problem}")
    if config.client_certificate is not None and config.client_key is not None:
        found = check_pair(config.client_certificate, config.client_key, now=now)
        if found:
            raise BadKubeconfig(f"users[{user}].user.{found.field}: {found.problem}")
