"""A cluster that follows a Git repository, as a ``KubeApi``: what is to be there goes into files, what is there is what
its monitor reports. An object that is in the repository and not reported is answered as it is in its file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from emco_common.kube import Kind, KubeApi, ObjectList, Ref, WatchEvent, errors, ref_of
from emco_common.kube.api import Json
from emco_common.kube.discovery import Resource
from emco_rsync.delivery import anthos, flux
from emco_rsync.delivery.azure import AzureArc
from emco_rsync.delivery.git.draft import Change, Draft
from emco_rsync.delivery.git.errors import NotReported
from emco_rsync.delivery.git.repository import Repository
from emco_rsync.delivery.git.statuses import Report
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.delivery.layout import (
    ANTHOS,
    FLUX,
    Consignment,
    Layout,
    address_of,
    bundle_state,
    is_namespaced,
    object_of,
    text_of,
)
from emco_rsync.delivery.reports import ByKind, changes, of_kind, parsed
from emco_rsync.plan.manifests import deployment_of

Address = tuple[str, str, str, str]
"""Group, kind, namespace, name."""
HISTORY = 4
"""Reports that are remembered, to say what has changed since."""
MAX_SEEN = 100_000
FIRST_REPORT_SECONDS = 60.0
"""How long a list waits for a cluster to be reported of at all, before it says that nothing is."""


class GitCluster(Indirect):
    """``release`` is called when it is closed; ``options`` are the pairs of the resource object."""

    def __init__(
        self,
        layout: Layout,
        repository: Repository,
        *,
        options: Mapping[str, str],
        azure: AzureArc | None,
        release: Any,
    ) -> None:
        self.layout = layout
        self.repository = repository
        self.options = options
        self._azure = azure
        self._release = release
        self._history: dict[str, ByKind] = {}
        self._seen: set[Address] = set()
        self._parsing = asyncio.Lock()
        self._changed: Callable[[], None] = lambda: None
        self._leave = repository.statuses.join(layout.cluster, lambda: self._changed())
        self._closed = False

    @property
    def server(self) -> str:
        return self.repository.remote.server

    @property
    def lapses(self) -> int:
        return 0  # a repository is what its address says

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._leave()
            self._release(self.repository)

    async def version(self, *, timeout: float | None = None) -> Json:
        try:
            async with asyncio.timeout(timeout):
                await self.repository.check()
        except TimeoutError:
            raise errors.Unreachable(f"{self.server}: no answer within {timeout:g} s") from None
        return {"gitVersion": f"by way of {self.server}"}

    async def check_identity(self, *, timeout: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self.repository.check_rights()
        except TimeoutError:
            raise errors.Unreachable(f"{self.server}: no answer within {timeout:g} s") from None

    async def resource(self, kind: Kind) -> Resource:
        """By the table of kinds, as the cluster cannot be asked."""
        return Resource(kind.api_version, kind.kind.lower() + "s", is_namespaced(kind))

    async def get(self, ref: Ref) -> Json:
        """As it is reported; ``NotFound`` if it was once and is not any more. What never was may be there or not, as
        monitors do not report everything, nor at once."""
        found = await self.reported(ref)
        if found is not None:
            return found
        if self._wanted(ref) in self._seen:
            raise errors.NotFound(f"{ref} is not reported any more by the monitor of {self.layout.cluster}")
        raise errors.Invalid(f"{ref} is not reported by the monitor of {self.layout.cluster}, so nobody can tell")

    async def reported(self, ref: Ref) -> Json | None:
        """The object as its monitor has seen it last."""
        report = self.repository.statuses.reports.get(self.layout.cluster)
        found = await self._objects(report) if report else {}
        return next((obj for obj in of_kind(found, ref.kind) if address_of(obj) == self._wanted(ref)), None)

    def _wanted(self, ref: Ref) -> Address:
        return _address(Ref(ref.kind, ref.name, ref.namespace if is_namespaced(ref.kind) else ""))

    async def list(self, kind: Kind, *, namespace: str = "", selector: str = "") -> ObjectList:
        """What is reported of a kind; ``NotReported`` if nothing is reported of the cluster at all."""
        report = await self.repository.statuses.report(self.layout.cluster, within=FIRST_REPORT_SECONDS)
        if not report.version:
            raise NotReported(f"nothing is reported of {self.layout.cluster} any more")
        found = of_kind(await self._objects(report), kind)
        items = tuple(
            {**obj, "apiVersion": kind.api_version}
            for obj in found
            if not namespace or obj["metadata"].get("namespace") == namespace
        )
        return ObjectList(items, report.version)

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        selector: str = "",
        namespace: str = "",
        renew: int = 240,
        silence: float = 100.0,
    ) -> AsyncGenerator[WatchEvent, None]:
        """What differs from report to report, with a bookmark after each. ``Gone``: list again."""
        statuses, cluster = self.repository.statuses, self.layout.cluster
        while True:
            before = self._history.get(resource_version)
            if before is None:
                raise errors.Gone(f"the report {resource_version} of {cluster} is not known any more", http_status=410)
            await statuses.changed(cluster, resource_version, within=renew)
            report = await statuses.report(cluster, within=silence)
            now = await self._objects(report)
            for event in changes(of_kind(before, kind), of_kind(now, kind)):
                yield event
            resource_version = report.version
            yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})

    async def create(self, obj: Mapping[str, Any], *, manager: str = "", namespace: str = "") -> Json:
        raise _homeless(obj)

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        namespace: str = "",
        encoded: bytes | None = None,
    ) -> Json:
        raise _homeless(obj)

    async def patch(self, ref: Ref, change: Mapping[str, Any], *, subresource: str = "") -> Json:
        raise errors.Invalid(f"{ref} cannot be patched on a cluster that follows a repository")

    async def replace(self, obj: Mapping[str, Any], *, subresource: str = "") -> Json:
        what = f"{subresource} of {ref_of(obj)}" if subresource else str(ref_of(obj))
        raise errors.Invalid(f"{what} cannot be written on a cluster that follows a repository")

    async def delete(self, ref: Ref, *, propagation: str = "Background", uid: str = "") -> Json:
        raise errors.Invalid(f"{ref} is in the files of some deployment; it goes with them")

    @property
    def remark(self) -> str:
        return self.repository.statuses.remark(self.layout.cluster)

    def listen(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def within(self, of: Consignment, resource: str, *, alone: bool) -> KubeApi:
        return Consigned(self, of, resource, alone=alone)

    async def prepare(self, of: Consignment) -> None:
        """Files that make a cluster follow go with the deployment's own; what is set up elsewhere is set up first."""
        if self._azure is not None:
            await self._azure.configure(self.layout, of, self.repository.remote, self.options)

    async def withdraw(self, of: Consignment) -> None:
        """The app's files go, and with the last app what makes the cluster follow."""
        layout, others = self.layout, False

        def make(draft: Draft) -> None:
            nonlocal others
            for path, _ in list(draft.below(layout.app(of))):
                draft.remove(path)
            others = any(True for _ in draft.below(f"{layout.deployment(of)}app/"))
            for path in () if others else self._configuration_paths(of):
                draft.remove(path)

        await self.repository.writer.write(self._change(of, make, last=True))
        if self._azure is not None and not others:
            await self._azure.remove(of, self.options)

    def configuration(self, of: Consignment) -> dict[str, bytes]:
        """The files that make the cluster follow a deployment."""
        if self.layout.flavour == FLUX:
            return flux.configuration(self.layout, of, self.repository.remote, self.options)
        if self.layout.flavour == ANTHOS:
            return anthos.configuration(self.layout, of, self.repository.remote)
        return {}

    def _configuration_paths(self, of: Consignment) -> tuple[str, ...]:
        return flux.paths(self.layout, of) if self.layout.flavour == FLUX else ()

    def _change(self, of: Consignment, make: Any, *, last: bool = False) -> Change:
        paths = (*self._configuration_paths(of), *self.configuration(of))
        return Change((self.layout.deployment(of),), make, self.layout.subject(of), paths=paths, last=last)

    async def bring(self, of: Consignment, path: str, written: Json, *, new: bool = False) -> None:
        """Have the object in this file, in no other of the deployment, and the cluster follow it. ``AlreadyExists``
        where it is to be ``new`` and is not."""
        layout, content, address = self.layout, text_of(written), address_of(written)
        present = False

        def make(draft: Draft) -> None:
            nonlocal present
            same = [name for name, text in draft.below(layout.deployment(of)) if _holds(text, address)]
            present = bool(same)
            if new and present:
                return
            for name in same:
                draft.remove(name)
            draft.put(path, content)
            draft.put(layout.bundle(of), text_of(bundle_state(of, with_status=layout.flavour != ANTHOS)))
            for name, text in self.configuration(of).items():
                draft.put(name, text)
            if layout.flavour == ANTHOS and not draft.has(anthos.deployed(layout, of)):
                draft.put(anthos.deployed(layout, of), anthos.stamp(self.repository.now()))

        await self.repository.writer.write(self._change(of, make))
        if new and present:
            raise errors.AlreadyExists(f"{address[1]} {address[3]} is in the repository")

    async def take(self, of: Consignment, address: Address) -> bool:
        """Have the object in no file of the app. Was it in one?"""
        found = False

        def make(draft: Draft) -> None:
            nonlocal found
            same = [name for name, text in draft.below(self.layout.app(of)) if _holds(text, address)]
            found = bool(same)
            for name in same:
                draft.remove(name)

        await self.repository.writer.write(self._change(of, make))
        return found

    async def in_files(self, of: Consignment, address: Address) -> Json | None:
        """The object as the app's files have it."""
        draft = await self.repository.writer.look(self.layout.deployment(of))
        contents = (text for _, text in draft.below(self.layout.app(of)) if _holds(text, address))
        found = next(contents, None)
        return object_of(found) if found is not None else None

    async def _objects(self, report: Report) -> ByKind:
        async with self._parsing:
            found = self._history.get(report.version)
            if found is None:
                found = await asyncio.to_thread(parsed, self.layout.cluster, report.files)
                self._history[report.version] = found
                while len(self._history) > HISTORY:
                    del self._history[next(iter(self._history))]
                if len(self._seen) < MAX_SEEN:
                    self._seen.update(address_of(obj) for objects in found.values() for obj in objects)
            return found


