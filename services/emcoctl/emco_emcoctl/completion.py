"""The completion scripts, for the shells click knows (emcoctl 1), and what they ask for: words of anchors.

The words of collections come from the catalogue; names come from the services, if they answer at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "fish", "powershell", "zsh")
_SECONDS = 1.5
_STATUS_WORDS = frozenset({"deployment-intent-groups", "logical-clouds", "clusters"})
_PLAIN_IN_BASH = "COMPREPLY+=($value)\n        fi"
_OPEN_IN_BASH = "COMPREPLY+=($value)\n            [[ $value == */ ]] && compopt -o nospace\n        fi"


def script(shell: str, *, command: click.Command, program: str) -> str | None:
    """The script that completes ``program``, or ``None`` for a shell that is not known."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell) if shell in SHELLS else None
    if completer is None:
        return None
    made = completer(command, {}, program, f"_{program.upper()}_COMPLETE")
    return (made.source_template % made.source_vars()).replace(_PLAIN_IN_BASH, _OPEN_IN_BASH)


def anchors(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Anchors that begin with what is typed; a slash at the end says that more may follow."""
    from click.shell_completion import CompletionItem

    from emco_emcoctl import catalogue

    stem, slash, _ = incomplete.rpartition("/")
    segments = stem.split("/") if stem else []
    found: list[str] = [f"{kind.word}/" for kind in catalogue.below(segments)]
    if segments and (kind := catalogue.item_of(stem)) and kind.word in _STATUS_WORDS:
        found.append("status")
    if kind := _collection(segments):
        found += [f"{name}/" for name in _names(context, segments, kind=kind)]
    words = (f"{stem}{slash}{word}" for word in dict.fromkeys(found))
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _collection(segments: list[str]) -> Any:
    """The kind of which the next segment names one, or one part of the name."""
    from emco_emcoctl import catalogue

    for kind in catalogue.kinds():
        given = len(segments) - len(kind.path)
        if 0 <= given < kind.names and catalogue.matches(segments[: len(kind.path)], kind.path):
            return kind
    return None


def _names(context: click.Context, segments: list[str], *, kind: Any) -> list[str]:
    from emco_emcoctl.config import load
    from emco_emcoctl.errors import CtlError
    from emco_emcoctl.reading import Reader, joined, names_of
    from emco_emcoctl.requests import Sender
    from emco_emcoctl.session import TOKEN_VARIABLE

    named = str(context.params.get("config") or context.find_root().params.get("config") or "")
    depth = len(segments) - len(kind.path)
    given = tuple(segments[len(kind.path) :])
    try:
        settings = load(named, environ=os.environ, cwd=Path())
        token = os.environ.get(TOKEN_VARIABLE, "")
        with Sender(token=token, timeout=_SECONDS, environ=os.environ, cwd=Path()) as sender:
            listed = Reader(sender, settings).listed("/".join(segments[: len(kind.path)]))
    except CtlError:  # a key that is pressed is no place for messages
        return []
    found = [names_of(body) for body in listed if isinstance(body, dict)]
    return [joined(names[depth]) for names in found if len(names) > depth and names[:depth] == given]
