"""Logging in with a browser: the external authorizer that Istio calls for who brings no token (spec deployment 6.1).

It is istio-ecosystem/authservice: it does the authorization code flow, keeps the session in a cookie and puts the
access token where everybody else has it. Its client secret stays in a Secret.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from emco_allinone.deploying.istio import CALLBACK, Mesh
from emco_allinone.deploying.wanted import Issuer, Json, Wanted

NAME = "emco-authservice"
SECRET = "emco-authservice-client"
"""Holds the client's secret under the key ``client-secret``."""
PORT = 10003
LOGOUT = "/mesh/logout"


@dataclass(frozen=True)
class Browser:
    """``client`` is a confidential client at the issuer; ``image`` that of authservice, 1.0 or later."""

    image: str
    client: str = "emco"


def resources(wanted: Wanted, mesh: Mesh, browser: Browser) -> list[Json]:
    """What runs it."""
    config = {
        "listen_address": "0.0.0.0",
        "listen_port": PORT,
        "log_level": "info",
        "threads": 8,
        "allow_unmatched_requests": False,
        # a browser brings nothing that tells its issuer, so there is one for browsers and any number for programs
        "chains": [_chain(issuer, mesh, browser) for issuer in wanted.issuers[:1]],
    }
    metadata: Json = {
        "name": NAME,
        "namespace": mesh.gateway_namespace,
        "labels": {"app": NAME, "app.kubernetes.io/part-of": "emco"},
    }
    data = {"config.json": json.dumps(config, indent=2) + "\n"}
    ports = [{"name": "grpc-authz", "port": PORT, "targetPort": PORT}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        *_secret_reader(metadata, mesh),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": NAME}, "ports": ports},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": _deployment(browser)},
    ]


def _chain(issuer: Issuer, mesh: Mesh, browser: Browser) -> Json:
    oidc = {
        "configuration_uri": f"{issuer.url}/.well-known/openid-configuration",
        "callback_uri": f"https://{mesh.host}{CALLBACK}",
        "jwks_fetcher": {"periodic_fetch_interval_sec": 300},
        "client_id": browser.client,
        "client_secret_ref": {"namespace": mesh.gateway_namespace, "name": SECRET},
        "cookie_name_prefix": "emco",
        "scopes": [],
        "id_token": {"preamble": "Bearer", "header": "x-emco-id-token"},
        "access_token": {"preamble": "Bearer", "header": "authorization"},
        "logout": {"path": LOGOUT},
    }
    return {"name": "emco", "match": {"header": ":authority", "prefix": mesh.host}, "filters": [{"oidc": oidc}]}


def _secret_reader(metadata: Json, mesh: Mesh) -> list[Json]:
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get", "list", "watch"]}
    ]
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": mesh.gateway_namespace}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
    version = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules},
        {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "subjects": subjects, "roleRef": role},
    ]


def _deployment(browser: Browser) -> Json:
    container = {
        "name": "authservice",
        "image": browser.image,
        "ports": [{"name": "grpc-authz", "containerPort": PORT}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/authservice", "readOnly": True}],
        "readinessProbe": {"tcpSocket": {"port": PORT}},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "serviceAccountName": NAME,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    template = {"metadata": {"labels": {"app": NAME}}, "spec": pod}
    return {"replicas": 1, "selector": {"matchLabels": {"app": NAME}}, "template": template}
