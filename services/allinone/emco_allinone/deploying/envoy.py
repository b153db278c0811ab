"""A configuration for Envoy alone: the same routes, the same tokens, the same roles, without a mesh. Pure.

It is what Istio makes of the resources beside it, written by hand: JWT authentication, RBAC on the claims, routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from emco_allinone.deploying.wanted import Issuer, Json, Wanted
from emco_common.access.patterns import Pattern
from emco_common.access.roles import JSON_TYPE, Rule, rules_of

_TYPE = "type.googleapis.com/envoy.extensions"
_TOKEN = "emco_token"
_SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Listening:
    """``certificate`` and ``key`` name PEM files; without them it speaks plain HTTP."""

    address: str = "0.0.0.0"
    port: int = 9443
    certificate: str = ""
    key: str = ""
    issuers_ca: str = _SYSTEM_CAS


def configuration(wanted: Wanted, listening: Listening) -> Json:
    """Raises ``ValueError`` where an issuer's keys are not known, or a project has no such name."""
    clusters = [_cluster(name, at) for name, at in wanted.hosts.items()]
    clusters += [_issuer_cluster(issuer, listening) for issuer in wanted.issuers]
    return {"static_resources": {"listeners": [_listener(wanted, listening)], "clusters": clusters}}


def _listener(wanted: Wanted, listening: Listening) -> Json:
    manager: Json = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "emco",
        "use_remote_address": True,
        # one spelling of a path, or none: what RBAC sees must be what the service sees
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "stream_idle_timeout": "300s",
        "route_config": {
            "name": "emco",
            "virtual_hosts": [{"name": "emco", "domains": ["*"], "routes": _routes(wanted)}],
        },
        "http_filters": [
            *([_jwt(wanted), _rbac(wanted)] if wanted.issuers else []),
            {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
        ],
    }
    chain: Json = {"filters": [{"name": "http", "typed_config": manager}]}
    if listening.certificate:
        pem = {"certificate_chain": _file(listening.certificate), "private_key": _file(listening.key)}
        tls = {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [pem], "alpn_protocols": ["h2", "http/1.1"]},
        }
        chain["transport_socket"] = {"name": "tls", "typed_config": tls}
    return {"name": "emco", "address": _address(listening.address, listening.port), "filter_chains": [chain]}


def _routes(wanted: Wanted) -> list[Json]:
    return [
        {
            "name": f"{route.service} {route.pattern.text}",
            "match": {"safe_regex": {"regex": route.pattern.regex}},
            "route": {"cluster": route.service, "timeout": "0s"},
        }
        for route in wanted.routes
    ]


def _jwt(wanted: Wanted) -> Json:
    providers: Json = {_named(issuer): _provider(issuer, wanted) for issuer in wanted.issuers}
    each = [{"provider_name": name} for name in providers]
    needed = each[0] if len(each) == 1 else {"requires_any": {"requirements": each}}
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": f"{_TYPE}.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": [{"match": {"prefix": "/"}, "requires": needed}],
        },
    }


def _provider(issuer: Issuer, wanted: Wanted) -> Json:
    if not issuer.keys:
        raise ValueError(f"where the keys of {issuer.url} are is not known; say it")
    return {
        "issuer": issuer.url,
        "audiences": [wanted.audience],
        "require_expiration": True,
        "clock_skew_seconds": max(1, wanted.leeway),  # 0 would be its own minute
        "payload_in_metadata": _TOKEN,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "remote_jwks": {
            "http_uri": {"uri": issuer.keys, "cluster": _named(issuer), "timeout": "5s"},
            "cache_duration": "60s",  # it does not look again for a key that it does not know
            "async_fetch": {},
        },
    }


def _rbac(wanted: Wanted) -> Json:
    policies: Json = {
        f"{grant} {number}": {"permissions": [_permission(rule)], "principals": [_holding(grant, wanted)]}
        for grant in wanted.grants
        for number, rule in enumerate(rules_of(grant))
    }
    rules = {"action": "ALLOW", "policies": policies}
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {"@type": f"{_TYPE}.filters.http.rbac.v3.RBAC", "rules": rules},
    }


def _permission(rule: Rule) -> Json:
    each: list[Json] = [_any_of(_path(pattern) for pattern in rule.paths)]
    if rule.methods:
        each.append(_any_of(_header(":method", method) for method in rule.methods))
    if rule.excluded:
        each.append({"not_rule": _any_of(_path(pattern) for pattern in rule.excluded)})
    if rule.as_json:
        each.append(_header("accept", JSON_TYPE))
    return {"and_rules": {"rules": each}}


def _path(pattern: Pattern) -> Json:
    return {"url_path": {"path": {"safe_regex": {"regex": pattern.regex}}}}


def _header(name: str, value: str) -> Json:
    return {"header": {"name": name, "string_match": {"exact": value}}}


def _any_of(rules: Iterable[Json]) -> Json:
    return {"or_rules": {"rules": list(rules)}}


def _holding(grant: str, wanted: Wanted) -> Json:
    """The claim is a text, or a list that holds it."""
    exact: Json = {"string_match": {"exact": grant}}
    either = {"or_match": {"value_matchers": [exact, {"list_match": {"one_of": exact}}]}}
    path = [{"key": key} for key in (_TOKEN, *wanted.claim_path)]
    held = {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": either}
    return {"sourced_metadata": {"metadata_matcher": held}}


def _cluster(name: str, at: str) -> Json:
    host, _, port = at.rpartition(":")
    endpoint = {"endpoint": {"address": _address(host, int(port))}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _issuer_cluster(issuer: Issuer, listening: Listening) -> Json:
    keys = urlsplit(issuer.keys)
    port = keys.port or (443 if keys.scheme == "https" else 80)
    cluster = _cluster(_named(issuer), f"{keys.hostname}:{port}")
    if keys.scheme == "https":
        trusted = {
            "trusted_ca": _file(listening.issuers_ca),
            "match_typed_subject_alt_names": [_name(keys.hostname or "")],
        }
        tls = {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": keys.hostname,
            "common_tls_context": {"validation_context": trusted},
        }
        cluster["transport_socket"] = {"name": "tls", "typed_config": tls}
    return cluster


def _name(host: str) -> Json:
    return {"san_type": "DNS", "matcher": {"exact": host}}


def _named(issuer: Issuer) -> str:
    return f"issuer {issuer.url}"


def _file(name: str) -> Json:
    return {"filename": name}


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}
