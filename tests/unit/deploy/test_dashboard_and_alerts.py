"""Dashboard and alerts are such that Grafana and Prometheus load them, and each alert says what to do."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.support.observed import FILES, PAGE, Expression, expressions, panels, rules
from tests.support.promtool import promtool

SEVERITIES = {"critical", "warning", "info"}
ALERTS = {rule["alert"]: rule for rule in rules()}
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())


def test_every_panel_has_an_id_of_its_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"] == "emco"


def test_there_is_a_row_for_each_part() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Overview", "REST and gRPC", "rsync", "Clusters", "Stores", "Processes"]


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_and_of_what_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    for one in (panel, *panel["targets"]):
        assert one["datasource"] == {"type": "prometheus", "uid": "${source}"}
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references) > 0
    assert all(target["legendFormat"] for target in panel["targets"])


def test_the_source_is_chosen_by_who_looks() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("source", "datasource", "prometheus")


def test_no_panel_covers_another_or_leaves_the_page() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for _, place in places)
    for (one, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one} and {other}"


def test_what_is_per_cluster_is_never_shown_for_all_clusters() -> None:
    """There may be ten thousand: a panel shows some, or counts."""
    for panel in panels():
        for target in panel["targets"]:
            if "{{cluster}}" in target["legendFormat"]:
                assert re.match(r"(topk|bottomk)\(\d+,", target["expr"]), panel["title"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in SEVERITIES
    assert {"summary", "description", "runbook"} == rule["annotations"].keys()
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/observability.md"
    headings = [line.removeprefix("### ") for line in PAGE.read_text().splitlines() if line.startswith("### ")]
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_the_page_tells_of_every_alert_and_of_no_other() -> None:
    told = re.findall(r"^### (Emco\w+)$", PAGE.read_text(), re.MULTILINE)
    assert told == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_what_an_alert_quotes_are_labels_that_are_left(name: str) -> None:
    """A label that was added up over is empty in the text."""
    rule = ALERTS[name]
    quoted = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule["expr"]))))
    free = {"job", "instance"} if " by " not in rule["expr"] else set()
    free |= {"component"} if "absent(" in rule["expr"] else set()
    assert quoted <= kept | free


def test_prometheus_takes_the_rules() -> None:
    answer = promtool("check", "rules", str(FILES / "alerts.yaml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(ALERTS)} rules found" in answer.stdout


def test_prometheus_reads_every_expression() -> None:
    for expression in expressions():
        answer = promtool("--experimental", "promql", "format", expression.text)
        assert answer.returncode == 0, f"{expression}: {answer.stderr}"
    broken = promtool("--experimental", "promql", "format", Expression("", "sum by (").text)
    assert broken.returncode != 0


def _series(name: str, values: str, **labels: str) -> dict[str, str]:
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{inside}}}", "values": values}


AVAILABLE, BREAKER = "emco_rsync_cluster_available", "emco_rsync_cluster_breaker"
REQUESTS = "emco_http_request_seconds_count"
CASES: dict[str, tuple[str, list[dict[str, str]], str, list[dict[str, str]]]] = {
    "a cluster that is away for both replicas": (
        "EmcoClusterAway",
        [
            _series(AVAILABLE, "0x60", cluster="p+c", instance="a"),
            _series(AVAILABLE, "0x60", cluster="p+c", instance="b"),
        ],
        "20m",
        [{"cluster": "p+c"}],
    ),
    "a cluster that is away for one replica only": (
        "EmcoClusterAway",
        [
            _series(AVAILABLE, "0x60", cluster="p+c", instance="a"),
            _series(AVAILABLE, "1x60", cluster="p+c", instance="b"),
        ],
        "30m",
        [],
    ),
    "a cluster that was away for a moment": (
        "EmcoClusterAway",
        [_series(AVAILABLE, "1x10 0x9 1x60", cluster="p+c")],
        "25m",
        [],
    ),
    "a cluster that does not exist any more": (
        "EmcoClusterAway",
        [_series(AVAILABLE, "0x5 stale", cluster="p+c")],
        "30m",
        [],
    ),
    "three clusters of four away": (
        "EmcoManyClustersAway",
        [_series(AVAILABLE, "0x60", cluster=f"p+{name}") for name in "abc"]
        + [_series(AVAILABLE, "1x60", cluster="p+d")],
        "10m",
        [{}],
    ),
    "three clusters of forty away": (
        "EmcoManyClustersAway",
        [_series(AVAILABLE, "0x60" if name < 3 else "1x60", cluster=f"p+{name}") for name in range(40)],
        "10m",
        [],
    ),
    "a breaker that opens again after each attempt": (
        "EmcoClusterHeldBack",
        [_series(BREAKER, "2 2 1 2 2 2 1 2x60", cluster="p+c"), _series(AVAILABLE, "1x60", cluster="p+c")],
        "20m",
        [{"cluster": "p+c"}],
    ),
    "a breaker that closed in between": (
        "EmcoClusterHeldBack",
        [_series(BREAKER, "2x10 0 2x60", cluster="p+c"), _series(AVAILABLE, "1x80", cluster="p+c")],
        "20m",
        [],
    ),
    "one request in ten fails": (
        "EmcoRequestsFail",
        [
            _series(REQUESTS, "0+10x60", service="clm", route="/v2/x", method="GET", status="5xx"),
            _series(REQUESTS, "0+90x60", service="clm", route="/v2/x", method="GET", status="2xx"),
        ],
        "30m",
        [{"service": "clm"}],
    ),
    "probes fail and refusals are many": (
        "EmcoRequestsFail",
        [
            _series(REQUESTS, "0+10x60", service="clm", route="/readyz", method="GET", status="5xx"),
            _series(REQUESTS, "0+90x60", service="clm", route="/v2/x", method="GET", status="4xx"),
        ],
        "30m",
        [],
    ),
    "a store that is away": (
        "EmcoStoreAway",
        [_series("emco_ready", "1x5 0x60", job="clm", instance="a", check="store")],
        "10m",
        [{"job": "clm", "instance": "a", "check": "store"}],
    ),
    "another check that fails": (
        "EmcoStoreAway",
        [_series("emco_ready", "0x60", job="ingress", instance="a", check="issuers")],
        "10m",
        [],
    ),
    "one service is missing": (
        "EmcoServiceMissing",
        [_series("emco_build", "1x60", component=name) for name in ("orchestrator", "clm", "dcm", "ncm")],
        "15m",
        [{"component": "rsync"}],
    ),
    "a queue that grows": (
        "EmcoQueueGrows",
        [_series("emco_rsync_queue_length", "0+1x120", instance="a")],
        "100m",
        [{}],
    ),
    "a queue that is long and gets shorter": (
        "EmcoQueueGrows",
        [_series("emco_rsync_queue_length", "500-2x120", instance="a")],
        "100m",
        [],
    ),
    "a certificate that ends in a week": (
        "EmcoClusterCertificateEnds",
        [_series("emco_rsync_cluster_certificate_end_timestamp_seconds", "604800x120", cluster="p+c")],
        "90m",
        [{"cluster": "p+c"}],
    ),
    "a certificate that ends in a year": (
        "EmcoClusterCertificateEnds",
        [_series("emco_rsync_cluster_certificate_end_timestamp_seconds", "31536000x120", cluster="p+c")],
        "90m",
        [],
    ),
    "a watch that is late on a cluster that answers": (
        "EmcoWatchLate",
        [
            _series("emco_rsync_cluster_watch_late_seconds", "0+60x60", cluster="p+c"),
            _series(AVAILABLE, "1x60", cluster="p+c"),
        ],
        "20m",
        [{"cluster": "p+c"}],
    ),
    "a watch that is late on a cluster that is away": (
        "EmcoWatchLate",
        [
            _series("emco_rsync_cluster_watch_late_seconds", "0+60x60", cluster="p+c"),
            _series(AVAILABLE, "0x60", cluster="p+c"),
        ],
        "20m",
        [],
    ),
    "a lease that was lost once": (
        "EmcoLeaseLost",
        [_series("emco_rsync_leases_lost_total", "0x10 1x60", job="rsync", instance="a")],
        "25m",
        [],
    ),
    "a lease that is lost again and again": (
        "EmcoLeaseLost",
        [_series("emco_rsync_leases_lost_total", "0x10 1x3 2x3 3x60", job="rsync", instance="a")],
        "30m",
        [{"job": "rsync", "instance": "a"}],
    ),
    "drift that could not be healed": (
        "EmcoDriftNotHealed",
        [_series("emco_rsync_drift_total", "0x5 1+1x60", job="rsync", what="not_healed")],
        "40m",
        [{"job": "rsync"}],
    ),
}


def test_alerts_fire_when_they_are_to_and_not_otherwise(tmp_path: Any) -> None:
    """All cases in one call; a failure names the alert and what was expected."""
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": [
                {
                    "eval_time": at,
                    "alertname": alert,
                    "exp_alerts": [
                        {"exp_labels": {"severity": ALERTS[alert]["labels"]["severity"]} | one} for one in fires
                    ],
                }
            ],
        }
        for name, (alert, series, at, fires) in CASES.items()
    ]
    # Their texts hold figures; whether they fire is asked here.
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in ALERTS.values()]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "emco", "rules": bare}]}))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": tests}))
    answer = promtool("test", "rules", "tests.yaml", folder=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
