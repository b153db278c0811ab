"""From the keys and values of a context back to an ``AppContext``. Pure.

Tolerant where appcontext.md says so (case of field names, the legacy form of hook lists, keys it does not know), and
``MalformedContext`` naming the key for everything else that is not as written there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from emco_common.appcontext import keys, values
from emco_common.appcontext.keys import Placed
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
from emco_common.appcontext.values import MalformedContext, folded
from emco_common.contextbus.api import Entry

Part = Mapping[tuple[str, str], Collection[str]]
"""Names of resources by app and cluster."""


def decode_context(entries: Iterable[Entry], *, part: Part | None = None) -> AppContext:
    """The context whose keys, all of them, are ``entries``; or of its apps just a ``part``, whose keys they are.

    Apps that the app order does not name, and resources that neither the order nor a hook list names, are left out:
    the resource synchronizer ignores them as well.
    """
    return context_of(keys.placed(entries), part=part)


def context_of(found: Iterable[Placed], *, part: Part | None = None) -> AppContext:
    """As ``decode_context``, of what was taken apart before."""
    return _Decoder(found, part).context()


def keys_of_part(context: str, part: Part) -> list[str]:
    """What has to be read for some of the ordered resources of a context."""
    found = [keys.root(context), keys.app_order(context), keys.meta(context)]
    found += [keys.status_context(context), keys.delivery(context)]
    for place, resources in part.items():
        found += [keys.cluster(context, *place), keys.resource_order(context, *place)]
        for name in sorted(resources):
            found += [keys.resource(context, *place, name), keys.approval(context, *place, name)]
    return found


def decode_meta(key: str, value: bytes) -> Meta:
    fields = folded(values.decode_object(key, value))

    def text(name: str) -> str:
        item = fields.get(name)
        if item is not None and not isinstance(item, str):
            raise MalformedContext(f"{name} in the value of {key} is not text")
        return item or ""

    return Meta(
        project=text("project"),
        composite_app=text("compositeapp"),
        version=text("version"),
        release=text("release"),
        deployment_intent_group=text("deploymentintentgroup"),
        namespace=text("namespace"),
        level=text("level"),
        child_contexts=values.strings(key, fields.get("childcontextids")),
        logical_cloud=text("logicalcloud"),
        logical_cloud_namespace=text("logicalcloudnamespace"),
        logical_cloud_level=text("logicalcloudlevel"),
    )


def decode_app_order(key: str, value: bytes) -> tuple[str, ...]:
    return values.strings(key, folded(values.decode_inner_object(key, value)).get("apporder"))


def decode_resource_order(key: str, value: bytes) -> tuple[str, ...]:
    return values.strings(key, folded(values.decode_inner_object(key, value)).get("resorder"))


def decode_dependencies(key: str, value: bytes) -> tuple[Dependency, ...]:
    """Entries that wait for something else than ``Deployed`` or ``Ready`` are ignored (section 6.2)."""
    items = values.decode_inner(key, value)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedContext(f"the value of {key} is not a list of dependencies")
    dependencies = (_dependency(key, folded(item)) for item in items)
    return tuple(item for item in dependencies if item.app and item.op_status in set(OperationStatus))


def decode_hooks(key: str, value: bytes) -> dict[str, tuple[str, ...]]:
    """Names by hook event. The legacy form, names with texts, means that there are none (section 6.3)."""
    lists = folded(values.decode_inner_object(key, value)).get("resdependency")
    if not isinstance(lists, dict) or not all(isinstance(names, list) for names in lists.values()):
        return {}
    return {event: values.strings(key, names) for event, names in lists.items()}


def decode_approval(key: str, value: bytes) -> Approval:
    fields = folded(values.decode_inner_object(key, value))
    names = ("lastupdatetime", "message", "reason", "type", "status")
    texts = [fields.get(name, "") for name in names]
    if not all(isinstance(text, str) for text in texts):
        raise MalformedContext(f"the value of {key} is not an approval")
    return Approval(*texts)


def decode_options(key: str, value: bytes) -> DeliveryOptions:
    fields = folded(values.decode_object(key, value))
    heal, replace, timeout = fields.get("heal", False), fields.get("replace", False), fields.get("readytimeout")
    known = timeout is None or (isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0)
    if not isinstance(heal, bool) or not isinstance(replace, bool) or not known:
        raise MalformedContext(f"the value of {key} does not say how to deliver")
    return DeliveryOptions(heal, replace, None if timeout is None else float(timeout))


def _dependency(key: str, fields: Mapping[str, Any]) -> Dependency:
    app, op_status, wait = fields.get("app", ""), fields.get("opstatus", ""), fields.get("wait", 0)
    if not isinstance(app, str) or not isinstance(op_status, str) or type(wait) is not int or wait < 0:
        raise MalformedContext(f"the value of {key} is not a list of dependencies")
    return Dependency(app, op_status, wait)


Leaves = dict[str, bytes]
"""Of one cluster of an app: what is not state, by the rest of its key; manifests and approvals by their resource."""
_ITSELF, _MANIFEST, _APPROVAL = "", " ", "  "
_ORDER, _HOOKS = keys.RESOURCE_ORDER, keys.RESOURCE_DEPENDENCY


class _Decoder:
    """One pass over the keys finds which clusters each app has; all else is looked up.

    Clusters of an app have the same manifests in the same order: what was met before is not decoded again.
    """

    def __init__(self, found: Iterable[Placed], part: Part | None) -> None:
        self._stored: dict[str, bytes] = {}
        self._part = part
        self._id = ""
        self._plain: dict[tuple[str, bytes], Resource] = {}
        self._orders: dict[bytes, tuple[str, ...]] = {}
        self._clusters: dict[str, dict[str, Leaves]] = {}
        for (context, app, cluster, resource, leaf), entry in found:
            if cluster:
                self._take(self._clusters.setdefault(app, {}), cluster, resource, leaf, entry.value)
                continue
            self._stored[entry.key] = entry.value
            if not app and not leaf:
                self._id = context

    @staticmethod
    def _take(clusters: dict[str, Leaves], cluster: str, resource: str, leaf: str, value: bytes) -> None:
        leaves = clusters.get(cluster)
        if leaves is None:
            leaves = clusters[cluster] = {}
        if not resource:
            leaves[leaf] = value
        elif not leaf:
            leaves[_MANIFEST + resource] = value
        elif leaf == keys.APPROVAL:
            leaves[_APPROVAL + resource] = value

    def context(self) -> AppContext:
        root = keys.root(self._id)
        if not self._id or values.decode_string(root, self._stored[root]) not in root:
            raise MalformedContext("these keys are not one context: there is no root key, or it holds another id")
        meta, order = keys.meta(self._id), keys.app_order(self._id)
        status_context, delivery = keys.status_context(self._id), keys.delivery(self._id)
        return AppContext(
            id=self._id,
            apps=tuple(self._app(name) for name in decode_app_order(order, self._required(order))),
            meta=decode_meta(meta, self._stored[meta]) if meta in self._stored else None,
            status_context=self._text(status_context),
            dependency_form=self._dependency_form(),
            options=(
                decode_options(delivery, self._stored[delivery]) if delivery in self._stored else DeliveryOptions()
            ),
        )

    def _app(self, name: str) -> App:
        dependency = keys.start_dependency(self._id, name)
        known = dependency in self._stored
        clusters = ((one, leaves) for one, leaves in self._clusters.get(name, {}).items() if _ITSELF in leaves)
        return App(
            name=name,
            clusters=tuple(self._cluster(name, one, leaves) for one, leaves in clusters),
            dependencies=decode_dependencies(dependency, self._stored[dependency]) if known else (),
        )

    def _cluster(self, app: str, cluster: str, leaves: Leaves) -> Cluster:
        root = keys.cluster(self._id, app, cluster)
        resources = partial(self._resources, root, leaves)
        lists = decode_hooks(root + _HOOKS, leaves[_HOOKS]) if _HOOKS in leaves else {}
        crds = lists.pop(CRD_INSTALL, ())
        ordered = self._order(root + _ORDER, leaves[_ORDER]) if _ORDER in leaves else ()
        if self._part is not None:
            wanted = self._part.get((app, cluster), ())
            ordered = tuple(name for name in ordered if name in wanted)
        return Cluster(
            name=cluster,
            group=values.decode_string(root + keys.GROUP, leaves[keys.GROUP]) if keys.GROUP in leaves else "",
            resources=resources(ordered),
            crds=resources(crds),
            hooks={event: resources(names) for event, names in lists.items()},
        )

    def _order(self, key: str, value: bytes) -> tuple[str, ...]:
        names = self._orders.get(value)
        if names is None:
            names = self._orders[value] = decode_resource_order(key, value)
        return names

    def _resources(self, root: str, leaves: Leaves, names: Iterable[str]) -> tuple[Resource, ...]:
        return tuple(self._resource(root, leaves, name) for name in names)

    def _resource(self, root: str, leaves: Leaves, name: str) -> Resource:
        key = f"{root}resource/{name}/"
        value, approval = leaves.get(_MANIFEST + name), leaves.get(_APPROVAL + name)
        if value is None:
            raise MalformedContext(f"{key} is missing")
        known = self._plain.get((name, value)) if approval is None else None
        if known is None:
            given = None if approval is None else decode_approval(key + keys.APPROVAL, approval)
            known = Resource(name, values.decode_string(key, value), given)
            if approval is None:
                self._plain[name, value] = known
        return known

    def _dependency_form(self) -> AppDependencyForm:
        key = keys.app_dependency(self._id)
        if key not in self._stored:
            return AppDependencyForm.ABSENT
        wrapped = "appdependency" in folded(values.decode_inner_object(key, self._stored[key]))
        return AppDependencyForm.WRAPPED if wrapped else AppDependencyForm.PLAIN

    def _text(self, key: str) -> str:
        return values.decode_string(key, self._stored[key]) if key in self._stored else ""

    def _required(self, key: str) -> bytes:
        value = self._stored.get(key)
        if value is None:
            raise MalformedContext(f"{key} is missing")
        return value
