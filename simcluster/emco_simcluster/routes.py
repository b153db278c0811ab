"""From a request's path to what it is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from emco_simcluster import errors
from emco_simcluster.kinds import Kind, KindTable


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, one of its objects, or a subresource. ``namespace`` is None for all namespaces."""

    kind: Kind
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def space(self) -> str:
        """The namespace under which an object is stored."""
        return self.namespace or ""

    @property
    def resource(self) -> str:
        """How faults and counters call it: ``pods``, ``pods/log``."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def parts_of(raw_path: str) -> list[str]:
    """The decoded segments of a path."""
    return [unquote(p) for p in raw_path.split("/") if p]


def find(kinds: KindTable, parts: list[str]) -> Target | None:
    """What ``/api/v1/…`` or ``/apis/<group>/<version>/…`` is about; None if nothing of that kind is served."""
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    kind = kinds.find(group, version, rest[0])
    if kind is None or len(rest) > 3 or (namespace is not None and not kind.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if name and kind.namespaced and namespace is None:
        return None
    if subresource and subresource not in kind.subresources:
        raise errors.no_such_path()
    return Target(kind, namespace, name, subresource)


def verb_of(method: str, target: Target, *, watch: bool, apply: bool) -> str:
    """The Kubernetes verb of a request; ``apply`` is told apart from ``patch``. Raises 405."""
    named = bool(target.name)
    if method == "GET":
        verb = "get" if named else "watch" if watch else "list"
    elif method == "POST" and not named:
        verb = "create"
    elif method == "PUT" and named:
        verb = "update"
    elif method == "PATCH" and named:
        verb = "apply" if apply else "patch"
    elif method == "DELETE" and not target.subresource:
        verb = "delete" if named else "deletecollection"
    else:
        raise errors.method_not_allowed()
    if ("patch" if verb == "apply" else verb) not in target.kind.verbs:
        raise errors.method_not_allowed()
    return verb
