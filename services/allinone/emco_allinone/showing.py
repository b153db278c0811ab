"""What the demonstration shows: progress while it goes, and a table at the end. Pure but for ``Progress``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import click

Status = Mapping[str, Any]
_GREEN = {"Ready": "green", "NotReady": "yellow", "NotPresent": "red"}


class Progress:
    """One line that is rewritten on a terminal, and written anew only when it changes elsewhere."""

    def __init__(self, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._last = ""

    def show(self, text: str) -> None:
        if not text or text == self._last:
            return
        self._last = text
        if self._stream.isatty():
            click.echo(f"\r\033[K  {text}", nl=False, file=self._stream)
        else:
            click.echo(f"  … {text}", file=self._stream)

    def end(self, text: str) -> None:
        lead = "\r\033[K" if self._stream.isatty() else ""
        click.echo(f"{lead}  {click.style('✓', fg='green')} {text}", file=self._stream)


def summary(status: Status) -> str:
    """How far a deployment has come, in one line."""
    counts = status.get("readyCounts", {})
    total = sum(counts.values())
    if not total:
        return str(status.get("deployedStatus", ""))
    away = [c for app in status.get("apps", ()) for c in app["clusters"] if c.get("connectivity") == "Retrying"]
    text = f"{status.get('deployedStatus')}: {counts.get('Ready', 0)} of {total} objects ready"
    return text + (f", {len(away)} cluster(s) away" if away else "")


def table(status: Status, *, simulated: bool) -> str:
    """App × cluster × resource with health; pods and what workloads made are counted, not listed."""
    rows = [("APP", "CLUSTER", "KIND", "NAME", "HEALTH"), *_rows(status, simulated=simulated)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(_line(row, widths) for row in rows)


def _rows(status: Status, *, simulated: bool) -> Iterator[tuple[str, ...]]:
    mark = " (simulated)" if simulated else ""
    for app in status.get("apps", ()):
        for cluster in app["clusters"]:
            where = f"{cluster['clusterProvider']}+{cluster['cluster']}{mark}"
            pods: Counter[str] = Counter()
            for resource in cluster["resources"]:
                kind, health = resource["GVK"]["Kind"], resource.get("readyStatus", "Applied")
                if kind in ("Pod", "ReplicaSet"):
                    pods[health] += kind == "Pod"
                else:
                    yield app["name"], where, kind, resource["name"], health
            for health, count in sorted(pods.items()):
                if count:
                    yield app["name"], where, "Pod", f"{count} of them", health


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
    return f"  {cells}  {click.style(row[4], fg=_GREEN.get(row[4]))}"
