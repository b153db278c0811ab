"""From inputs and renderings to an AppContext (spec orchestrator-lifecycle 3, 8). Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emco_common.appcontext.model import App, AppContext, Cluster, DeliveryOptions, Dependency, Meta, Resource
from emco_common.errors import Unprocessable
from emco_common.helm.api import Manifest, RenderedApp
from emco_orchestrator.dependencies import check_dependencies
from emco_orchestrator.inputs import Inputs
from emco_orchestrator.placement import Group, place, survivors


def groups_of(inputs: Inputs) -> Mapping[str, tuple[Group, ...]]:
    """Where every app goes. Raises for unknown apps, cycles and placements that cannot be met."""
    needs = {app.name: [dependency.app for dependency in app.dependencies] for app in inputs.apps}
    check_dependencies(inputs.group.key["compositeApp"], needs)
    return {
        app.name: place(
            app.name,
            app.placement,
            resolve=lambda provider, label: inputs.labels[provider, label],
            allowed=inputs.cloud.clusters,
        )
        for app in inputs.apps
    }


def pruned(groups: Mapping[str, tuple[Group, ...]]) -> Mapping[str, tuple[Group, ...]]:
    """Of every optional group the one cluster that stays when no placement controller has a say."""
    return {
        app: tuple(Group(g.number, tuple(sorted(survivors({g.number: g.clusters}))), g.mandatory) for g in all_of_app)
        for app, all_of_app in groups.items()
    }


def assemble(
    instance: str, inputs: Inputs, groups: Mapping[str, tuple[Group, ...]], rendered: Sequence[RenderedApp]
) -> AppContext:
    """The whole context. Raises ``Unprocessable`` if two apps bring the same object to one cluster."""
    apps = tuple(
        App(
            app.name,
            clusters=_clusters(groups[app.name], rendering),
            dependencies=tuple(Dependency(d.app, d.op_status, d.wait) for d in app.dependencies),
        )
        for app, rendering in zip(inputs.apps, rendered, strict=True)
    )
    _refuse_collisions(inputs, apps, rendered)
    return AppContext(id=instance, apps=apps, meta=_meta(inputs), options=options_of(inputs.group.spec))


def options_of(spec: Mapping[str, Any]) -> DeliveryOptions:
    """How the group wants to be delivered."""
    said = spec.get("delivery") or {}
    timeout = said.get("readyTimeout")
    return DeliveryOptions(
        bool(said.get("heal")), bool(said.get("replace")), None if timeout is None else float(timeout)
    )


def _clusters(groups: Iterable[Group], rendering: RenderedApp) -> tuple[Cluster, ...]:
    regular, crds = _resources(rendering.regular), _resources(rendering.crds)
    hooks = {event: _resources(manifests) for event, manifests in rendering.hooks.items()}
    return tuple(Cluster(name, group.number, regular, crds, hooks) for group in groups for name in group.clusters)


def _resources(manifests: Iterable[Manifest]) -> tuple[Resource, ...]:
    return tuple(Resource(manifest.name, manifest.text) for manifest in manifests)


def _refuse_collisions(inputs: Inputs, apps: Sequence[App], rendered: Sequence[RenderedApp]) -> None:
    """Definitions are no collision: whoever comes first installs them, for all (rsync D13)."""
    default = inputs.cloud.namespace or "default"
    owners: dict[tuple[str, str, str, str], str] = {}
    for app, rendering in zip(apps, rendered, strict=True):
        hooks = (manifest for manifests in rendering.hooks.values() for manifest in manifests)
        brought = {(m.api_group, m.namespace or default, m.name) for m in (*rendering.regular, *hooks)}
        for cluster in app.clusters:
            for group, namespace, name in sorted(brought):
                other = owners.setdefault((cluster.name, group, namespace, name), app.name)
                if other != app.name:
                    plain, _, kind = name.rpartition("+")
                    raise Unprocessable(
                        f"apps {other} and {app.name} both bring {kind} {plain} to cluster {cluster.name}; "
                        "rename one, for example by the release name in the chart"
                    )


def _meta(inputs: Inputs) -> Meta:
    key = inputs.group.key
    return Meta(
        project=key["project"],
        composite_app=key["compositeApp"],
        version=key["compositeAppVersion"],
        release=inputs.group.spec["version"],
        deployment_intent_group=inputs.group.name,
        namespace=inputs.cloud.namespace,
        level=inputs.cloud.level,
        logical_cloud=inputs.cloud.name,
    )