class Consigned:
    """The cluster for one resource of a deployment; lives no longer than a call."""

    def __init__(self, cluster: GitCluster, of: Consignment, resource: str, *, alone: bool) -> None:
        self._cluster = cluster
        self._of = of
        self._resource = resource
        self._alone = alone
        self.server = cluster.server
        self.lapses = cluster.lapses
        self.close = cluster.close
        self.version = cluster.version
        self.check_identity = cluster.check_identity
        self.resource = cluster.resource
        self.list = cluster.list
        self.watch = cluster.watch
        self.patch = cluster.patch
        self.replace = cluster.replace

    async def get(self, ref: Ref) -> Json:
        """As it is reported; as it is in its file, where it is not yet, or what is reported is not ours; ``NotFound``
        where it is neither."""
        placed = self._placed(ref)
        found = await self._cluster.reported(placed)
        if found is None or deployment_of(found) != self._of.label:
            found = await self._cluster.in_files(self._of, _address(placed)) or found
        if found is None:
            raise errors.NotFound(f"{ref} is neither in {self.server} nor reported by the monitor")
        return found

    async def create(self, obj: Mapping[str, Any], *, manager: str = "", namespace: str = "") -> Json:
        return await self._bring(obj, namespace, new=True)

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        namespace: str = "",
        encoded: bytes | None = None,
    ) -> Json:
        """Returns when the repository has it."""
        return await self._bring(obj, namespace, dry_run=dry_run)

    async def delete(self, ref: Ref, *, propagation: str = "Background", uid: str = "") -> Json:
        """Returns when the repository does not have it any more; whether it is gone, its monitor will tell."""
        if not await self._cluster.take(self._of, _address(self._placed(ref))):
            raise errors.NotFound(f"{ref} is not in {self.server}")
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    async def _bring(self, obj: Mapping[str, Any], namespace: str, *, new: bool = False, dry_run: bool = False) -> Json:
        ref = ref_of(obj, namespace=namespace)
        written = self._cluster.layout.written(obj, ref, self._of)
        if not dry_run:
            await self._cluster.bring(self._of, self._path(ref), written, new=new)
        return written

    def _path(self, ref: Ref) -> str:
        name = self._resource if self._alone else f"{self._resource}+{ref.namespace}+{ref.name}+{ref.kind.kind}"
        return self._cluster.layout.file(self._of, name.replace("/", "%2F"))

    def _placed(self, ref: Ref) -> Ref:
        return Ref(ref.kind, ref.name, self._cluster.layout.namespace_of(ref, self._of))


def _address(ref: Ref) -> Address:
    return ref.kind.group, ref.kind.kind, ref.namespace, ref.name


def _holds(content: bytes, address: Address) -> bool:
    obj = object_of(content)
    return obj is not None and address_of(obj) == address


def _homeless(obj: Mapping[str, Any]) -> errors.KubeError:
    return errors.Invalid(f"{ref_of(obj)} belongs to no deployment, so no file is known for it")
