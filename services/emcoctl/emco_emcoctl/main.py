"""The commands and flags of emcoctl (emcoctl 1). ``cli`` is the program, ``run`` the same inside a process."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO

import click

from emco_emcoctl import commandline, errors
from emco_emcoctl.errors import CtlError, NoInput, UsageError

if TYPE_CHECKING:
    from emco_emcoctl.config import Config
    from emco_emcoctl.output import Reporter

PROGRAM = "emcoctl"
TOKEN_VARIABLE = "EMCO_TOKEN"
_BROKEN_PIPE = 141


@dataclass
class _Run:
    """What one run was given, and what it ends with."""

    stdout: TextIO
    stderr: TextIO
    stdin: BinaryIO
    environ: Mapping[str, str]
    cwd: Path
    sleep: Callable[[float], None]
    compat: bool = False
    code: int = errors.OK


def run(
    argv: Sequence[str],
    *,
    stdout: TextIO,
    stderr: TextIO,
    stdin: BinaryIO | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Carries out one command line and returns its exit code (see ``errors``); a user's mistake raises nothing.

    Relative paths are meant from ``cwd``, by default the working directory. Blocks until the last answer is there.
    """
    state = _Run(
        stdout=stdout,
        stderr=stderr,
        stdin=io.BytesIO() if stdin is None else stdin,
        environ=os.environ if environ is None else environ,
        cwd=Path() if cwd is None else cwd,
        sleep=sleep,
        compat="--compat" in argv,
    )
    try:
        words = commandline.arranged(list(argv), commands=root.commands)
        root.main(words, prog_name=PROGRAM, standalone_mode=False, obj=state)
    except CtlError as error:
        return _failed(state, error)
    except click.ClickException as error:
        return _failed(state, UsageError(f"{error.format_message().rstrip('.')}; see '{PROGRAM} --help'"))
    except (KeyboardInterrupt, click.Abort):
        print(f"{PROGRAM}: interrupted", file=stderr)
        return errors.INTERRUPTED
    return state.code


def cli() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        root.main(prog_name=PROGRAM)
    try:
        code = run(sys.argv[1:], stdout=sys.stdout, stderr=sys.stderr, stdin=sys.stdin.buffer)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _BROKEN_PIPE
    sys.exit(code)


def _failed(state: _Run, error: CtlError) -> int:
    print(f"{PROGRAM}: {error}", file=state.stderr, flush=True)
    return error.compat_code if state.compat else error.exit_code


def _show_help(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        print(context.get_help(), file=context.find_object(_Run).stdout)  # type: ignore[union-attr]
        context.exit()


def _help_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-h", "--help", is_flag=True, expose_value=False, is_eager=True, callback=_show_help, help="Show this and exit."
    )(command)


