"""Anchors to services and URLs. Pure: nothing here reads a file or opens a connection (emcoctl 5, 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote

_INTENTS = {
    "network-chains": "sfc",
    "sfc-clients": "sfcclient",
    "network-controller-intent": "ovnaction",
    "traffic-group-intents": "dtc",
    "generic-k8s-intents": "gac",
    "hpa-intents": "hpaplacement",
    "temporal-workflow-intents": "workflowmgr",
    "temporal-action-controller": "tac",
    "policy-intents": "policy",
}
_OF_A_CLUSTER_IN_NCM = frozenset(
    {"networks", "provider-networks", "networks-rendered", "apply", "update", "terminate", "stop"}
)
_BY_FIRST = {
    "controllers": "orchestrator",
    "clm-controllers": "clm",
    "ncm-controllers": "ncm",
    "dtc-controllers": "dtc",
    "policy": "policy",
}
_OURS = frozenset({"networks-rendered", "update", "ncm-controllers", "policy"})
"""Segments of the two tables above that lead nowhere, or elsewhere, with the original."""
_OF_A_PROJECT = {"logical-clouds": "dcm", "ca-certs": "cacert", "policy": "policy"}
_READ_AS_METADATA = frozenset({"apps", "profiles", "clusters", "resources", "customizations"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_PATH_SAFE = "$&+,/:;=@!'()*[]%-._~"
_QUERY_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '#"<>')


class RouteError(ValueError):
    """An anchor that leads to no service, or that no URL can hold."""


@dataclass(frozen=True)
class Address:
    """Where a request goes: ``path`` for people, ``target`` as on the wire, both without host."""

    service: str
    path: str
    target: str

    @property
    def wants_metadata_only(self) -> bool:
        """Whether a GET must ask for JSON, for it would get the uploaded file otherwise (emcoctl 6.3)."""
        segments = self.target.partition("?")[0].split("/")
        return len(segments) > 1 and segments[-2] in _READ_AS_METADATA


def address(anchor: str, *, names: tuple[str, ...] = (), compat: bool = False) -> Address:
    """The address of ``anchor`` with ``names`` appended; raises ``RouteError``.

    The anchor may hold escapes and a query; each name is one segment, whatever characters it has. With ``compat`` the
    names are part of the anchor as they are, and its query is sent as it is, but for blanks.
    """
    path = "/".join((anchor, *names))
    if _CONTROL.search(path):
        raise RouteError(f"the anchor {path!r} has a control character")
    if compat and names:
        return replace(address(path, compat=True), path=f"/v2/{path}")
    service = service_of(path, compat=compat)
    if bad := _BAD_ESCAPE.search(anchor):
        raise RouteError(f'the anchor {anchor!r} has an invalid URL escape "{bad[0]}"')
    base, mark, query = anchor.partition("#")[0].partition("?")
    tail = "".join("/" + quote(name, safe="$&+,:;=@!'()*[]-._~") for name in names)
    target = quote(base, safe=_PATH_SAFE) + (mark + _query(query, compat=compat) if mark else "") + tail
    return Address(service, f"/v2/{path}", f"/v2/{target}")


def _query(query: str, *, compat: bool) -> str:
    return query.replace(" ", "%20") if compat else quote(query, safe=_QUERY_SAFE)


def service_of(anchor: str, *, compat: bool = False) -> str:
    """The configuration section of the service that owns ``anchor``; raises ``RouteError``.

    A query belongs to its segment, as in the original: ``controllers?x=1`` leads nowhere. With ``compat`` only what
    the original knew leads anywhere.
    """
    segments = anchor.split("/")
    first = segments[0]
    third = segments[2] if len(segments) > 2 else ""
    if first == "cluster-providers":
        fifth = segments[4] if len(segments) > 4 else ""
        if (fifth in _OF_A_CLUSTER_IN_NCM and not (compat and fifth in _OURS)) or fifth.startswith("status"):
            return "ncm"
        return "cacert" if third == "ca-certs" else "clm"
    if first == "projects":
        eighth = segments[7] if len(segments) > 7 else ""
        return _OF_A_PROJECT.get(third) or _INTENTS.get(eighth) or "orchestrator"
    if first in _BY_FIRST and not (compat and first in _OURS) and (first != "policy" or len(segments) > 1):
        return _BY_FIRST[first]
    if not anchor:
        raise RouteError("the anchor is empty")
    raise RouteError(f"the anchor '{anchor}' leads to no service")


def names_itself(anchor: str) -> bool:
    """Whether the anchor already ends in the resource's own name, so that no name is appended."""
    segments = anchor.split("/")
    return segments[0] == "policy" or (len(segments) > 8 and segments[7] == "policy-intents")
