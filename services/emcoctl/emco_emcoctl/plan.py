"""The command that tells what an instantiation or an update would change. What it needs is imported when it runs."""

from __future__ import annotations

from typing import Any

import click

from emco_emcoctl.errors import CtlError, InputError
from emco_emcoctl.inspecting import ANCHOR, FORM, colours_of, reading, show
from emco_emcoctl.options import CALLS, CONFIG, takes
from emco_emcoctl.session import Session

_GROUPS = "deployment-intent-groups"
_VERBS = ("instantiate", "update")
_NO_ROUTE = (404, 405)


class NoPlanError(CtlError):
    """The server is one that cannot tell beforehand."""

    exit_code = 3


@click.command(short_help="Tell what a deployment would change; change nothing.", add_help_option=False)
@takes(
    *CALLS,
    click.option("--for", "verb", type=click.Choice(_VERBS), help="What is planned; by default what is possible now."),
    click.option("--all", "everything", is_flag=True, help="Show what stays as it is as well."),
    FORM,
    CONFIG,
)
@ANCHOR
@click.pass_obj
def plan(
    session: Session, /, *, anchor: str, verb: str | None, everything: bool, output: str | None, **given: Any
) -> None:
    """Tell what an instantiation or update of ANCHOR, a deployment intent group, would change. Nothing is changed.

    + is created, ~ changed, ! deleted and made anew, - deleted, > a hook that runs, x would be refused, ? not known.
    """
    from functools import partial

    from emco_emcoctl import drawing, planview

    group, asked = _asked(anchor, verb)
    with reading(session, output, **given) as (reader, report):
        found = _plan(reader, f"{group}/plan" + (f"?for={asked}" if asked else ""))
    if output:
        show(session, drawing.data(list(planview.rows(found)) if output == "table" else found, form=output))
        return
    colours = colours_of(session)
    shown = planview.tree(found, name=group.rpartition("/")[2], everything=everything)
    show(session, drawing.tree(shown, colours=colours, line=partial(planview.line, colours=colours)))
    for note in found.get("notes") or ():
        report.warning(drawing.printable(str(note)))


def _asked(anchor: str, verb: str | None) -> tuple[str, str]:
    """The group, and what is planned for it (``""``: what is possible). Raises ``InputError``."""
    from emco_emcoctl import catalogue
    from emco_emcoctl.looking import object_of

    group = object_of(anchor)
    stem, _, last = group.rpartition("/")
    if last in _VERBS and not verb:
        group, verb = stem, last
    kind = catalogue.item_of(group)
    if kind is None or kind.word != _GROUPS:
        raise InputError(
            f"'{anchor}' has no plan; name a deployment intent group, as in projects/P/composite-apps/A/V/{_GROUPS}/D"
        )
    return group, verb or ""


def _plan(reader: Any, anchor: str) -> Any:
    from emco_emcoctl.reading import RefusedReadError

    try:
        return reader.json(anchor, method="POST")
    except RefusedReadError as error:
        nobody = "page not found" in str(error) or "no reason given" in str(error)
        if error.status in _NO_ROUTE and (error.status != _NO_ROUTE[0] or nobody):
            raise NoPlanError("this server has no plan: it is an original EMCO, or older than plans") from error
        raise
