"""Everything an instantiate needs to know, read from the store in few round trips and checked before anything is done.

Answers one immutable ``Inputs``; what follows from it is decided by pure functions elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emco_common.appcontext.io import AppContextStore, ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.cloudconfig import ADMIN_LEVEL, CLOUD_LEVEL, KEY_NAMES
from emco_common.controllerclient import ControllerInput
from emco_common.errors import BadRequest, Conflict, NotFound
from emco_common.lifecycle import STATE_TAG, StateInfo
from emco_common.operations import Subject
from emco_common.store.api import Document, DocumentStore, Key
from emco_orchestrator import resources
from emco_orchestrator.groups import composite_of
from emco_orchestrator.placement import labels_of

_LABEL_NAMES = ("clusterProvider", "cluster", "clusterLabel")
_CLOUD_UNFIT = {
    ContextState.TERMINATED: "The Logical Cloud is not currently instantiated (has been terminated).",
    ContextState.INSTANTIATING: "The Logical Cloud is still instantiating, please wait and try again.",
    ContextState.TERMINATING: "The Logical Cloud is terminating, so it can no longer receive DIGs.",
    ContextState.INSTANTIATE_FAILED: "The Logical Cloud has failed instanting, so it can't receive DIGs.",
    ContextState.TERMINATE_FAILED: (
        "The Logical Cloud has failed terminating, so for safety it can no longer receive DIGs."
    ),
}
_CLOUD_ODD = "The Logical Cloud isn't in an expected status so not taking any action."


@dataclass(frozen=True, slots=True)
class Cloud:
    """The logical cloud as a target: its namespace, level and clusters (``<provider>+<cluster>``)."""

    name: str
    namespace: str
    level: str
    clusters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dependency:
    app: str
    op_status: str
    wait: int


@dataclass(frozen=True, slots=True)
class AppInput:
    """One app: blobs by digest, the pairs that override its values, where it goes and what it waits for.

    ``folder`` is the folder of the chart's archive that counts.
    """

    name: str
    folder: str
    chart: str
    profile: str
    overrides: tuple[tuple[str, str], ...]
    placement: Mapping[str, Any]
    dependencies: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    group: Subject
    cloud: Cloud
    apps: tuple[AppInput, ...]
    labels: Mapping[tuple[str, str], Sequence[str]]
    controllers: tuple[ControllerInput, ...]


class InputReader:
    """Reads the intents of a group."""

    def __init__(self, store: DocumentStore, contexts: AppContextStore) -> None:
        self._store = store
        self._contexts = contexts

    async def read(self, group: Subject) -> Inputs:
        """Raises the error of spec orchestrator-lifecycle 3.1 and 4 for whatever is missing or not ready."""
        cloud = await self._cloud(group)
        intents = await self._intents(group)
        placement = _placement_name(group, intents)
        apps = await self._apps(group, placement)
        labels = await self._labels(apps)
        return Inputs(group, cloud, apps, labels, await self.controllers(group))

    async def controllers(self, group: Subject) -> tuple[ControllerInput, ...]:
        """Those named in the group's intents, each once, by priority and then by name."""
        named = {
            controller: intent
            for intents in await self._intents(group)
            for controller, intent in intents.items()
            if controller != resources.PLACEMENT_INTENT
        }
        return tuple(
            sorted(
                await asyncio.gather(*(self._controller(name, intent) for name, intent in named.items())),
                key=lambda controller: (controller.priority, controller.name),
            )
        )

    async def _cloud(self, group: Subject) -> Cloud:
        name = group.spec["logicalCloud"]
        key = {"project": group.key["project"], "logicalCloud": name}
        document = await self._store.get(key)
        if document is None:
            raise BadRequest("Failed to obtain Logical Cloud specified")
        state = StateInfo.from_json(document.tags[STATE_TAG])
        if not state.instance:
            raise Conflict("The Logical Cloud has never been instantiated")
        try:
            status = await self._contexts.get_status(state.instance) or ""
        except ContextNotFound as error:
            raise Conflict(_CLOUD_ODD) from error
        if status not in (ContextState.INSTANTIATED, ContextState.UPDATED):
            raise Conflict({str(state): text for state, text in _CLOUD_UNFIT.items()}.get(status, _CLOUD_ODD))
        references = await self._store.list((*key, "clusterReference"), key)
        clusters = frozenset(
            f"{reference.body['spec']['clusterProvider']}+{reference.body['spec']['cluster']}"
            for reference in references
        )
        spec = document.body["spec"]
        if spec["level"] != ADMIN_LEVEL:
            clusters = await self._accessible(key, state.instance, clusters, namespace=spec["namespace"])
        return Cloud(name, spec["namespace"], spec["level"], clusters)

    async def _accessible(
        self, cloud: Key, instance: str, clusters: frozenset[str], *, namespace: str
    ) -> frozenset[str]:
        """The clusters where the cloud's user has access. One that is not in force yet does not belong to the cloud;
        while the user waits for access to one that is, the cloud is not usable (dcm, defect 7)."""
        records = await self._store.list(KEY_NAMES, {"level": CLOUD_LEVEL, "namespace": namespace})
        granted = frozenset(
            f"{record.key['cloudConfigClusterProvider']}+{record.key['cloudConfigCluster']}"
            for record in records
            if record.tags.get("owner", cloud) == cloud
        )
        if missing := clusters - granted:
            context = await self._contexts.read(instance)
            waiting = sorted(missing & {cluster.name for app in context.apps for cluster in app.clusters})
            if waiting:
                detail = f"Its user has no access yet to {', '.join(waiting)}; the status of the cloud says why"
                raise Conflict(_CLOUD_UNFIT[ContextState.INSTANTIATING], detail=detail)
        return clusters & granted

    async def _intents(self, group: Subject) -> list[Mapping[str, str]]:
        documents = await self._store.list(resources.GROUP_INTENT.key_names, group.key)
        return [document.body["spec"]["intent"] for document in documents]

    async def _apps(self, group: Subject, placement: str) -> tuple[AppInput, ...]:
        profile_key = {**composite_of(group.key), "compositeProfile": group.spec["compositeProfile"]}
        placement_key = {**group.key, resources.PLACEMENT_INTENT: placement}
        if await self._store.get(placement_key) is None:
            raise NotFound("Intent not found")
        apps, dependencies, profiles, placements = await asyncio.gather(
            self._store.list(resources.APP.key_names, composite_of(group.key)),
            self._store.list(resources.APP_DEPENDENCY.key_names, composite_of(group.key)),
            self._store.list(resources.APP_PROFILE.key_names, profile_key),
            self._store.list(resources.APP_PLACEMENT.key_names, placement_key),
        )
        if not apps:
            raise Conflict(f"Composite app {group.key['compositeApp']} has no apps; add one before instantiating")
        profile_of, placement_of = _by_app(profiles), _by_app(placements)
        return tuple(
            AppInput(
                name=app.key["app"],
                folder=app.tags.get(resources.CHART_TAG, {}).get("folder", app.key["app"]),
                chart=app.tags["content"]["digest"],
                profile=_profile_digest(app.key["app"], profile_of),
                overrides=_overrides(group, app.key["app"]),
                placement=placement_of[app.key["app"]].body["spec"]["intent"] if app.key["app"] in placement_of else {},
                dependencies=tuple(_dependency(d) for d in dependencies if d.key["app"] == app.key["app"]),
            )
            for app in apps
        )

    async def _labels(self, apps: Sequence[AppInput]) -> Mapping[tuple[str, str], Sequence[str]]:
        wanted = sorted(frozenset().union(*(labels_of(app.placement) for app in apps)))
        for provider in sorted({provider for provider, _ in wanted}):
            if await self._store.get({"clusterProvider": provider}) is None:
                detail = f"The placement names a label of {provider}; register it, or change the intent"
                raise Conflict("Cluster provider not found", detail=detail)
        found = await asyncio.gather(*(self._labelled(provider, label) for provider, label in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _labelled(self, provider: str, label: str) -> Sequence[str]:
        documents = await self._store.list(_LABEL_NAMES, {"clusterProvider": provider, "clusterLabel": label})
        return [document.key["cluster"] for document in documents]

    async def _controller(self, name: str, intent: str) -> ControllerInput:
        document = await self._store.get({"controller": name, "controllerGroup": resources.CONTROLLER_GROUP})
        if document is None:
            raise NotFound("Controller not found")
        spec = document.body["spec"]
        return ControllerInput(name, spec["host"], spec["port"], spec["type"], spec["priority"], intent)


def _placement_name(group: Subject, intents: Sequence[Mapping[str, str]]) -> str:
    names = {intent[resources.PLACEMENT_INTENT] for intent in intents if resources.PLACEMENT_INTENT in intent}
    if not names:
        raise NotFound("Intent not found")
    if len(names) > 1:
        raise Conflict(
            f"The intents of {group.name} name several placement intents: {', '.join(sorted(names))}; keep one"
        )
    return names.pop()


def _by_app(documents: Sequence[Document]) -> Mapping[str, Document]:
    found: dict[str, Document] = {}
    for document in documents:
        app = document.body["spec"]["app"]
        if app in found:
            both = " and ".join(other.body["metadata"]["name"] for other in (found[app], document))
            raise Conflict(f"App {app} is named by both {both}; keep one")
        found[app] = document
    return found


def _profile_digest(app: str, profiles: Mapping[str, Document]) -> str:
    if app not in profiles:
        raise Conflict(f"AppProfileContent not found: app {app} has no profile in the composite profile of the group")
    digest: str = profiles[app].tags["content"]["digest"]
    return digest


def _overrides(group: Subject, app: str) -> tuple[tuple[str, str], ...]:
    for entry in group.spec["overrideValues"]:
        if entry["app"] == app:
            return tuple(sorted(entry["values"].items()))
    return ()


def _dependency(document: Document) -> Dependency:
    spec = document.body["spec"]
    return Dependency(spec["app"], spec["opStatus"].capitalize(), spec.get("wait", 0))
