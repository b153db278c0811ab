"""One run: everything is read, planned and checked first, then sent in order until done or told to stop (emcoctl 7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from emco_emcoctl import errors, inputs, planning, uploads
from emco_emcoctl.config import Config
from emco_emcoctl.errors import ConfigError, CtlError, InputError, NoInput, TransportError
from emco_emcoctl.following import Follower
from emco_emcoctl.output import Reporter
from emco_emcoctl.planning import Call, Planned
from emco_emcoctl.reading import Reader
from emco_emcoctl.requests import Sender
from emco_emcoctl.resources import unknown_fields
from emco_emcoctl.wait import ACCEPTED, Waiter

CONFLICT = 409


@dataclass(frozen=True)
class Order:
    """What the command line asked for. ``wait`` and the time-outs are in seconds."""

    command: str
    files: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    anchor: str | None = None
    token: str = ""
    stop: bool = False
    wait: int = 0
    timeout: float = 300.0
    strict: bool = False
    missing_as_text: bool = False
    compat: bool = False
    upsert: bool = False
    follow: bool = False
    follow_timeout: float = 600.0


@dataclass(frozen=True)
class World:
    """What lies outside: folders, environment, standard input and the clock."""

    cwd: Path
    environ: Mapping[str, str]
    stdin: BinaryIO
    sleep: Callable[[float], None]
    clock: Callable[[], float] = time.monotonic


def execute(order: Order, *, config: Config, report: Reporter, world: World) -> list[CtlError | int]:
    """Carries out the order and returns what failed: errors, and status codes outside 200-299.

    Raises ``CtlError`` if nothing could be sent at all.
    """
    planned = _planned(order, report=report, world=world)
    if not order.compat:
        planned = _checked_ahead(planned, order=order, config=config, world=world)
        refused: list[CtlError | int] = [one for one in planned if isinstance(one, InputError)]
        if refused and order.command != "get":
            for error in refused:
                report.problem(str(error))
            return refused
    with Sender(
        token=order.token,
        timeout=order.timeout,
        environ=world.environ,
        cwd=world.cwd,
        compat=order.compat,
        sending=lambda anchor, sent, total: report.uploading(anchor, sent=sent, total=total),
    ) as sender:
        failures = _sent(planned, order=order, config=config, sender=sender, report=report, world=world)
    for problem in config.problems.values():
        failures.append(ConfigError(f"the configuration {config.path}: {problem}"))
        report.problem(str(failures[-1]))
    report.finished()
    return failures


def exit_code(failures: list[CtlError | int], *, compat: bool = False) -> int:
    """That of the first failure; with ``compat`` that of the original, which ignores what servers answer."""
    first = failures[0] if failures else None
    if first is None:
        return errors.OK
    if isinstance(first, int):
        return errors.OK if compat else errors.API_FAILED
    return first.compat_code if compat else first.exit_code


def _planned(order: Order, *, report: Reporter, world: World) -> list[Planned]:
    if order.files:
        source = inputs.Source(world.cwd, world.stdin, "" if order.compat else inputs.STDIN)
        documents = inputs.read(
            order.files,
            values=order.values,
            source=source,
            missing_as_text=order.missing_as_text or order.compat,
            compat=order.compat,
        )
        for sentence in unknown_fields(documents):
            if order.strict:
                raise InputError(sentence)
            report.warning(sentence)
        return planning.plan(order.command, documents, compat=order.compat, upsert=order.upsert)
    if order.anchor is None or order.command == "update":
        raise NoInput(f"name a file with -f{' or an anchor' if order.command != 'update' else ''}")
    return [planning.plan_anchor(order.command, order.anchor, compat=order.compat)]


def _checked_ahead(planned: list[Planned], *, order: Order, config: Config, world: World) -> list[Planned]:
    for one in planned:
        if isinstance(one, Call):
            config.endpoint(one.address.service)
    if order.command not in ("apply", "update"):
        return planned
    return [_checked(one, cwd=world.cwd) for one in planned]


def _checked(one: Planned, *, cwd: Path) -> Planned:
    if isinstance(one, InputError):
        return one
    try:
        uploads.check(one, cwd=cwd)
    except InputError as error:
        return error
    return one


def _sent(
    planned: list[Planned],
    *,
    order: Order,
    config: Config,
    sender: Sender,
    report: Reporter,
    world: World,
) -> list[CtlError | int]:
    failures: list[CtlError | int] = []
    waiter = Waiter(order.wait, sleep=world.sleep, report=report)
    reader = Reader(sender, config)
    follower = Follower(reader, report, world.sleep, world.clock, order.follow_timeout)
    for one in planned:
        try:
            if isinstance(one, InputError):
                raise one
            endpoint = config.endpoint(one.address.service)
            answer = sender.send(one, endpoint=endpoint)
            if answer.status == CONFLICT and one.instead:
                one = one.instead
                answer = sender.send(one, endpoint=endpoint)
        except (TransportError, InputError) as error:
            failures.append(error)
            report.problem(str(error))
            if order.command != "get":
                break
            continue
        report.answered(one, endpoint.url, answer)
        waiter.after(one, answer)
        if order.follow and answer.status == ACCEPTED:
            try:
                follower.after(one)
            except CtlError as error:
                failures.append(error)
                report.problem(str(error))
                break
        if not answer.ok:
            failures.append(answer.status)
            if order.stop:
                break
    return failures
