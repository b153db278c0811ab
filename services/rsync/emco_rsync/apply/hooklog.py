"""What the pods of a hook tell: why they do not start, and the end of their log when they have failed.

Looked at with the rights that the hook was brought with. Who may not look learns nothing more; nothing fails for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emco_common.kube import Kind, KubeApi, KubeError, Ref
from emco_common.kube.api import TellsLogs
from emco_common.kube.errors import clean
from emco_rsync.apply.site import Site
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import Piece
from emco_rsync.reach.lanes import READING

POD = Kind("v1", "Pod")
MAX_LINE = 300
MAX_LOG = 3_000
"""Characters of a log that are told."""
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


async def why_waiting(site: Site, piece: Piece) -> str:
    """Why a pod of the hook does not start; ``""`` if they do, or that is not known."""
    try:
        pods = await site.link.call(lambda client: _pods(client, piece.ref), turn=READING)
    except KubeError:
        return ""
    return next((f"pod {_name(pod)}: {trouble}" for pod in pods if (trouble := _not_starting(pod))), "")


async def log_tail(site: Site, piece: Piece) -> str:
    """The end of the log of the pod that has failed last, with its name; ``""`` if there is none to be had."""
    lines = site.settings.hook_log_lines
    if not lines:
        return ""

    async def read(client: KubeApi) -> str:
        failed = [(pod, name) for pod in await _pods(client, piece.ref) if (name := _failed_container(pod))]
        if not failed or not isinstance(client, TellsLogs):
            return ""
        pod, container = max(failed, key=lambda one: str(one[0]["metadata"].get("creationTimestamp")))
        ref = Ref(POD, _name(pod), piece.ref.namespace)
        text = await client.log_tail(ref, container=container, lines=lines, limit=MAX_LOG)
        told = told_of(text)
        return f"the log of {container} in pod {ref.name} ends:\n{told}" if told else ""

    try:
        return await site.link.call(read, turn=READING)
    except KubeError:
        return ""


def told_of(lines: Iterable[str]) -> str:
    """A log as people are shown it: what is not to be printed is left out, long lines and the beginning are cut."""
    cleaned = [line for line in (clean(line, limit=MAX_LINE) for line in lines) if line]
    return "\n".join(cleaned)[-MAX_LOG:]


async def _pods(client: KubeApi, ref: Ref) -> list[Json]:
    if ref.kind == POD:
        return [await client.get(ref)]
    if ref.kind.kind != "Job":
        return []
    return list((await client.list(POD, namespace=ref.namespace, selector=f"job-name={ref.name}")).items)


def _not_starting(pod: Json) -> str:
    for container in _containers(pod):
        waiting = _within(container, "state", "waiting")
        reason = str(waiting.get("reason") or "")
        if reason not in _STARTING:
            return clean(f"{reason}: {waiting.get('message') or 'no more is told'}", limit=MAX_LINE)
    return ""


def _failed_container(pod: Json) -> str:
    for container in _containers(pod):
        code = _within(container, "state", "terminated").get("exitCode")
        if isinstance(code, int) and code:
            return str(container.get("name"))
    return ""


def _containers(pod: Json) -> list[Json]:
    status = _within(pod, "status")
    found = [status.get(key) for key in ("initContainerStatuses", "containerStatuses")]
    return [one for listed in found if isinstance(listed, list) for one in listed if isinstance(one, dict)]


def _within(obj: Any, *path: str) -> Json:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def _name(pod: Json) -> str:
    return str(_within(pod, "metadata").get("name"))
