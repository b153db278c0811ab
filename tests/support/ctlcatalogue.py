"""Makes ``emco_emcoctl/catalogue.json``, what emcoctl knows of resources without asking a server, from the services'
declarations: ``python -m tests.support.ctlcatalogue > services/emcoctl/emco_emcoctl/catalogue.json``.

emcoctl imports no service, so the file is kept beside it, and a test compares it with the declarations. Resources of
the services that are not built here have their anchors alone (spec emcoctl 11).
"""

from __future__ import annotations

import json
import re
from typing import Any

import emco_clm.resources
import emco_dcm.resources
import emco_ncm.resources
import emco_orchestrator.resources
from emco_common.resources.declaration import Resource

_SERVICES = (emco_orchestrator.resources, emco_clm.resources, emco_dcm.resources, emco_ncm.resources)
_NOT_CHECKED = frozenset({"title", "description", "default", "examples"})
_GROUP = "projects/*/composite-apps/*/*/deployment-intent-groups/*"
_OF_OTHERS = {
    "dtc-controllers": "",
    "cluster-providers/*/ca-certs": "",
    "cluster-providers/*/ca-certs/*/clusters": "",
    "projects/*/ca-certs": "",
    "projects/*/ca-certs/*/logical-clouds": "",
    "projects/*/ca-certs/*/logical-clouds/*/clusters": "",
    f"{_GROUP}/network-controller-intent": "",
    f"{_GROUP}/network-controller-intent/*/workload-intents": "",
    f"{_GROUP}/network-controller-intent/*/workload-intents/*/interfaces": "",
    f"{_GROUP}/network-chains": "",
    f"{_GROUP}/network-chains/*/links": "",
    f"{_GROUP}/network-chains/*/client-selectors": "",
    f"{_GROUP}/network-chains/*/provider-networks": "",
    f"{_GROUP}/sfc-clients": "",
    f"{_GROUP}/traffic-group-intents": "",
    f"{_GROUP}/traffic-group-intents/*/inbound-intents": "",
    f"{_GROUP}/traffic-group-intents/*/inbound-intents/*/clients": "",
    f"{_GROUP}/traffic-group-intents/*/inbound-intents/*/clients/*/access-points": "",
    f"{_GROUP}/generic-k8s-intents": "",
    f"{_GROUP}/generic-k8s-intents/*/resources": "file",
    f"{_GROUP}/generic-k8s-intents/*/resources/*/customizations": "files",
    f"{_GROUP}/hpa-intents": "",
    f"{_GROUP}/hpa-intents/*/hpa-resource-consumers": "",
    f"{_GROUP}/hpa-intents/*/hpa-resource-consumers/*/resource-requirements": "",
    f"{_GROUP}/temporal-workflow-intents": "",
    f"{_GROUP}/temporal-action-controller": "",
}


def made() -> str:
    """The text of the file."""
    kinds: dict[str, dict[str, Any]] = {}
    for module in _SERVICES:
        for declared in vars(module).values():
            if isinstance(declared, Resource):
                kinds.setdefault(_anchor(declared), _kind(declared))
    kinds |= {path: {"names": 1, "upload": upload} for path, upload in _OF_OTHERS.items()}
    lines = [f"{json.dumps(path)}: {json.dumps(kind, sort_keys=True)}" for path, kind in sorted(kinds.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _anchor(declared: Resource) -> str:
    return re.sub(r"\{\w+\}", "*", declared.collection_path.removeprefix("/v2/"))


def _kind(declared: Resource) -> dict[str, Any]:
    described = declared.model.model_json_schema()
    schema = _plain(described, described.get("$defs", {}))
    return {"names": len(declared.elements), "upload": "file" if declared.upload else "", "schema": schema}


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without what is not checked, its references replaced by what they mean."""
    if isinstance(schema, list):
        return [_plain(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    kept = {key: value for key, value in schema.items() if key not in _NOT_CHECKED and key != "$defs"}
    properties = kept.pop("properties", {})
    plain = {key: _plain(value, definitions) for key, value in kept.items()}
    if properties:
        plain["properties"] = {name: _plain(value, definitions) for name, value in properties.items()}
    return plain


if __name__ == "__main__":
    print(made(), end="")
