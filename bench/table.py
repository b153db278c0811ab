"""How figures are shown: each beside its reference, with the ratio and what is aimed at."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Figure:
    """``ours`` and ``reference`` are texts with their units, ``ratio`` what the aim speaks of."""

    what: str
    ours: str
    reference: str = "–"
    ratio: float | None = None
    aim: str = ""
    reached: bool | None = None


def show(title: str, figures: Sequence[Figure], *, remarks: Sequence[str] = ()) -> None:
    """One table on stdout."""
    head = ("", "ours", "reference", "ratio", "aim", "")
    rows = [
        (
            figure.what,
            figure.ours,
            figure.reference,
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.aim,
            {None: "", True: "reached", False: "MISSED"}[figure.reached],
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = (
            text.ljust(width) if not index else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join(cells).rstrip())
    load = os.getloadavg()[0]
    print(
        f"  {os.cpu_count()} processors for everything, Python {platform.python_version()}, load {load:.1f} at the end"
    )
    for remark in remarks:
        print(f"  {remark}")


def middle(values: Sequence[float]) -> float:
    return median(values)


def spread(values: Sequence[float]) -> str:
    """Smallest and largest, which tell how much the median is worth."""
    return f"{min(values):.2f}–{max(values):.2f}"


def percentile(values: Sequence[float], percent: int) -> float:
    """By linear interpolation; of one value, that value."""
    if len(values) < 2:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]
