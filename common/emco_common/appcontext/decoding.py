"""From the keys and values of a context back to an ``AppContext``. Pure.

Tolerant where appcontext.md says so (case of field names, the legacy form of hook lists, keys it does not know), and
``MalformedContext`` naming the key for everything else that is not as written there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emco_common.appcontext import keys, values
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


def decode_context(entries: Iterable[Entry]) -> AppContext:
    """The context whose keys, all of them, are ``entries``.

    Apps that the app order does not name, and resources that neither the order nor a hook list names, are left out:
    the resource synchronizer ignores them as well.
    """
    stored = {entry.key: entry.value for entry in entries}
    return _Decoder(stored).context()


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


class _Decoder:
    """One pass over the stored keys finds which clusters each app has; all else is looked up.

    Clusters of an app have the same manifests in the same order: what was met before is not decoded again.
    """

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        self._stored = stored
        self._id = ""
        self._manifests: dict[bytes, str] = {}
        self._orders: dict[bytes, tuple[str, ...]] = {}
        self._clusters: dict[str, list[str]] = {}
        for key in stored:
            place = keys.parse(key)
            if place is None or place.leaf or place.resource:
                continue
            if place.cluster:
                self._clusters.setdefault(place.app, []).append(place.cluster)
            elif not place.app:
                self._id = place.context

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
        return App(
            name=name,
            clusters=tuple(self._cluster(name, cluster) for cluster in self._clusters.get(name, ())),
            dependencies=decode_dependencies(dependency, self._stored[dependency]) if known else (),
        )

    def _cluster(self, app: str, cluster: str) -> Cluster:
        place = (self._id, app, cluster)
        order, hooks = keys.resource_order(*place), keys.resource_dependency(*place)
        ordered = self._order(order, self._stored[order]) if order in self._stored else ()
        lists = decode_hooks(hooks, self._stored[hooks]) if hooks in self._stored else {}
        crds = lists.pop(CRD_INSTALL, ())
        return Cluster(
            name=cluster,
            group=self._text(keys.cluster_group(*place)),
            resources=self._resources(app, cluster, ordered),
            crds=self._resources(app, cluster, crds),
            hooks={event: self._resources(app, cluster, names) for event, names in lists.items()},
        )

    def _order(self, key: str, value: bytes) -> tuple[str, ...]:
        names = self._orders.get(value)
        if names is None:
            names = self._orders[value] = decode_resource_order(key, value)
        return names

    def _manifest(self, key: str, value: bytes) -> str:
        text = self._manifests.get(value)
        if text is None:
            text = self._manifests[value] = values.decode_string(key, value)
        return text

    def _resources(self, app: str, cluster: str, names: Iterable[str]) -> tuple[Resource, ...]:
        return tuple(self._resource(app, cluster, name) for name in names)

    def _resource(self, app: str, cluster: str, name: str) -> Resource:
        key = keys.resource(self._id, app, cluster, name)
        approval = keys.approval(self._id, app, cluster, name)
        return Resource(
            name=name,
            manifest=self._manifest(key, self._required(key)),
            approval=decode_approval(approval, self._stored[approval]) if approval in self._stored else None,
        )

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
