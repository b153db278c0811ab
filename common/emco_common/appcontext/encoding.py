"""From an ``AppContext`` to the keys and values that are written (appcontext.md 4.1, 5, 6, 8). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from emco_common.appcontext import keys
from emco_common.appcontext.model import (
    App,
    AppContext,
    AppDependencyForm,
    Approval,
    Cluster,
    DeliveryOptions,
    Dependency,
    Meta,
    Resource,
)
from emco_common.appcontext.states import CRD_INSTALL, OperationStatus
from emco_common.appcontext.values import encode, encode_inner
from emco_common.contextbus.api import Put
from emco_common.errors import Unprocessable

_DECIMAL = re.compile("[0-9]+")


def encode_context(context: AppContext) -> list[Put]:
    """Everything its creator writes; first the order of the apps, last the root key, which makes the context visible.

    Raises ``Unprocessable`` for what the layout cannot hold: names with ``/`` or reserved ones, a cluster that is not
    ``provider+cluster``, and two resources of one name on one cluster (D3).
    """
    _check(context)
    puts = [Put(keys.app_order(context.id), encode_app_order([app.name for app in context.apps]))]
    if context.meta is not None:
        puts.append(Put(keys.meta(context.id), encode_meta(context.meta)))
    if context.status_context:
        puts.append(Put(keys.status_context(context.id), encode(context.status_context)))
    if context.options != DeliveryOptions():
        puts.append(Put(keys.delivery(context.id), encode_options(context.options)))
    puts.extend(_app_dependency(context))
    encoded: dict[str, bytes] = {}
    for app in context.apps:
        puts.extend(_app(context.id, app, encoded))
    puts.append(Put(keys.root(context.id), encode(context.id)))
    return puts


def encode_app_order(apps: Sequence[str]) -> bytes:
    return encode_inner({"apporder": list(apps)})


def encode_resource_order(resources: Sequence[str]) -> bytes:
    return encode_inner({"resorder": list(resources)})


def encode_meta(meta: Meta) -> bytes:
    """All eleven fields, since a Go reader takes a missing one for the text ``<nil>`` (section 5.3)."""
    return encode(
        {
            "Project": meta.project,
            "CompositeApp": meta.composite_app,
            "Version": meta.version,
            "Release": meta.release,
            "DeploymentIntentGroup": meta.deployment_intent_group,
            "Namespace": meta.namespace,
            "Level": meta.level,
            "ChildContextIDs": list(meta.child_contexts) or None,
            "LogicalCloud": meta.logical_cloud,
            "LogicalCloudNamespace": meta.logical_cloud_namespace,
            "LogicalCloudLevel": meta.logical_cloud_level,
        }
    )


def encode_options(options: DeliveryOptions) -> bytes:
    flags: dict[str, object] = {"heal": options.heal, "replace": options.replace}
    return encode(flags | ({} if options.ready_timeout is None else {"readyTimeout": options.ready_timeout}))


def encode_dependencies(dependencies: Sequence[Dependency]) -> bytes:
    return encode_inner(
        [
            {"app": item.app, "opStatus": item.op_status} | ({"wait": item.wait} if item.wait else {})
            for item in dependencies
        ]
    )


def encode_approval(approval: Approval) -> bytes:
    optional = {
        "lastUpdateTime": approval.last_update_time,
        "message": approval.message,
        "reason": approval.reason,
        "type": approval.type,
    }
    return encode_inner({name: text for name, text in optional.items() if text} | {"status": approval.status})


def encode_resource(
    context: str, app: str, cluster: str, resource: Resource, *, manifest: bytes | None = None
) -> list[Put]:
    """The manifest, already encoded if ``manifest`` is given, and what hangs below it."""
    place = (context, app, cluster, resource.name)
    puts = [Put(keys.resource(*place), encode(resource.manifest) if manifest is None else manifest)]
    if resource.approval is not None:
        puts.append(Put(keys.approval(*place), encode_approval(resource.approval)))
        puts.append(Put(keys.subresource_order(*place), encode_inner({"subresorder": ["approval"]})))
    return puts


def _cluster(context: str, app: str, cluster: Cluster, encoded: dict[str, bytes]) -> Iterator[Put]:
    """Everything of one cluster of one app, its order instruction included.

    ``encoded`` are the manifests met so far by their text, for clusters of an app have the same ones.
    """
    place = (context, app, cluster.name)
    yield Put(keys.cluster(*place), encode(cluster.name))
    if cluster.group:
        yield Put(keys.cluster_group(*place), encode(cluster.group))
    order = [resource.name for resource in cluster.resources]
    yield Put(keys.resource_order(*place), encode_resource_order(order))
    lists = _hook_lists(cluster)
    if lists:
        yield Put(keys.resource_dependency(*place), encode_inner({"resdependency": lists}))
    for resource in {resource.name: resource for resource in cluster.all_resources()}.values():
        manifest = encoded.get(resource.manifest)
        if manifest is None:
            manifest = encoded[resource.manifest] = encode(resource.manifest)
        yield from encode_resource(*place, resource, manifest=manifest)


def _hook_lists(cluster: Cluster) -> dict[str, list[str]]:
    lists = {event: [resource.name for resource in hooks] for event, hooks in cluster.hooks.items() if hooks}
    if cluster.crds:
        lists[CRD_INSTALL] = [resource.name for resource in cluster.crds]
    return dict(sorted(lists.items()))


def _app(context: str, app: App, encoded: dict[str, bytes]) -> Iterator[Put]:
    yield Put(keys.app(context, app.name), encode(app.name))
    if app.dependencies:
        yield Put(keys.start_dependency(context, app.name), encode_dependencies(app.dependencies))
    for cluster in app.clusters:
        yield from _cluster(context, app.name, cluster, encoded)


def _app_dependency(context: AppContext) -> Iterator[Put]:
    if context.dependency_form is AppDependencyForm.ABSENT:
        return
    go = dict.fromkeys(sorted(app.name for app in context.apps), "go")
    wrapped = context.dependency_form is AppDependencyForm.WRAPPED
    yield Put(keys.app_dependency(context.id), encode_inner({"appdependency": go} if wrapped else go))


def _check(context: AppContext) -> None:
    if not _DECIMAL.fullmatch(context.id):
        raise Unprocessable(f"context id {context.id!r} is not a decimal number")
    _check_names("app", [app.name for app in context.apps])
    for app in context.apps:
        for dependency in app.dependencies:
            if dependency.op_status not in set(OperationStatus):
                raise Unprocessable(f"app {app.name} waits for {dependency.op_status!r} of app {dependency.app}")
        _check_names("cluster", [cluster.name for cluster in app.clusters])
        for cluster in app.clusters:
            _check_cluster(app, cluster)


def _check_cluster(app: App, cluster: Cluster) -> None:
    where = f"app {app.name} on cluster {cluster.name}"
    try:
        keys.split_cluster_name(cluster.name)
    except ValueError as error:
        raise Unprocessable(f"app {app.name}: {error}") from error
    if CRD_INSTALL in cluster.hooks:
        raise Unprocessable(f"{where}: {CRD_INSTALL} is no hook event")
    hooks = {resource for resources in cluster.hooks.values() for resource in resources}
    crds = set(cluster.crds)
    # A CRD may serve as a hook too; any other second resource of a name would overwrite the first.
    names = [resource.name for resource in (*cluster.resources, *cluster.crds, *(hooks - crds))]
    _check_names(f"{where}: resource", names)


def _check_names(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or "/" in name or name == keys.INSTRUCTION:
            raise Unprocessable(f"{what} cannot be named {name!r}")
        if name in seen:
            raise Unprocessable(f"{what} {name} is there twice; names must differ by name or kind")
        seen.add(name)
