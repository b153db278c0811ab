"""Label and field selectors: text in, predicate over objects out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from emco_simcluster.errors import ApiError, bad_request

Json = dict[str, Any]
Predicate = Callable[[Json], bool]

_IN = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_COMPARE = re.compile(r"^(?P<key>[^=!<>\s]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^=!\s]*)$")
_KEY = re.compile(r"^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_VALUE = re.compile(r"^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
_FIELDS: Mapping[str, frozenset[str]] = {
    "pods": frozenset(
        [
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]
    ),
    "events": frozenset(
        [
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    ),
    "nodes": frozenset({"spec.unschedulable"}),
    "namespaces": frozenset({"status.phase"}),
    "secrets": frozenset({"type"}),
    "services": frozenset({"spec.clusterIP", "spec.type"}),
    "replicasets": frozenset({"status.replicas"}),
    "jobs": frozenset({"status.successful"}),
    "certificatesigningrequests": frozenset({"spec.signerName"}),
}


def _malformed(text: str, why: str) -> ApiError:
    return bad_request(f'unable to parse requirement: {why}: "{text}"')


def label_predicate(selector: str) -> Predicate | None:
    """What ``labelSelector`` asks for; None asks for everything. Raises the 400 of a real server."""
    tests = [_label_test(term.strip()) for term in _terms(selector)]
    if not tests:
        return None

    def matches(obj: Json) -> bool:
        labels = (obj.get("metadata") or {}).get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _terms(selector: str) -> list[str]:
    """Split at commas outside parentheses."""
    terms = re.findall(r"(?:[^,(]|\([^)]*\))+", selector)
    return [t for t in terms if t.strip()]


def _label_test(term: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _IN.match(term):
        key, values = found["key"], frozenset(v.strip() for v in found["values"].split(","))
        _check(term, key, *values)
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _COMPARE.match(term):
        key, value = found["key"], found["value"]
        _check(term, key, value)
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    absent = term.startswith("!")
    name = term.lstrip("!").strip()
    _check(term, name)
    return lambda labels: (name in labels) is not absent


def _check(term: str, key: str, *values: str) -> None:
    if not _KEY.match(key):
        raise _malformed(term, "<nil>: Invalid value")
    for value in values:
        if not _VALUE.match(value):
            raise _malformed(term, "values: Invalid value")


def field_predicate(selector: str, *, plural: str) -> Predicate | None:
    """What ``fieldSelector`` asks for; each kind supports only its own few fields, as on a real server."""
    tests: list[tuple[str, str, bool]] = []
    for term in filter(None, (t.strip() for t in selector.split(","))):
        found = _COMPARE.match(term)
        if not found:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{term}'")
        name = found["key"]
        if name not in ("metadata.name", "metadata.namespace") and name not in _FIELDS.get(plural, ()):
            if plural in _FIELDS:
                raise bad_request(f"field label not supported: {name}")
            raise bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        tests.append((name, found["value"], found["op"] != "!="))
    if not tests:
        return None
    return lambda obj: all((_field(obj, name) == value) is wanted for name, value, wanted in tests)


def _field(obj: Json, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    """Both conditions, where there are any."""
    if first is None or second is None:
        return first or second
    return lambda obj: first(obj) and second(obj)
