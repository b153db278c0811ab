"""The commands that look rather than send: status, tree, logs, export, validate, version. Each imports what it needs
only when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emco_emcoctl import commandline
from emco_emcoctl.completion import anchors
from emco_emcoctl.errors import InputError, NoInput
from emco_emcoctl.options import CALLS, CONFIG, FILES, FORMS, takes
from emco_emcoctl.session import Session

if TYPE_CHECKING:
    from emco_emcoctl.output import Reporter
    from emco_emcoctl.reading import Reader

FORM = click.option("-o", "--output", type=click.Choice(FORMS), help="Show the data alone, in this form.")
ANCHOR = click.argument("anchor", shell_complete=anchors)


@click.command(short_help="Tell how an anchor is, and what is wrong.", add_help_option=False)
@takes(*CALLS, FORM, CONFIG)
@ANCHOR
@click.pass_obj
def status(session: Session, /, *, anchor: str, output: str | None, **given: Any) -> None:
    """Tell how a deployment, a logical cloud or the networks of a cluster are, and what is wrong with them."""
    from emco_emcoctl import drawing, looking, views

    with reading(session, output, **given) as (reader, _):
        found = looking.status(reader, looking.object_of(anchor))
    if output:
        show(session, drawing.data(found, form=output))
        return
    colours = colours_of(session)
    shown = views.summary(found)
    for key, value in shown.items():
        text = drawing.printable(value)
        show(session, [f"{key:<9}" + (drawing.state(text, colours=colours) if key in ("deployed", "ready") else text)])
    if troubles := views.troubles(found):
        head = ("app", "cluster", "object", "state", "reason")
        show(session, ["", *drawing.table(head, troubles, colours=colours)])


@click.command(short_help="Draw what an anchor consists of, with states.", add_help_option=False)
@takes(*CALLS, FORM, CONFIG)
@ANCHOR
@click.pass_obj
def tree(session: Session, /, *, anchor: str, output: str | None, **given: Any) -> None:
    """Draw what ANCHOR consists of, with state and reasons.

    ANCHOR is a project, a composite application, a deployment intent group, a logical cloud or a cluster.
    """
    from dataclasses import asdict

    from emco_emcoctl import drawing, looking

    with reading(session, output, **given) as (reader, report):
        found = looking.tree(reader, looking.object_of(anchor), warn=report.warning)
    lines = drawing.data(asdict(found), form=output) if output else drawing.tree(found, colours=colours_of(session))
    show(session, lines)


@click.command(short_help="Tell what happened to a deployment.", add_help_option=False)
@takes(*CALLS, FORM, CONFIG)
@ANCHOR
@click.pass_obj
def logs(session: Session, /, *, anchor: str, output: str | None, **given: Any) -> None:
    """Tell what happened to a deployment intent group or a logical cloud, and what is wrong with it now."""
    from dataclasses import asdict

    from emco_emcoctl import drawing, looking

    with reading(session, output, **given) as (reader, report):
        events, troubles = looking.logs(reader, looking.object_of(anchor), warn=report.warning)
    if output:
        now = [dict(zip(("app", "cluster", "object", "state", "reason"), one, strict=True)) for one in troubles]
        told = {"events": [asdict(event) for event in events], "now": now}
        show(session, drawing.data(told["events"] if output == "table" else told, form=output))
        return
    colours = colours_of(session)
    rows = [(one.time, one.what, one.revision, one.instance, one.reason) for one in events]
    show(session, drawing.table(("time", "what", "revision", "instance", "reason"), rows, colours=colours))
    if troubles:
        head = ("app", "cluster", "object", "state", "reason")
        show(session, ["", "now:", *drawing.table(head, troubles, colours=colours)])


@click.command(short_help="Write everything, or a part of it, as files.", add_help_option=False)
@takes(*CALLS, CONFIG)
@click.argument("anchor", required=False, shell_complete=anchors)
@click.option("--all", "everything", is_flag=True, help="Export everything instead of one ANCHOR.")
@click.option("-d", "--directory", required=True, metavar="FOLDER", help="Folder for the files; new or empty.")
@click.pass_obj
def export(session: Session, /, *, anchor: str | None, everything: bool, directory: str, **given: Any) -> None:
    """Write a project, a cluster provider or everything as files that can be applied elsewhere.

    Uploaded charts and profiles are fetched. Kubeconfigs and other secrets become placeholders, which have to be filled
    in before the files are applied.
    """
    from emco_emcoctl import looking
    from emco_emcoctl.exporting import Exporter

    if bool(anchor) == everything:
        raise NoInput("name what to export, as in projects/P, or --all")
    folder = session.cwd / directory
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"the folder {directory} is not empty; name a new one")
    with reading(session, None, **given) as (reader, report):
        found = Exporter(reader).export(looking.object_of(anchor) if anchor else "")
    _write(session, folder, found.files, found.uploads)
    for note in found.notes:
        report.warning(note)


@click.command(short_help="Check resource files without a server.", add_help_option=False)
@takes(*FILES, CONFIG)
@click.pass_obj
def validate(session: Session, /, *, files: tuple[str, ...], **given: Any) -> None:
    """Check resource files without a server.

    Anchors, required fields, known schemas, templates, and that what is uploaded is there.
    """
    from emco_emcoctl import drawing, inputs, validating

    if not files:
        raise NoInput("name a file with -f")
    documents = inputs.read(
        commandline.listed_files(files, cwd=session.cwd),
        values=[name for name in commandline.listed_files(given["values"], cwd=session.cwd) if name],
        source=inputs.Source(session.cwd, session.stdin),
        missing_as_text=given["missing_as_text"],
    )
    colours, wrong, total = colours_of(session), 0, 0
    for finding in validating.findings(documents, cwd=session.cwd):
        total += 1
        wrong += bool(finding.problems)
        mark = drawing.painted(*((drawing.RED, "✗") if finding.problems else (drawing.GREEN, "✓")), colours=colours)
        note = "  (anchor only: its schema is not known here)" if finding.unchecked else ""
        show(session, [f"{mark} {finding.where}  {drawing.printable(finding.what)}{note}"])
        show(session, [f"    {drawing.printable(problem)}" for problem in finding.problems])
    show(session, [f"{total} documents, {wrong} with problems"])
    session.code = InputError.exit_code if wrong else session.code


@click.command(short_help="Tell the version of emcoctl and the services.", add_help_option=False)
@takes(*CALLS, FORM, CONFIG)
@click.option("--client", "client_only", is_flag=True, help="Ask no service.")
@click.pass_obj
def version(session: Session, /, *, output: str | None, client_only: bool, **given: Any) -> None:
    """Tell the version of emcoctl and of the services that can be reached."""
    from emco_emcoctl import drawing, looking

    found = [{"component": "emcoctl", "version": looking.own_version(), "at": ""}]
    if not client_only:
        with reading(session, output or "table", **given) as (reader, _):
            found += looking.versions(reader)
    if output:
        show(session, drawing.data(found, form=output))
        return
    rows = [(one["component"], one["version"], one["at"]) for one in found]
    show(session, drawing.table(("component", "version", "at"), rows, colours=colours_of(session)))


COMMANDS = (status, tree, logs, export, validate, version)


@contextmanager
def reading(
    session: Session,
    output: str | None,
    *,
    config: str,
    token: tuple[str, ...],
    token_file: str,
    timeout: float,
) -> Iterator[tuple[Reader, Reporter]]:
    from emco_emcoctl.reading import Reader
    from emco_emcoctl.requests import Sender

    settings, report = session.prepared(config, form=output or "table")
    bearer = session.bearer(token, file=token_file, config=settings)
    with Sender(token=bearer, timeout=timeout, environ=session.environ, cwd=session.cwd) as sender:
        yield Reader(sender, settings), report


def colours_of(session: Session) -> bool:
    from emco_emcoctl.output import colours

    return colours(session.stdout, session.environ)


def show(session: Session, lines: Any) -> None:
    for line in lines:
        session.show(line)


def _write(session: Session, folder: Path, files: dict[str, list[Any]], uploads: dict[str, bytes]) -> None:
    from emco_emcoctl.yamlwriting import written

    made = {name: written(*documents).encode() for name, documents in files.items()} | uploads
    try:
        for name, content in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written: {error.strerror}") from error
    for name, documents in files.items():
        show(session, [f"{folder / name}  {len(documents)} documents"])
    if uploads:
        show(session, [f"{folder / 'files'}  {len(uploads)} files"])
