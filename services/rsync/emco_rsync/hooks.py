"""Helm hooks: one after the other, each to its end, and a failed one stops what would follow (rsync 8.3, D8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import methodcaller

from emco_common.kube import KubeError, errors
from emco_rsync.apply import apply_item
from emco_rsync.classify import classify_removal, describe
from emco_rsync.health import hook_verdict
from emco_rsync.plan import Item, Piece
from emco_rsync.removal import clear
from emco_rsync.site import LOOK_AGAIN, Site

_WAITED_FOR = frozenset({"Job", "Pod", "Deployment", "DaemonSet", "StatefulSet"})
_RUNS_ONCE = frozenset({"Job", "Pod"})


async def run_hooks(site: Site, items: Iterable[Item], *, finished: Callable[[Item], bool]) -> bool:
    """False as soon as one fails. ``finished`` tells which of them had succeeded before the process was restarted."""
    for item in items:
        if finished(item):
            continue
        before = len(site.problems)
        await _clear_old_run(site, item)
        await apply_item(site, item)
        if len(site.problems) == before and item.kind in _WAITED_FOR:
            await _until_done(site, item)
        if len(site.problems) > before:
            return False
    return True


async def _clear_old_run(site: Site, item: Item) -> None:
    """A Job or Pod of an earlier run would be taken for the result of this one."""
    if item.kind not in _RUNS_ONCE or item.problem:
        return
    try:
        for piece in item.pieces:
            present = await site.persist(item, methodcaller("get", piece.ref), verdict=classify_removal)
            verdict = hook_verdict(present)
            if verdict.ok or verdict.failed:
                await clear(site, item)
    except (errors.NotFound, errors.UnknownKind):
        return
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))


async def _until_done(site: Site, item: Item) -> None:
    try:
        for piece in item.pieces:
            reason = await _wait(site, item, piece)
            if reason:
                site.failed(item, f"the hook failed: {reason}")
            else:
                site.applied(item)
            if item.kind in _RUNS_ONCE:
                site.recorder.hook(site.plan.app, site.plan.cluster, item.resource, success=not reason)
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))


async def _wait(site: Site, item: Item, piece: Piece) -> str:
    """Why the hook did not succeed, or ``""``."""
    deadline = site.pace.clock() + site.settings.hook_timeout
    looks = 0
    while True:
        try:
            present = await site.persist(item, lambda client: client.get(piece.ref), verdict=classify_removal)
        except errors.NotFound:
            return "it was deleted before it had finished"
        verdict = hook_verdict(present)
        if verdict.ok or verdict.failed:
            return verdict.reason
        if site.pace.clock() > deadline:
            return f"not done after {site.settings.hook_timeout:g} s: {verdict.reason}"
        looks += 1
        site.note(item, verdict.reason)
        await site.pace.sleep(LOOK_AGAIN.delay(looks))