_PATH = click.Path(readable=False)
_CONFIG = click.option(
    "--config",
    default="",
    type=_PATH,
    metavar="FILE",
    help="Configuration file; by default the first $HOME/.emco.<type>.",
)
_COMPAT = click.option("--compat", is_flag=True, help="End with the exit codes of the original client.")
_STOP = click.option("-s", "--stop", is_flag=True, help="Stop at the first answer that is not 2xx.")
_WAIT = click.option(
    "-w",
    "--waitTime",
    "wait",
    type=click.IntRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long after each call that is accepted (202).",
)
_FILES = (
    click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        type=_PATH,
        metavar="FILE",
        help="Resource file, - for standard input; repeatable.",
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
_CALLS = (
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


def _with(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return _help_flag(command)

    return decorate


@click.group(add_help_option=False, invoke_without_command=True)
@_with(_CONFIG)
@click.pass_context
def root(context: click.Context, config: str) -> None:
    """Command line of EMCO, the edge multi-cluster orchestrator."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=context.find_object(_Run).stdout)  # type: ignore[union-attr]


@root.command(add_help_option=False)
@_with(*_FILES, *_CALLS, _STOP, _WAIT, _CONFIG, _COMPAT)
@click.argument("anchor", nargs=-1)
@click.pass_obj
def apply(state: _Run, /, **given: Any) -> None:
    """Create (POST) the resources of files, or call ANCHOR without a body."""
    _operate("apply", state=state, **given)


@root.command(add_help_option=False)
@_with(*_FILES, *_CALLS, _STOP, _WAIT, _CONFIG, _COMPAT)
@click.argument("anchor", nargs=-1)
@click.pass_obj
def update(state: _Run, /, **given: Any) -> None:
    """Replace (PUT) the resources of files."""
    _operate("update", state=state, **given)


@root.command(add_help_option=False)
@_with(*_FILES, *_CALLS, _CONFIG, _COMPAT)
@click.argument("anchor", nargs=-1)
@click.pass_obj
def get(state: _Run, /, **given: Any) -> None:
    """Read the resources of files, or ANCHOR."""
    _operate("get", state=state, **given)


@root.command(add_help_option=False)
@_with(*_FILES, *_CALLS, _STOP, _WAIT, _CONFIG, _COMPAT)
@click.argument("anchor", nargs=-1)
@click.pass_obj
def delete(state: _Run, /, **given: Any) -> None:
    """Delete the resources of files, last first, or ANCHOR."""
    _operate("delete", state=state, **given)


@root.command(add_help_option=False)
@_with(*_FILES[:2], *_CALLS, _CONFIG, _COMPAT)
@click.argument("anchor", required=False)
@click.argument("filters", nargs=-1, metavar="[NAME=VALUE]...")
@click.pass_obj
def watch(state: _Run, /, **given: Any) -> None:
    """Follow the status of ANCHOR, one line of JSON per change.

    Ends when interrupted. Filters are format=summary|all, status=ready|deployed, and app=, cluster=PROVIDER+CLUSTER,
    resource=, each repeatable. -f and -v are accepted and ignored.
    """
    _watch(state, **given)


@root.command(add_help_option=False)
@_with(_CONFIG)
@click.argument("shell", required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None, config: str) -> None:
    """Print the completion script for SHELL.

    Shells are bash, fish, powershell and zsh. For bash: source <(emcoctl completion bash)
    """
    from emco_emcoctl.completion import script

    text = script(shell, command=root, program=PROGRAM) if shell else None
    print(text or context.get_help(), file=context.find_object(_Run).stdout)  # type: ignore[union-attr]


@root.command("help", add_help_option=False)
@_with(_CONFIG)
@click.argument("topic", nargs=-1)
@click.pass_context
def help_(context: click.Context, topic: tuple[str, ...], config: str) -> None:
    """Show the help of a command."""
    command: click.Command = root
    if topic:
        found = root.get_command(context, topic[0])
        if found is None:
            raise UsageError(f"there is no command '{topic[0]}'; see '{PROGRAM} --help'")
        command = found
    parent = context.parent if command is not root else None
    shown = click.Context(command, info_name=topic[0] if topic else PROGRAM, parent=parent)
    print(command.get_help(shown), file=context.find_object(_Run).stdout)  # type: ignore[union-attr]


def _operate(
    command: str,
    *,
    state: _Run,
    config: str,
    compat: bool,
    files: tuple[str, ...],
    values: tuple[str, ...],
    anchor: tuple[str, ...],
    token: tuple[str, ...],
    token_file: str,
    **rest: Any,
) -> None:
    from emco_emcoctl import running

    settings, report = _prepared(state, config=config)
    order = running.Order(
        command=command,
        files=commandline.listed_files(files, cwd=state.cwd),
        values=tuple(name for name in commandline.listed_files(values, cwd=state.cwd) if name),
        anchor=anchor[0] if anchor else None,
        token=_token(token, file=token_file, state=state),
        **rest,
    )
    world = running.World(state.cwd, state.environ, state.stdin, state.sleep)
    failures = running.execute(order, config=settings, report=report, world=world)
    state.code = running.exit_code(failures, compat=state.compat)


def _watch(
    state: _Run,
    *,
    config: str,
    anchor: str | None,
    filters: tuple[str, ...],
    token: tuple[str, ...],
    token_file: str,
    timeout: float,
    **_: Any,
) -> None:
    from emco_emcoctl.registration import registration

    if not anchor:
        raise NoInput("name the status to watch, as in projects/P/logical-clouds/L/status")
    wanted = registration(anchor, filters)
    settings, report = _prepared(state, config=config)
    for word in wanted.ignored:
        report.warning(f"the filter '{word}' is unknown and ignored")
    host, port = settings.status_endpoint(wanted.service)

    import asyncio
    import uuid

    from emco_emcoctl.watch import Patience, Watcher

    async def pause(seconds: float) -> None:
        # A blocking sleep would hold back an interrupt, so the real one is replaced by the event loop's.
        await asyncio.sleep(seconds) if state.sleep is time.sleep else state.sleep(seconds)

    watcher = Watcher(
        wanted,
        host=host,
        port=port,
        client_id=str(uuid.uuid4()),
        token=_token(token, file=token_file, state=state),
        stdout=state.stdout,
        report=report,
        pause=pause,
        patience=Patience(first=min(Patience.first, timeout), again=timeout),
    )
    asyncio.run(watcher.run())


def _prepared(state: _Run, *, config: str) -> tuple[Config, Reporter]:
    from emco_emcoctl.config import load
    from emco_emcoctl.output import reporter

    settings = load(config, environ=state.environ, cwd=state.cwd)
    state.compat = state.compat or settings.compat
    report = reporter(stdout=state.stdout, stderr=state.stderr, environ=state.environ)
    report.configured(settings.path)
    return settings, report


def _token(given: tuple[str, ...], *, file: str, state: _Run) -> str:
    if token := commandline.first_of(given, flag="--token"):
        return token
    if not file:
        return state.environ.get(TOKEN_VARIABLE, "")
    try:
        return (state.cwd / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoInput(f"the token file {file} cannot be read: {error}") from error
