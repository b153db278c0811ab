"""Helm hooks: one after the other, each to its end, and a failed one stops what would follow (rsync 8.3, D8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from operator import methodcaller

import structlog

from emco_common.kube import KubeError, errors
from emco_rsync.apply.hooklog import log_tail, why_waiting
from emco_rsync.apply.removal import clear
from emco_rsync.apply.site import LOOK_AGAIN, Site
from emco_rsync.apply.waves import apply_item
from emco_rsync.plan.plan import Item, Piece
from emco_rsync.reach.classify import classify_removal, describe
from emco_rsync.watch.health import hook_verdict

_log = structlog.get_logger()

PODS_EVERY = 4
"""One look in so many is at the pods as well."""
_DELETE_POLICY = "helm.sh/hook-delete-policy"


class Policy(StrEnum):
    BEFORE = "before-hook-creation"
    SUCCEEDED = "hook-succeeded"
    FAILED = "hook-failed"


_WAITED_FOR = frozenset({"Job", "Pod", "Deployment", "DaemonSet", "StatefulSet"})
_RUNS_ONCE = frozenset({"Job", "Pod"})


async def run_hooks(site: Site, items: Iterable[Item], *, finished: Callable[[str], bool], again: bool = False) -> bool:
    """False as soon as one fails. ``finished`` tells by name which of them had succeeded before a restart; ``again``
    that others may be running since then, so that these are waited for and not begun anew."""
    done: list[Item] = []
    succeeded = True
    for item in items:
        if not finished(item.resource):
            succeeded = await _run(site, item, again=again)
        if not succeeded:
            if Policy.FAILED in policies(item):
                await _follow_policy(site, item)
            break
        done.append(item)
    for item in reversed(done):
        if Policy.SUCCEEDED in policies(item) and item.resource not in site.passed_over:
            await _follow_policy(site, item)
            site.recorder.hook(site.plan.app, site.plan.cluster, item.resource, success=True)
    return succeeded


async def _run(site: Site, item: Item, *, again: bool) -> bool:
    before = len(site.problems)
    await _clear_old_run(site, item, again=again)
    if len(site.problems) == before:
        await apply_item(site, item)
    brought = len(site.problems) == before and item.resource not in site.passed_over
    if brought and item.kind in _WAITED_FOR:
        await _until_done(site, item)
    return len(site.problems) == before


def policies(item: Item) -> frozenset[str]:
    """When the hook's object is to be deleted. What is not said is Helm's default."""
    said: set[str] = set()
    for piece in item.pieces:
        annotations = (piece.obj.get("metadata") or {}).get("annotations")
        text = annotations.get(_DELETE_POLICY) if isinstance(annotations, dict) else None
        said.update(word.strip() for word in (text.split(",") if isinstance(text, str) else ()))
    return frozenset(said - {""}) or frozenset({Policy.BEFORE})


async def _follow_policy(site: Site, item: Item) -> None:
    """Its result stays told, whatever becomes of the object."""
    try:
        await clear(site, item)
    except KubeError as error:
        _log.warning("hook_not_deleted", app=site.plan.app, cluster=site.plan.cluster, resource=item.resource)
        site.note(item, f"its delete policy could not be followed: {describe(error, kind=item.kind)}")


async def _clear_old_run(site: Site, item: Item, *, again: bool) -> None:
    """A Job or Pod of an earlier run would be taken for the result of this one, and cannot be changed into it.

    Other kinds are applied over what is there, which leaves them as if they had been made anew.
    """
    if item.kind not in _RUNS_ONCE or item.problem:
        return
    try:
        for piece in item.pieces:
            present = await site.persist(item, methodcaller("get", piece.ref), verdict=classify_removal, reading=True)
            verdict = hook_verdict(present)
            if verdict.ok or verdict.failed or not again:
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
                log = await log_tail(site, piece)
                site.failed(item, f"the hook failed: {reason}" + (f"; {log}" if log else ""))
            else:
                site.applied(item)
            if item.kind in _RUNS_ONCE:
                site.recorder.hook(site.plan.app, site.plan.cluster, item.resource, success=not reason)
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))


async def _wait(site: Site, item: Item, piece: Piece) -> str:
    """Why the hook did not succeed, or ``""``."""
    deadline = site.pace.clock() + site.settings.hook_timeout
    looks, trouble = 0, ""
    while True:
        try:
            present = await site.persist(
                item, lambda client: client.get(piece.ref), verdict=classify_removal, reading=True
            )
        except errors.NotFound:
            return "it was deleted before it had finished"
        verdict = hook_verdict(present)
        if verdict.ok or verdict.failed:
            return verdict.reason
        late = site.pace.clock() > deadline
        if late or looks % PODS_EVERY == 0:
            trouble = await why_waiting(site, piece)
        waits = f"{verdict.reason}; {trouble}" if trouble else verdict.reason
        if late:
            return f"not done after {site.settings.hook_timeout:g} s: {waits}"
        looks += 1
        site.note(item, f"waits until the hook is done, at most {site.settings.hook_timeout:g} s: {waits}")
        await site.pace.sleep(LOOK_AGAIN.delay(looks))
