"""Asks clusters what a deployment would change on them: dry runs and reads, nothing else.

A cluster that is away is not waited for; what would become of its objects is unknown then, and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import structlog

from emco_common.appcontext import keys
from emco_common.appcontext.states import Connectivity
from emco_common.contextbus.api import ContextBus, Entry
from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeApi, KubeError, Ref, errors
from emco_rsync.apply.ground import read_ahead
from emco_rsync.apply.immutable import frozen_fields
from emco_rsync.apply.owned import carries
from emco_rsync.apply.replacing import try_out
from emco_rsync.apply.sending import Sent, settle, without_label
from emco_rsync.apply.site import ApplySettings
from emco_rsync.concurrent import gradually
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.events.loading import imagine
from emco_rsync.foresight import verdicts
from emco_rsync.foresight.verdicts import Action, Foreseen, Ground
from emco_rsync.plan.deployment import DELETE_EVENTS, Deployment, Leftovers
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import NAMESPACE_KIND, ClusterPlan, Item, Piece, Plan
from emco_rsync.reach.classify import describe
from emco_rsync.reach.lanes import READING
from emco_rsync.reach.links import Link, Links
from emco_rsync.reach.ways import Identity

T = TypeVar("T")
_log = structlog.get_logger()
CLUSTERS_AT_ONCE = 64
OBJECTS_AT_ONCE = 8
"""Of an app on a cluster."""
PATIENCE = 60.0
"""Seconds that an app on a cluster may take; one that is known to be away takes none."""
_NAMESPACE = Kind("v1", NAMESPACE_KIND)
_FOLLOWS = "it follows a repository: what it would do with its objects is not known here"
_OTHERS_DEFINITION = "it is there, and others may depend on it"


@dataclass(frozen=True, slots=True)
class Place:
    """What would become of an app on a cluster. ``reason``: why nothing, or not all, is known."""

    app: str
    cluster: str
    objects: tuple[Foreseen, ...] = ()
    reason: str = ""
    leaves: bool = False
    """Is it about what goes from there?"""


@dataclass(frozen=True, slots=True)
class _Task:
    """An app on a cluster: what is brought there, what is run, or what leaves."""

    plan: Plan
    cluster: ClusterPlan
    ground: Ground
    brings: tuple[Item, ...] = ()
    leaves: tuple[Item, ...] = ()
    leaving: bool = False
    hooks: tuple[Item, ...] = ()
    doubtful: frozenset[Ref] = field(default=frozenset(), repr=False)


class Foresight:
    """One per process. ``patience`` in seconds."""

    def __init__(self, bus: ContextBus, links: Links, *, settings: ApplySettings, patience: float = PATIENCE) -> None:
        self._bus = bus
        self._links = links
        self._settings = settings
        self._patience = patience

    async def of(self, entries: Iterable[Entry], *, replaces: str = "") -> AsyncGenerator[Place, None]:
        """Place by place, as it is known, what the context of these entries would change. It need not be on the bus;
        ``replaces`` is, the context that would be updated. ``ContextNotFound``, ``MalformedContext``."""
        deployment = await imagine(self._bus, list(entries), replaces)
        leftovers = await asyncio.to_thread(deployment.leftovers) if replaces else Leftovers()
        for problem in leftovers.problems:
            yield Place("", "", reason=problem)
        found: asyncio.Queue[Place | None] = asyncio.Queue()

        async def one(task: _Task, _held_up: Callable[[], None]) -> None:
            found.put_nowait(replace(await self._place(task), leaves=task.leaving))

        tasks = _tasks(deployment, leftovers)
        run = asyncio.create_task(gradually((partial(one, task) for task in tasks), at_once=CLUSTERS_AT_ONCE))
        run.add_done_callback(lambda _: found.put_nowait(None))
        try:
            while (place := await found.get()) is not None:
                yield place
            await run
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    async def _place(self, task: _Task) -> Place:
        names = (task.cluster.app, task.cluster.cluster)
        hooks = tuple(verdicts.of_resource(item, Action.RUN) for item in task.hooks)
        if not task.brings and not task.leaves:
            return Place(*names, hooks)
        await read_ahead((*task.brings, *task.leaves))
        why = ""
        try:
            async with asyncio.timeout(self._patience):
                return Place(*names, (*await self._asked(task), *hooks))
        except TimeoutError:
            why = f"no answer within {self._patience:g} s"
        except EmcoError as error:
            why = str(error)
        except Exception:
            _log.exception("plan_failed", app=names[0], cluster=names[1])
            why = "internal error; the log of rsync tells more"
        unknown = (verdicts.of_resource(item, Action.UNKNOWN) for item in (*task.brings, *task.leaves))
        return Place(*names, (*unknown, *hooks), why)

    async def _asked(self, task: _Task) -> list[Foreseen]:
        """Any ``EmcoError`` of the way to the cluster."""
        identity = Identity(task.cluster.cluster, task.plan.level, task.plan.namespace)
        async with self._links.use(identity) as link:
            if isinstance(await _while_there(link, link.available()), Indirect):
                raise EmcoError(_FOLLOWS)
            work = [
                *(partial(self._brought, link, task, item) for item in task.brings),
                *(partial(self._left, link, task, item) for item in task.leaves),
            ]
            started = (lambda _held_up, each=each: each() for each in work)
            return [
                one for found in await _while_there(link, gradually(started, at_once=OBJECTS_AT_ONCE)) for one in found
            ]

    async def _brought(self, link: Link, task: _Task, item: Item) -> list[Foreseen]:
        if item.problem:
            return [verdicts.of_resource(item, Action.REFUSED, item.problem)]
        return [await self._piece(link, task, item, piece) for piece in item.pieces]

    async def _piece(self, link: Link, task: _Task, item: Item, piece: Piece) -> Foreseen:
        present: Json | None = None
        try:
            present = await _read(link, piece)
            if present is not None and item in task.cluster.crds and not carries(present, task.ground.label):
                return verdicts.of_object(item, piece, Action.UNCHANGED, _OTHERS_DEFINITION, seen=present)
            foreign = piece.ref.kind == _NAMESPACE and present is not None and not carries(present, task.ground.label)
            obj, encoded = (without_label(piece.obj), None) if foreign else (piece.obj, piece.encoded)

            async def dry_run(client: KubeApi) -> Sent:
                return await settle(client, obj, encoded, settings=self._settings, piece=piece, dry_run=True)

            sent = await link.call(dry_run, turn=READING)
        except errors.Invalid as refused:
            if present is None or not frozen_fields(refused):
                return verdicts.of_refusal(item, piece, present, refused, task.ground)
            return await self._replaced(link, task, item, piece, present, refused)
        except KubeError as error:
            return verdicts.of_refusal(item, piece, present, error, task.ground)
        return verdicts.of_answer(item, piece, present, sent, task.ground)

    async def _replaced(
        self, link: Link, task: _Task, item: Item, piece: Piece, present: Json, refused: errors.Invalid
    ) -> Foreseen:
        if why := verdicts.why_not_replaced(piece, present, refused, task.ground):
            return verdicts.of_object(item, piece, Action.REFUSED, why, seen=present)
        try:
            made = await link.call(partial(try_out, piece=piece), turn=READING)
        except KubeError as error:
            return verdicts.of_refusal(item, piece, present, error, task.ground)
        return verdicts.of_replacing(item, piece, present, made, refused)

    async def _left(self, link: Link, task: _Task, item: Item) -> list[Foreseen]:
        return [one for piece in item.pieces if (one := await self._leaving(link, task, item, piece)) is not None]

    async def _leaving(self, link: Link, task: _Task, item: Item, piece: Piece) -> Foreseen | None:
        """``None`` if it is gone already, or wanted under what is only another spelling of its address."""
        try:
            present = await _read(link, piece)
        except KubeError as error:
            return verdicts.of_object(item, piece, Action.UNKNOWN, describe(error, kind=item.kind))
        if present is None or (piece.ref in task.doubtful and not present["metadata"].get("namespace")):
            return None
        return verdicts.of_leftover(item, piece, present, task.ground)


async def _read(link: Link, piece: Piece) -> Json | None:
    """The object as it is; ``None`` if it is not there. Any other ``KubeError``."""

    async def get(client: KubeApi) -> Json:
        return await client.get(piece.ref)

    try:
        return await link.call(get, turn=READING)
    except (errors.NotFound, errors.UnknownKind):
        return None


async def _while_there(link: Link, work: Awaitable[T]) -> T:
    """The result of the work, which would wait for a cluster that is away; ``Unreachable`` if it is."""
    away: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def heard(state: Connectivity, reason: str) -> None:
        if state is Connectivity.RETRYING and not away.done():
            away.set_result(reason)

    unheard = link.listen(heard)
    run = asyncio.ensure_future(work)
    try:
        waits: set[asyncio.Future[Any]] = {run, away}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            raise errors.Unreachable(away.result() or "the cluster is away")
        return run.result()
    finally:
        unheard()
        run.cancel()
        away.cancel()
        await asyncio.gather(run, return_exceptions=True)


def _tasks(deployment: Deployment, leftovers: Leftovers) -> Iterator[_Task]:
    by_cluster: dict[str, list[ClusterPlan]] = {}
    for one in deployment.plan.clusters:
        by_cluster.setdefault(one.cluster, []).append(one)
    coming = {cluster: verdicts.brought(plans) for cluster, plans in by_cluster.items()}
    fresh = deployment.plan.status_context == deployment.plan.context
    is_own = partial(keys.is_label_of, status_context=deployment.plan.status_context)

    def ground(plan: Plan, one: ClusterPlan) -> Ground:
        return Ground(one.label, is_own, plan.options.replace, fresh, *coming.get(one.cluster, ()))

    for one in deployment.plan.clusters:
        phase = deployment.change(one, rollback=False).phase
        hooks = (*one.due(phase.before), *one.due(phase.after)) if phase is not None else ()
        yield _Task(deployment.plan, one, ground(deployment.plan, one), (*one.crds, *one.regular), hooks=hooks)
    for plan in leftovers.plans:
        for one in plan.clusters:
            hooks = tuple(item for event in DELETE_EVENTS for item in one.due(event))
            leaves = (*(item for wave in one.removal_waves for item in wave), *one.due(""))
            yield _Task(
                plan, one, ground(plan, one), leaves=leaves, leaving=True, hooks=hooks, doubtful=leftovers.doubtful
            )
