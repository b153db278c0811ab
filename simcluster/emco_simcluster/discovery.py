"""What a server tells about itself: groups, resources, version, and just enough OpenAPI for kubectl and Helm. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emco_simcluster.kinds import Kind, KindTable

Json = dict[str, Any]

VERSION = "v1.36.0+emco-simulated"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF_SCHEMA = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

_METHODS = {"get": "get", "post": "create", "put": "update", "patch": "patch", "delete": "delete"}


def version() -> Json:
    """``/version``; names the simulation."""
    return {
        "major": "1",
        "minor": "36",
        "gitVersion": VERSION,
        "gitCommit": "simulated",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "simulated",
        "compiler": "simulated",
        "platform": "linux/simulated",
    }


def core_versions() -> Json:
    """``/api``."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group(name: str, versions: list[str]) -> Json:
    """``/apis/<group>``."""
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(kinds: KindTable) -> Json:
    """``/apis``."""
    groups = [group(n, v) for n, v in kinds.groups().items() if n]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resource_list(kinds: Iterable[Kind], api_version: str) -> Json:
    """``/api/v1`` and ``/apis/<group>/<version>``."""
    resources: list[Json] = []
    for kind in kinds:
        if kind.api_version != api_version:
            continue
        entry = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind}
        entry |= {"verbs": list(kind.verbs)}
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        resources.extend(_subresource(kind, sub) for sub in sorted(kind.subresources))
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def _subresource(kind: Kind, sub: str) -> Json:
    name = f"{kind.plural}/{sub}"
    entry = {"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind}
    if sub == "scale":
        entry |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return {**entry, "verbs": ["get"] if sub == "log" else ["get", "patch", "update"]}


def aggregated(kinds: KindTable, *, core: bool) -> Json:
    """Aggregated discovery, asked for at ``/api`` (core) or ``/apis``."""
    items = []
    for name, versions in kinds.groups().items():
        if bool(name) is core:
            continue
        listed = [_aggregated_version(kinds, name, v) for v in versions]
        items.append({"metadata": {"name": name, "creationTimestamp": None} if name else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_version(kinds: KindTable, name: str, version: str) -> Json:
    resources = [_aggregated_resource(k) for k in kinds if k.group == name and k.version == version]
    return {"version": version, "freshness": "Current", "resources": resources}


def _aggregated_resource(kind: Kind) -> Json:
    def response(group: str, version: str, name: str) -> Json:
        return {"group": group, "version": version, "kind": name}

    entry: Json = {
        "resource": kind.plural,
        "responseKind": response(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": sub,
                "responseKind": response("autoscaling", "v1", "Scale")
                if sub == "scale"
                else response(kind.group, kind.version, kind.kind),
                "verbs": ["get"] if sub == "log" else ["get", "patch", "update"],
            }
            for sub in sorted(kind.subresources)
        ]
    return entry


def openapi_v3_index(kinds: KindTable) -> Json:
    """``/openapi/v3``: where the document of each group version is."""
    paths = {}
    for name, versions in kinds.groups().items():
        for each in versions:
            path = f"apis/{name}/{each}" if name else f"api/{each}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash=simulated"}
    return {"paths": paths}


def openapi_v3(kinds: Iterable[Kind], api_version: str) -> Json:
    """``/openapi/v3/...``: the paths with their query parameters; schemas say no more than that they are objects."""
    paths: Json = {}
    schemas: Json = {}
    for kind in kinds:
        if kind.api_version != api_version:
            continue
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schemas[_schema_name(kind)] = {"type": "object", "x-kubernetes-group-version-kind": [gvk]}
        base = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        collection = f"{base}{scope}/{kind.plural}"
        paths[collection] = {m: _operation(kind, gvk, m) for m in ("get", "post")}
        paths[collection + "/{name}"] = {m: _operation(kind, gvk, m) for m in ("get", "put", "patch", "delete")}
    info = {"title": "Kubernetes (simulated by EMCO)", "version": VERSION}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _operation(kind: Kind, gvk: Json, method: str) -> Json:
    parameters = []
    if method != "get":
        names = ["dryRun", "fieldManager", "fieldValidation", *(["force"] if method == "patch" else [])]
        parameters = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in names]
    return {
        "operationId": f"{_METHODS[method]}{kind.kind}",
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": _METHODS[method],
        "x-kubernetes-group-version-kind": gvk,
    }


def _schema_name(kind: Kind) -> str:
    reverse = ".".join(reversed((kind.group or "core.api.k8s.io").split(".")))
    return f"{reverse}.{kind.version}.{kind.kind}"


def openapi_v2() -> Json:
    """``/openapi/v2`` as JSON: empty, since validation is the server's."""
    return {"swagger": "2.0", "info": {"title": "Kubernetes (simulated by EMCO)", "version": VERSION}, "paths": {}}


def openapi_v2_protobuf() -> bytes:
    """The same as the protobuf message kubectl and Helm ask for: Document{swagger=1, info=2{title=1, version=2}}."""

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    info = field(1, b"Kubernetes (simulated by EMCO)") + field(2, VERSION.encode())
    return field(1, b"2.0") + field(2, info)
