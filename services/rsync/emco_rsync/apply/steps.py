"""What is done for one app on one cluster, step by step (rsync 8.2). A failure of one step keeps what would follow."""

from __future__ import annotations

from collections.abc import Callable

from emco_common.appcontext.states import HookPhase
from emco_rsync.apply.following import prepare
from emco_rsync.apply.hooks import run_hooks
from emco_rsync.apply.removal import remove_item, remove_waves
from emco_rsync.apply.site import Site
from emco_rsync.apply.waves import apply_waves, install_crds
from emco_rsync.concurrent import concurrently
from emco_rsync.plan.deployment import Change
from emco_rsync.plan.plan import CRD_KIND

Finished = Callable[[str], bool]
"""Had this hook succeeded, by name, before the process was restarted?"""
LEFT_DEFINITION = "left in place: others may have objects of its kind"


async def install(site: Site, missing: Change, *, finished: Finished, again: bool) -> None:
    """Definitions, hooks before, everything that is missing, hooks after. ``again``: it may have been begun before a
    restart."""
    plan = site.plan
    site.outstanding.add(item.resource for item in missing.items)
    await begin(site, HookPhase.INSTALL)
    if not await install_crds(site, missing.crds):
        return
    if not await run_hooks(site, plan.due(HookPhase.INSTALL.before), finished=finished, again=again):
        return
    await apply_waves(site, missing.waves)
    if not site.problems:
        await run_hooks(site, plan.due(HookPhase.INSTALL.after), finished=finished, again=again)
    end(site)


async def update(site: Site, change: Change, phase: HookPhase, *, finished: Finished, again: bool) -> None:
    """As an installation, but only what has changed.

    That an object is under way is on the bus before it is sent: what comes instead of an update that was cut off must
    not take the object for what it was.
    """
    before, after = (site.plan.due(event) for event in (phase.before, phase.after))
    for item in (*change.items, *(hook for hook in (*before, *after) if not finished(hook.resource))):
        site.starts(item)
    site.outstanding.add(item.resource for item in change.items)
    await begin(site, phase)
    if not await install_crds(site, change.crds, change=phase is not HookPhase.INSTALL):
        return
    if not await run_hooks(site, before, finished=finished, again=again):
        return
    await apply_waves(site, change.waves)
    if not site.problems:
        await run_hooks(site, after, finished=finished, again=again)
    end(site)


async def take_away(site: Site) -> None:
    """Hooks of deletion, everything backwards, then the hooks themselves; definitions stay (D6)."""
    plan = site.plan
    site.outstanding.add(item.resource for wave in plan.removal_waves for item in wave)
    site.leaving = True  # a hook that the user may not run keeps nobody from leaving
    if await run_hooks(site, plan.due(HookPhase.DELETE.before), finished=lambda _: False, again=True):
        await remove_waves(site, plan.removal_waves)
        await run_hooks(site, plan.due(HookPhase.DELETE.after), finished=lambda _: False, again=True)
        await concurrently(remove_item(site, item) for item in plan.hooks)
    for item in (*plan.crds, *(item for item in plan.regular if item.kind == CRD_KIND)):
        site.note(item, LEFT_DEFINITION)


async def begin(site: Site, phase: HookPhase) -> None:
    """Returns when the cluster is there and the bus knows that something is about to be sent to it."""
    await site.link.available()
    site.recorder.touched(site.plan.app, site.plan.cluster)
    site.recorder.phase(site.plan.app, site.plan.cluster, phase)
    await site.recorder.flush()
    await prepare(site)


def end(site: Site) -> None:
    """If all went well, the app is complete on the cluster."""
    if not site.problems:
        site.recorder.installed(site.plan.app, site.plan.cluster)
