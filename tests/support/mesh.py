"""What Istio makes of its resources, said in a hundred lines from its documentation: routes and authorization.

Written without the code that writes the resources, so that the two can be held against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]


def routed(resources: Sequence[Json], path: str) -> str:
    """The service that the VirtualServices send a path to, ``""`` for none; of several that match, the first."""
    for resource in resources:
        if resource["kind"] != "VirtualService":
            continue
        for http in resource["spec"]["http"]:
            if any(_uri(match["uri"], path) for match in http["match"]):
                host: str = http["route"][0]["destination"]["host"]
                return host.partition(".")[0]
    return ""


def _uri(match: Json, path: str) -> bool:
    (kind, text), *_ = match.items()
    checks = {"exact": path == text, "prefix": path.startswith(text), "regex": re.fullmatch(text, path) is not None}
    return checks[kind]


def admitted(
    resources: Sequence[Json],
    method: str,
    path: str,
    *,
    claims: Json | None,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Whether the AuthorizationPolicies let a request in; ``claims`` are those of a token that holds.

    Any policy that denies wins; then, where any policy allows at all, one has to.
    """
    policies = [resource["spec"] for resource in resources if resource["kind"] == "AuthorizationPolicy"]
    request = _Request(method, path, claims, headers or {})
    if any(_hit(policy, request) for policy in policies if policy["action"] == "DENY"):
        return False
    allowing = [policy for policy in policies if policy["action"] == "ALLOW"]
    return not allowing or any(_hit(policy, request) for policy in allowing)


class _Request:
    def __init__(self, method: str, path: str, claims: Json | None, headers: Mapping[str, str]) -> None:
        self.method, self.path, self.claims, self.headers = method, path, claims, headers

    @property
    def principals(self) -> list[str]:
        return [f"{self.claims['iss']}/{self.claims['sub']}"] if self.claims else []

    def condition(self, key: str) -> list[str]:
        name, *inner = re.findall(r"[^\[\]]+", key)
        if name == "request.headers":
            return [self.headers[inner[0]]] if inner[0] in self.headers else []
        assert name == "request.auth.claims", key
        found: Any = self.claims or {}
        for word in inner:
            found = found.get(word, []) if isinstance(found, Mapping) else []
        return [found] if isinstance(found, str) else list(found)


def _hit(policy: Json, request: _Request) -> bool:
    return any(_rule(rule, request) for rule in policy["rules"])


def _rule(rule: Json, request: _Request) -> bool:
    sources = rule.get("from", [{"source": {}}])
    operations = rule.get("to", [{"operation": {}}])
    return (
        any(_fields(source["source"], {"requestPrincipals": request.principals}) for source in sources)
        and any(_fields(to["operation"], {"methods": [request.method], "paths": [request.path]}) for to in operations)
        and all(
            _listed(when.get("values"), request.condition(when["key"]))
            and not _any(when.get("notValues", []), request.condition(when["key"]))
            for when in rule.get("when", [])
        )
    )


def _fields(wanted: Json, given: Mapping[str, list[str]]) -> bool:
    known = {*given, *(f"not{name[0].upper()}{name[1:]}" for name in given)}
    assert wanted.keys() <= known, f"{wanted.keys() - known} is not known here"
    return all(
        _listed(wanted.get(name), values) and not _any(wanted.get(f"not{name[0].upper()}{name[1:]}", []), values)
        for name, values in given.items()
    )


def _listed(patterns: Sequence[str] | None, values: list[str]) -> bool:
    return patterns is None or _any(patterns, values)


def _any(patterns: Sequence[str], values: list[str]) -> bool:
    return any(_text(pattern, value) for pattern in patterns for value in values)


def _text(pattern: str, value: str) -> bool:
    if "{" in pattern:
        words = ({"{*}": "[^/]+", "{**}": ".*"}.get(word, re.escape(word)) for word in pattern.split("/"))
        return re.fullmatch("/".join(words), value) is not None
    if pattern == "*":
        return value != ""
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value.endswith(pattern[1:]) if pattern.startswith("*") else value == pattern
