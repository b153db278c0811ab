"""The original's monitor, for clusters that run it: a ResourceBundleState per app asks it to report (rsync 13.1).

Its status is the monitor's alone; what it says counts where rsync may not look itself. Clusters that do not serve the
kind are left alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from emco_common.errors import EmcoError
from emco_common.kube import KubeApi, Ref, errors
from emco_rsync.apply.fenced import fenced
from emco_rsync.apply.site import Pace
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.delivery.layout import BUNDLE
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL, Json
from emco_rsync.reach.links import Link
from emco_rsync.watch.drift import MANAGER
from emco_rsync.watch.followed import Followed

_log = structlog.get_logger()

HOOK_LABEL = "emco/preinstallHook"
"""On the bundle while hooks run before an installation: what is reported then is not yet the app."""


LOOK_AGAIN_SECONDS = 5.0
"""Between two looks whether a cluster without a monitor has one by now; who asks meanwhile is answered by the next."""


class Monitor:
    """``on`` false leaves all clusters alone."""

    def __init__(self, *, on: bool, pace: Pace) -> None:
        self.on = on
        self._pace = pace
        self._tasks: set[asyncio.Task[Any]] = set()
        self._absent: dict[str, float] = {}
        """By cluster, when it was last asked and had none."""
        self._looks: dict[str, asyncio.Task[bool]] = {}
        """By cluster, the next look, for all who asked before it."""

    def ask(self, followed: Followed) -> None:
        """Have the cluster's monitor report of the app, if it has one. Returns at once."""
        hooks = followed.expected.brought.begins_with_hooks and not followed.complete
        if self.on and followed.bundle != (wanted := "hooks" if hooks else "app"):
            followed.bundle = wanted
            self._keep(
                asyncio.create_task(self._ask(followed, hooks=hooks), name=f"ask the monitor on {followed.place[1]}")
            )

    async def asked(self, followed: Followed) -> bool:
        """Is there perhaps something to dismiss?"""
        try:
            return self.on and await _serves(await followed.watch.link.available())
        except EmcoError as error:
            _log.info("monitor_not_known", cluster=followed.place[1], why=str(error))
            return False

    async def dismiss(self, followed: Followed) -> None:
        """Nothing is to be reported any more."""
        label, cluster = followed.place
        ref = Ref(BUNDLE, label, followed.own.identity.namespace)
        try:
            await followed.watch.link.call(lambda client: fenced(client, followed.recorder.fence).delete(ref))
        except (errors.NotFound, errors.UnknownKind):
            return
        except EmcoError as error:
            _log.warning("bundle_not_removed", cluster=cluster, bundle=str(ref), why=str(error))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, followed: Followed, *, hooks: bool) -> None:
        namespace = followed.own.identity.namespace
        bundle = bundle_of(followed.place[0], namespace, hooks=hooks)
        link = followed.watch.link
        try:
            if await self._is_there(link) and followed.bundle:
                await link.call(
                    lambda client: fenced(client, followed.recorder.fence).apply(
                        bundle, manager=MANAGER, force=True, namespace=namespace
                    )
                )
        except EmcoError as error:  # its namespace may be about to come; when the app is complete this is tried again
            followed.bundle = ""
            _log.info("monitor_not_asked", cluster=followed.place[1], label=followed.place[0], why=str(error))

    async def _is_there(self, link: Link) -> bool:
        """Has the cluster a monitor? Two requests where it has none, so that is not looked for with every app."""
        cluster = link.identity.cluster
        look = self._looks.get(cluster)
        if look is None:
            look = self._looks[cluster] = asyncio.create_task(self._look(link), name=f"monitor on {cluster}?")
            self._keep(look)
        return await asyncio.shield(look)

    async def _look(self, link: Link) -> bool:
        cluster = link.identity.cluster
        try:
            if (known := self._absent.get(cluster)) is not None:
                await self._pace.sleep(max(known + LOOK_AGAIN_SECONDS - self._pace.clock(), 0.0))
        finally:
            del self._looks[cluster]  # who asks from now on is not answered by this one
        began = self._pace.clock()
        there = await _serves(await link.available())
        if there:
            self._absent.pop(cluster, None)
        else:
            self._absent[cluster] = began
        return there

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        _ = task.cancelled() or task.exception()  # who waited for it has seen that


def bundle_of(label: str, namespace: str, *, hooks: bool) -> Json:
    """What asks for reports of one app. Without a status, which is the monitor's."""
    labels = {DEPLOYMENT_LABEL: label} | ({HOOK_LABEL: "true"} if hooks else {})
    return {
        "apiVersion": BUNDLE.api_version,
        "kind": BUNDLE.kind,
        "metadata": {"name": label, "namespace": namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": {DEPLOYMENT_LABEL: label}}},
    }


async def _serves(client: KubeApi) -> bool:
    if isinstance(client, Indirect):
        return False  # what delivers by other ways asks in its own
    try:
        await client.resource(BUNDLE)
    except errors.UnknownKind:
        return False
    return True
