"""What a service shows Prometheus, and what the page about it, the dashboard and the alerts say of that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.promql import asked

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "helm" / "emco" / "files"
PAGE = ROOT / "docs" / "observability.md"
OF_PROMETHEUS = frozenset({"job", "instance", "le"})
"""Labels that are not the services' own, or belong to the form."""
_PARTS = re.compile(r"_(bucket|count|sum)$")


@dataclass(frozen=True)
class Described:
    """One line of the page."""

    labels: frozenset[str]
    services: str


@dataclass(frozen=True)
class Expression:
    place: str
    text: str


def labels_of(text: str) -> dict[str, frozenset[str] | None]:
    """By name of the metric, the labels of its series; ``None`` where there is no series. The name is that of the line
    that tells its type."""
    found: dict[str, frozenset[str] | None] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        sets = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert len(sets) <= 1, f"{name} has series with different labels: {sets}"
        found[name] = next(iter(sets), None)
    return found


def series_of(text: str, name: str) -> list[Mapping[str, str]]:
    """The labels of all series of a gauge, each of which has the value 1."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples if one.name == name]
    assert all(one.value == 1 for one in samples), samples
    return [one.labels for one in samples]


def base_of(metric: str, known: Iterable[str]) -> str:
    """The name of a metric by one of its parts."""
    return metric if metric in known else _PARTS.sub("", metric)


def described() -> dict[str, Described]:
    """What the page says is served."""
    lines = (line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `emco_"))
    return {
        parts[1].strip(" `"): Described(frozenset(re.findall(r"`(\w+)`", parts[2])), parts[3].strip())
        for parts in lines
    }


def rules() -> list[dict[str, Any]]:
    alerts = yaml.safe_load((FILES / "alerts.yaml").read_text())
    return [rule for group in alerts["groups"] for rule in group["rules"]]


def panels() -> Iterator[dict[str, Any]]:
    """Those that show something."""
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def expressions() -> list[Expression]:
    return [Expression(rule["alert"], rule["expr"]) for rule in rules()] + [
        Expression(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]
    ]


def unknown_in(expression: str, served: Mapping[str, frozenset[str]]) -> list[str]:
    """What the expression asks for that is not served."""
    found = asked(expression)
    names = {base_of(metric, served) for metric in found.metrics}
    missing = sorted(name for name in names if name not in served)
    labels = OF_PROMETHEUS.union(*(served.get(name, frozenset()) for name in names))
    return missing + sorted(found.labels - labels)
