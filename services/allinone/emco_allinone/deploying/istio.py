"""Istio's resources for EMCO (spec deployment 6.1 and 6.2). Pure.

One VirtualService with all routes in the order of the table, not one for each service: several for the same host are
merged by Istio in no promised order, and the table counts on its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from emco_allinone.deploying.wanted import Json, Wanted
from emco_common.access.patterns import ONE, Pattern
from emco_common.access.roles import Rule, rules_of
from emco_common.access.routes import Route

_NETWORKING = "networking.istio.io/v1"
_SECURITY = "security.istio.io/v1"
CALLBACK = "/mesh/auth_callback"


@dataclass(frozen=True)
class Mesh:
    """Where things are: EMCO, the gateway's pods, and the secret with the gateway's certificate.

    ``browser`` has those who bring no token sent to ``provider``, an external authorizer of the mesh, to log in.
    """

    host: str
    namespace: str = "emco"
    gateway_namespace: str = "istio-system"
    gateway_app: str = "ingressgateway"
    credential: str = "emco-credential"
    provider: str = "emco-authservice"
    browser: bool = False


def resources(wanted: Wanted, mesh: Mesh) -> list[Json]:
    """Everything, in the order to apply it. Raises ``ValueError`` for a name that no project has."""
    return [
        _peers(mesh),
        _gateway(mesh),
        _virtual_service(wanted, mesh),
        *([_authentication(wanted, mesh), _deny(mesh), *_allow(wanted, mesh)] if wanted.issuers else []),
        *([_custom(mesh)] if mesh.browser else []),
    ]


def _peers(mesh: Mesh) -> Json:
    return _object(_SECURITY, "PeerAuthentication", "default", mesh.namespace, {"mtls": {"mode": "STRICT"}})


def _gateway(mesh: Mesh) -> Json:
    tls = {"mode": "SIMPLE", "credentialName": mesh.credential, "minProtocolVersion": "TLSV1_2"}
    servers = [
        {
            "port": {"number": 80, "name": "http", "protocol": "HTTP"},
            "hosts": [mesh.host],
            "tls": {"httpsRedirect": True},
        },
        {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": [mesh.host], "tls": tls},
    ]
    selector = {"istio": mesh.gateway_app}
    return _object(_NETWORKING, "Gateway", "emco-gateway", mesh.namespace, {"selector": selector, "servers": servers})


def _virtual_service(wanted: Wanted, mesh: Mesh) -> Json:
    http = [_http(service, list(routes), wanted) for service, routes in groupby(wanted.routes, lambda r: r.service)]
    if mesh.browser and "orchestrator" in wanted.hosts:
        # the authorizer answers it before it gets here, but only where there is a route at all
        http.insert(0, {**_to("orchestrator", wanted), "name": "login", "match": [{"uri": {"exact": CALLBACK}}]})
    spec: Json = {"hosts": [mesh.host], "gateways": ["emco-gateway"], "http": http}
    return _object(_NETWORKING, "VirtualService", "emco", mesh.namespace, spec)


def _http(service: str, routes: Iterable[Route], wanted: Wanted) -> Json:
    match = [{"uri": {"regex": route.pattern.regex}} for route in routes]
    return {"name": service, "match": match, **_to(service, wanted)}


def _to(service: str, wanted: Wanted) -> Json:
    host, _, port = wanted.hosts[service].rpartition(":")
    return {
        "route": [{"destination": {"host": host, "port": {"number": int(port)}}}],
        # Istio would say a POST again that was answered 503; EMCO's callers decide that themselves
        "retries": {"attempts": 0},
    }


def _authentication(wanted: Wanted, mesh: Mesh) -> Json:
    rules = [
        {"issuer": issuer.url, "audiences": [wanted.audience], **({"jwksUri": issuer.keys} if issuer.keys else {})}
        for issuer in wanted.issuers
    ]
    return _at_gateway("RequestAuthentication", "emco-tokens", mesh, {"jwtRules": rules})


def _deny(mesh: Mesh) -> Json:
    spec: Json = {"action": "DENY", "rules": [{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}]}
    return _at_gateway("AuthorizationPolicy", "emco-deny-without-token", mesh, spec)


def _allow(wanted: Wanted, mesh: Mesh) -> Iterator[Json]:
    """A policy for each grant. Everybody else is refused, since there are policies that allow."""
    claim = "".join(f"[{name}]" for name in wanted.claim_path)
    for grant in wanted.grants:
        holds: Json = {"key": f"request.auth.claims{claim}", "values": [grant]}
        rules = [_rule(rule, holds) for rule in rules_of(grant)]
        yield _at_gateway(
            "AuthorizationPolicy", f"emco-allow-{_slug(grant)}", mesh, {"action": "ALLOW", "rules": rules}
        )


def _rule(rule: Rule, holds: Json) -> Json:
    excluded = [text for pattern in rule.excluded for text in paths_of(pattern)]
    named = [text for pattern in rule.paths for text in paths_of(pattern)]
    operation: Json = {
        **({"methods": list(rule.methods)} if rule.methods else {}),
        **({"paths": left} if (left := [text for text in named if text not in (*excluded, "/*")]) else {}),
        **({"notPaths": left} if (left := [text for text in excluded if text not in named]) else {}),
    }
    as_json: list[Json] = [{"key": "request.headers[accept]", "values": ["application/json"]}] if rule.as_json else []
    return {**({"to": [{"operation": operation}]} if operation else {}), "when": [holds, *as_json]}


def paths_of(pattern: Pattern) -> tuple[str, ...]:
    """A pattern as the paths of Istio: exact, with ``*`` at the end for a beginning, or with ``{*}`` for a segment."""
    templated = ONE in pattern.segments
    own = "".join("/{*}" if word == ONE else f"/{word}" for word in pattern.segments)
    if not pattern.deep:
        return (own,)
    return tuple(filter(None, (own, own + ("/{**}" if templated else "/*"))))


def _custom(mesh: Mesh) -> Json:
    spec: Json = {
        "action": "CUSTOM",
        "provider": {"name": mesh.provider},
        "rules": [
            {
                "to": [{"operation": {"hosts": [mesh.host, f"{mesh.host}:*"]}}],
                "when": [{"key": "request.headers[authorization]", "notValues": ["*"]}],
            }
        ],
    }
    return _at_gateway("AuthorizationPolicy", "emco-log-in", mesh, spec)


def _at_gateway(kind: str, name: str, mesh: Mesh, spec: Json) -> Json:
    selector = {"matchLabels": {"istio": mesh.gateway_app}}
    return _object(_SECURITY, kind, name, mesh.gateway_namespace, {"selector": selector, **spec})


def _object(version: str, kind: str, name: str, namespace: str, spec: Json) -> Json:
    labels = {"app.kubernetes.io/part-of": "emco"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _slug(grant: str) -> str:
    """A name for Kubernetes, different for different grants."""
    plain = re.sub(r"[^a-z0-9-]+", "-", grant.lower()).strip("-")
    if plain == grant.lower().replace(":", "-") and grant.partition(":")[0].islower():
        return plain[:200]
    return plain if ":" not in grant else f"{plain[:200]}-{hashlib.sha256(grant.encode()).hexdigest()[:8]}"
