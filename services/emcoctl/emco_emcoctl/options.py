"""The flags of emcoctl, each declared once (emcoctl 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from emco_emcoctl.errors import UsageError
from emco_emcoctl.session import TOKEN_VARIABLE, session_of


def _show_help(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        session_of(context).show(context.get_help())
        context.exit()


def _help_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-h", "--help", is_flag=True, expose_value=False, is_eager=True, callback=_show_help, help="Show this and exit."
    )(command)


def _not_negative(context: click.Context, parameter: click.Parameter, seconds: int) -> int:
    if seconds < 0 and not session_of(context).compat:
        raise UsageError(f"{seconds} is not a number of seconds to wait; it must be 0 or more")
    return max(seconds, 0)


_PATH = click.Path(readable=False)
CONFIG = click.option(
    "--config",
    default="",
    type=_PATH,
    metavar="FILE",
    help="Configuration file; by default the first $HOME/.emco.<type>.",
)
COMPAT = click.option("--compat", is_flag=True, help="Send what the original client sends, and end with its codes.")
STOP = click.option("-s", "--stop", is_flag=True, help="Stop at the first answer that is not 2xx.")
WAIT = click.option(
    "-w",
    "--waitTime",
    "wait",
    type=int,
    callback=_not_negative,
    default=0,
    metavar="SECONDS",
    help="Wait so long after each call that is accepted (202).",
)
FORMS = ("json", "yaml", "table")
OUTPUT = click.option("-o", "--output", type=click.Choice(FORMS), help="Show the data alone, in this form.")
FOLLOW = (
    click.option(
        "--wait",
        "follow",
        is_flag=True,
        help="After each accepted action follow the status until it is done or failed.",
    ),
    click.option(
        "--wait-timeout",
        "follow_timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=600.0,
        show_default=True,
        metavar="SECONDS",
        help="Longest time to follow one status.",
    ),
)
UPSERT = click.option("--upsert", is_flag=True, help="Replace what exists already.")
FILES = (
    click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        type=_PATH,
        metavar="FILE",
        help="Resource file or a folder of them, - for standard input; repeatable.",
    ),
    click.option(
        "-v",
        "--values",
        multiple=True,
        type=_PATH,
        metavar="FILE",
        help="Values: the resource files are Go templates; repeatable.",
    ),
    click.option(
        "--allow-missing", "missing_as_text", is_flag=True, help="Print a missing value as <no value>, as the original."
    ),
    click.option("--strict", is_flag=True, help="Refuse documents with unknown fields."),
)
CALLS = (
    click.option("-t", "--token", multiple=True, help=f"Bearer token; better put it into ${TOKEN_VARIABLE}."),
    click.option("--token-file", default="", type=_PATH, metavar="FILE", help="File that holds the bearer token."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="Longest time to wait for an answer.",
    ),
)


def takes(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command these options, and the flag for its help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return _help_flag(command)

    return decorate
