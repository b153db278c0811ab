"""What is deployed in the measurements of rsync: as a context, bare requests, a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from emco_common.appcontext import keys
from emco_common.appcontext.model import App, AppContext, Cluster, Meta, Resource
from emco_common.kube import encode
from emco_rsync.plan.manifests import prepare

MANAGER = "emco-rsync"
NAMESPACE = "default"
"""Of everything; what is brought several times differs in its names."""
Json = dict[str, Any]
_PLURALS: Mapping[str, tuple[str, str]] = {
    "ServiceAccount": ("v1", "serviceaccounts"),
    "ConfigMap": ("v1", "configmaps"),
    "Service": ("v1", "services"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Deployment": ("apps/v1", "deployments"),
}
_ORDER = tuple(_PLURALS)


@dataclass(frozen=True, slots=True)
class Request:
    """A bare server-side apply: everything is written down beforehand."""

    path: str
    body: bytes


class Size(TypedDict):
    """How many of which objects; see ``objects``."""

    config_maps: int
    deployments: int
    accounts: int


def objects(*, config_maps: int = 0, deployments: int = 0, accounts: int = 0, prefix: str = "o") -> list[Json]:
    """``accounts``: so many ServiceAccounts, each with Role and RoleBinding. In the order in which they are brought."""
    found = [one for number in range(accounts) for one in _account(f"{prefix}-{number}")]
    found += [_config_map(f"{prefix}-{number}") for number in range(config_maps)]
    found += [_deployment(f"{prefix}-{number}") for number in range(deployments)]
    return sorted(found, key=lambda one: _ORDER.index(one["kind"]))


def small_app(name: str) -> list[Json]:
    """Four objects, as small applications have them."""
    service = {"spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}
    return [
        _object("ServiceAccount", name),
        _config_map(name),
        _object("Service", name) | service,
        _deployment(name),
    ]


def manifests(found: Iterable[Json]) -> list[tuple[str, str]]:
    """Name and text of each resource of a context; JSON is YAML."""
    return [(f"{one['metadata']['name']}+{one['kind']}", json.dumps(one)) for one in found]


def context(
    identity: str,
    apps: Mapping[str, Sequence[tuple[str, str]]],
    clusters: Iterable[str],
    *,
    status_context: str = "",
) -> AppContext:
    """Each app with its resources on every cluster (``c0`` is ``p+c0``)."""
    names = [f"p+{cluster}" for cluster in clusters]
    resources = {app: tuple(Resource(*one) for one in found) for app, found in apps.items()}
    return AppContext(
        identity,
        apps=tuple(
            App(app, tuple(Cluster(name, resources=found) for name in names)) for app, found in resources.items()
        ),
        meta=Meta(namespace=NAMESPACE, level="0"),
        status_context=status_context,
    )


def waves(found: Iterable[Json], *, label: str) -> list[list[Request]]:
    """The very bytes that rsync sends, kind by kind."""
    runs: dict[str, list[Request]] = {}
    for one in found:
        runs.setdefault(one["kind"], []).append(_request(one, label=label))
    return list(runs.values())


def label_of(identity: str, app: str) -> str:
    return keys.deployment_label(identity, app)


def kubectl_list(found: Iterable[Json], *, label: str) -> str:
    """One file for ``kubectl apply -f``; JSON, which it reads faster than YAML."""
    items = [prepare(one, label=label) for one in found]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _request(one: Json, *, label: str) -> Request:
    api_version, plural = _PLURALS[one["kind"]]
    root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    path = f"{root}/namespaces/{NAMESPACE}/{plural}/{one['metadata']['name']}"
    return Request(f"{path}?fieldManager={MANAGER}&force=true", encode(prepare(one, label=label)))


def _object(kind: str, name: str) -> Json:
    return {"apiVersion": _PLURALS[kind][0], "kind": kind, "metadata": {"name": name, "labels": {"app": name}}}


def _config_map(name: str) -> Json:
    data = {"colour": "blue", "settings.ini": "\n".join(f"option{number} = value {number}" for number in range(20))}
    return _object("ConfigMap", name) | {"data": data}


def _account(name: str) -> list[Json]:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
    subject = {"kind": "ServiceAccount", "name": name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    return [
        _object("ServiceAccount", name),
        _object("Role", name) | {"rules": [rule]},
        _object("RoleBinding", name) | {"subjects": [subject], "roleRef": role},
    ]


def _deployment(name: str) -> Json:
    container = {
        "name": "main",
        "image": f"registry.example/{name}:1.0",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "MODE", "value": "production"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return _object("Deployment", name) | {"spec": spec}
