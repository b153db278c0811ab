"""Objects the suite works with, and how it looks at answers."""

from __future__ import annotations

import base64
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.witness import Answer

Json = dict[str, Any]


def config_map(data: Json | None = None, *, name: str = "a", **metadata: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        **({"data": data} if data is not None else {}),
    }


def container(**fields: Any) -> Json:
    return {"name": "web", "image": "nginx:1", **fields}


def deployment(*containers: Json, name: str = "web", labels: Json | None = None, **spec: Any) -> Json:
    template = {
        "metadata": {"labels": labels or {"app": name}},
        "spec": {"containers": list(containers) or [container()]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def job(image: str = "i:1") -> Json:
    pod = {"restartPolicy": "Never", "containers": [container(image=image)]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}}


def owners(obj: Json) -> dict[tuple[str, str], Json]:
    """Who owns which fields, by manager and operation."""
    return {(m["manager"], m["operation"]): m["fieldsV1"] for m in obj["metadata"]["managedFields"]}


def revision(obj: Json) -> str:
    return str(obj["metadata"]["resourceVersion"])


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [item["metadata"]["name"] for item in answer.body["items"]]


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(group: str, **version: Any) -> Json:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "v": {"type": "integer"}},
        },
    }
    spec = {
        "type": "object",
        "properties": {"keyed": keyed, "whole": {"type": "array", "items": {"type": "string"}}, "free": anything},
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": anything}}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema, **version}]
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "shortNames": ["tg"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
    }


def conditions_of(obj: Json) -> dict[str, str]:
    return {c["type"]: c["status"] for c in (obj.get("status") or {}).get("conditions") or ()}


REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def signing_request(user: str, group: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, user)]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, request.public_bytes(serialization.Encoding.PEM)


def as_user(kubeconfig: str, certificate: bytes, key: bytes) -> str:
    config = yaml.safe_load(kubeconfig)
    credentials = {"client-certificate-data": certificate, "client-key-data": key}
    config["users"][0]["user"] = {k: base64.b64encode(v).decode() for k, v in credentials.items()}
    return yaml.safe_dump(config)
