"""The commands of emcoctl (emcoctl 1). Each imports what it needs only when it runs, so that help is quick."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import click

from emco_emcoctl import commandline, inspecting, login, plan
from emco_emcoctl.completion import anchors
from emco_emcoctl.errors import NoInput, UsageError
from emco_emcoctl.options import CALLS, COMPAT, CONFIG, FILES, FOLLOW, OUTPUT, STOP, UPSERT, WAIT, takes
from emco_emcoctl.session import PROGRAM, Session, session_of


@click.group(add_help_option=False, invoke_without_command=True)
@takes(CONFIG)
@click.pass_context
def root(context: click.Context, config: str) -> None:
    """Command line of EMCO, the edge multi-cluster orchestrator.

    An ANCHOR is the path of a resource below /v2, such as projects/shop; words are completed (emcoctl completion).
    """
    if context.invoked_subcommand is None:
        session_of(context).show(context.get_help())


@root.command(short_help="Create the resources of files, or call an action.", add_help_option=False)
@takes(*FILES, *CALLS, STOP, WAIT, *FOLLOW, UPSERT, OUTPUT, CONFIG, COMPAT)
@click.argument("anchor", nargs=-1, shell_complete=anchors)
@click.pass_obj
def apply(session: Session, /, **given: Any) -> None:
    """Create (POST) the resources of files, or call ANCHOR without a body."""
    _operate("apply", session=session, **given)


@root.command(short_help="Replace the resources of files.", add_help_option=False)
@takes(*FILES, *CALLS, STOP, WAIT, *FOLLOW, OUTPUT, CONFIG, COMPAT)
@click.argument("anchor", nargs=-1, shell_complete=anchors)
@click.pass_obj
def update(session: Session, /, **given: Any) -> None:
    """Replace (PUT) the resources of files."""
    _operate("update", session=session, **given)


@root.command(short_help="Read the resources of files, or one anchor.", add_help_option=False)
@takes(*FILES, *CALLS, OUTPUT, CONFIG, COMPAT)
@click.argument("anchor", nargs=-1, shell_complete=anchors)
@click.pass_obj
def get(session: Session, /, **given: Any) -> None:
    """Read the resources of files, or ANCHOR."""
    _operate("get", session=session, **given)


@root.command(short_help="Delete the resources of files, last first.", add_help_option=False)
@takes(*FILES, *CALLS, STOP, WAIT, *FOLLOW, OUTPUT, CONFIG, COMPAT)
@click.argument("anchor", nargs=-1, shell_complete=anchors)
@click.pass_obj
def delete(session: Session, /, **given: Any) -> None:
    """Delete the resources of files, last first, or ANCHOR."""
    _operate("delete", session=session, **given)


@root.command(short_help="Follow the status of an anchor.", add_help_option=False)
@takes(*FILES[:2], *CALLS, CONFIG, COMPAT)
@click.argument("anchor", required=False, shell_complete=anchors)
@click.argument("filters", nargs=-1, metavar="[NAME=VALUE]...")
@click.pass_obj
def watch(session: Session, /, **given: Any) -> None:
    """Follow the status of ANCHOR: a live table on a terminal, else one line of JSON per change.

    Ends when interrupted. Filters are format=summary|all, status=ready|deployed, and app=, cluster=PROVIDER+CLUSTER,
    resource=, each repeatable. -f and -v are accepted and ignored.
    """
    _watch(session, **given)


@root.command(short_help="Print the completion script of a shell.", add_help_option=False)
@takes(CONFIG)
@click.argument("shell", required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None, config: str) -> None:
    """Print the completion script for SHELL.

    Shells are bash, fish, powershell and zsh. For bash: source <(emcoctl completion bash)
    """
    from emco_emcoctl.completion import script

    text = script(shell, command=root, program=PROGRAM) if shell else None
    session_of(context).show(text or context.get_help())


@root.command("help", add_help_option=False)
@takes(CONFIG)
@click.argument("topic", nargs=-1)
@click.pass_context
def help_(context: click.Context, topic: tuple[str, ...], config: str) -> None:
    """Show the help of a command."""
    chosen: click.Command = root
    if topic:
        found = root.get_command(context, topic[0])
        if found is None and not session_of(context).compat:
            raise UsageError(f"there is no command '{topic[0]}'; see '{PROGRAM} --help'")
        chosen = found or root
    parent = context.parent if chosen is not root else None
    shown = click.Context(chosen, info_name=topic[0] if topic else PROGRAM, parent=parent)
    session_of(context).show(chosen.get_help(shown))


for command in (*inspecting.COMMANDS, plan.plan, *login.COMMANDS):
    root.add_command(command)


def _operate(
    command: str,
    *,
    session: Session,
    config: str,
    compat: bool,
    files: tuple[str, ...],
    values: tuple[str, ...],
    anchor: tuple[str, ...],
    token: tuple[str, ...],
    token_file: str,
    output: str | None,
    **rest: Any,
) -> None:
    from emco_emcoctl import running

    settings, report = session.prepared(config, form=output or "")
    order = running.Order(
        command=command,
        compat=session.compat,
        files=_files(session, files, flag="--filename"),
        values=tuple(name for name in _files(session, values, flag="--values") if name),
        anchor=anchor[0] if anchor else None,
        token=session.bearer(token, file=token_file, config=settings),
        **rest,
    )
    world = running.World(session.cwd, session.environ, session.stdin, session.sleep, session.clock)
    failures = running.execute(order, config=settings, report=report, world=world)
    session.code = running.exit_code(failures, compat=session.compat)


def _files(session: Session, given: tuple[str, ...], *, flag: str) -> tuple[str, ...]:
    if session.compat:
        first = commandline.first_of(given, flag=flag)
        return (first,) if first else ()
    return commandline.listed_files(given, cwd=session.cwd)


def _watch(
    session: Session,
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
    settings, report = session.prepared(config)
    for word in wanted.ignored:
        report.warning(f"the filter '{word}' is unknown and ignored")
    host, port = settings.status_endpoint(wanted.service)
    tls = settings.status_tls(wanted.service).client(wanted.service)

    import asyncio
    import uuid

    from emco_emcoctl.watch import Patience, Watcher, json_lines

    async def pause(seconds: float) -> None:
        # A blocking sleep would hold back an interrupt, so the real one is replaced by the event loop's.
        await asyncio.sleep(seconds) if session.sleep is time.sleep else session.sleep(seconds)

    seen = None
    if session.stdout.isatty() and not session.compat:
        from emco_emcoctl.live import WatchTable

        seen = WatchTable(anchor, session.stdout, colours="NO_COLOR" not in session.environ)
        if not any(word.startswith("format=") for word in filters):
            wanted = replace(wanted, output="ALL")
    watcher = Watcher(
        wanted,
        host=host,
        port=port,
        client_id=str(uuid.uuid4()),
        token=session.token(token, file=token_file),
        show=seen or json_lines(session.stdout),
        report=report,
        pause=pause,
        deregisters=not session.compat,
        patience=Patience(first=min(Patience.first, timeout), again=timeout),
        tls=tls,
    )
    with seen or nullcontext():
        asyncio.run(watcher.run())
