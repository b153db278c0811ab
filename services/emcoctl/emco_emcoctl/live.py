"""What moves on a terminal: bars for what takes time, and the table of a watch. The one place that knows rich, which is
imported only when something moves."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from emco_emcoctl.drawing import printable, table

_NAME = 40
"""Characters of an anchor beside a bar; its end tells most."""

_NOT_READY = frozenset({"NOT_READY", "NOT_DEPLOYED"})
_COLOURS = {"READY": "green", "DEPLOYED": "green", "STATUS_ERROR": "red"}


def _console(stream: TextIO, *, colours: bool) -> Console:
    return Console(file=stream, force_terminal=True, no_color=not colours, highlight=False)


class Bars:
    """Bars by name; each appears with its first news and goes when it is done."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(30), TextColumn("{task.fields[note]}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=_console(stream, colours=colours))
        self._progress.live.transient = True
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, *, done: int, total: int, note: str) -> None:
        told: dict[str, Any] = {"completed": done, "total": total or None, "note": printable(note)}
        if name in self._tasks:
            self._progress.update(self._tasks[name], **told)
            return
        shown = printable(name)
        short = shown if len(shown) <= _NAME else "…" + shown[1 - _NAME :]
        self._tasks[name] = self._progress.add_task(short, **told)
        self._progress.start()

    def close(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            self._progress.remove_task(task)
        if not self._tasks:
            self._progress.stop()


class WatchTable:
    """The newest notification of a watch, in place of the one before."""

    def __init__(self, anchor: str, stream: TextIO, *, colours: bool) -> None:
        self._anchor = anchor
        self._live = Live(console=_console(stream, colours=colours), auto_refresh=False)
        self._rows: dict[tuple[str, str, str], str] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, notification: Mapping[str, Any]) -> None:
        """Shows a notification in its JSON form."""
        whole = str(notification.get("statusValue", "STATUS_ERROR"))
        self._rows = rows(notification)
        text = Text(f"{printable(self._anchor)}  ")
        text.append(whole, style=_style(whole))
        for index, line in enumerate(table(("app", "cluster", "object", "status"), _cells(self._rows))):
            if self._rows:
                text.append("\n" + line, style="dim" if not index else _style(line.rpartition("  ")[2]))
        self._live.update(text, refresh=True)


def rows(notification: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    """App, cluster and object to status; the parts that are told of themselves only where nothing is below them."""
    found: dict[tuple[str, str, str], str] = {}
    for detail in notification.get("details", ()):
        app = detail.get("app", {})
        clusters = app.get("clusters", ()) if app else [detail.get("cluster", {})]
        if app and not clusters:
            found[app.get("app", ""), "", ""] = _status(app)
        for cluster in clusters:
            name = f"{cluster.get('clusterProvider', '')}+{cluster.get('cluster', '')}"
            if not cluster.get("resources"):
                found[app.get("app", ""), name, ""] = _status(cluster)
            for one in cluster.get("resources", ()):
                what = f"{one.get('gvk', {}).get('kind', 'object')} {one.get('name', '')}"
                found[app.get("app", ""), name, what] = _status(one)
    return found


def _status(part: Mapping[str, Any]) -> str:
    return str(part.get("statusValue", "STATUS_ERROR"))


def _cells(found: Mapping[tuple[str, str, str], str]) -> list[tuple[str, ...]]:
    return [(*where, status) for where, status in sorted(found.items())]


def _style(status: str) -> str:
    return "yellow" if status in _NOT_READY else _COLOURS.get(status, "")
