"""The kubeconfig of a cloud's user, made of the registered one and the issued certificate (spec dcm 8.2). Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from emco_common import kubeyaml
from emco_common.kube.kubeconfig import Kubeconfig, Policy, parse_kubeconfig

Json = dict[str, Any]
_AS_REGISTERED = Policy(allow_http=True, allow_insecure_tls=True, allow_server_name=True, unchecked_certificates=True)
"""What a cluster may be registered with was decided by clm; here only the way to the cluster is taken over."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the user is: PEM texts."""

    user: str
    certificate: bytes
    key: bytes = field(repr=False)


def way_of(admin: bytes) -> Kubeconfig:
    """The way to the cluster that a registered kubeconfig names, by its current context (defect 21).

    Raises ``BadKubeconfig``.
    """
    return parse_kubeconfig(admin, policy=_AS_REGISTERED)


def user_kubeconfig(way: Kubeconfig, credentials: Credentials, *, reference: str, namespace: str) -> Json:
    """For one cluster, which goes by the name of its cluster reference."""
    context = f"{credentials.user}@{reference}"
    user = {
        "client-certificate-data": _inline(credentials.certificate),
        "client-key-data": _inline(credentials.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"cluster": _cluster(way), "name": reference}],
        "contexts": [
            {"context": {"cluster": reference, "namespace": namespace, "user": credentials.user}, "name": context}
        ],
        "current-context": context,
        "preferences": {},
        "users": [{"name": credentials.user, "user": user}],
    }


def merged(kubeconfigs: Sequence[Json]) -> Json:
    """One with a context per cluster; the user has another certificate on each, and so another name."""
    answer: Json = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [],
        "contexts": [],
        "preferences": {},
        "users": [],
    }
    for one in kubeconfigs:
        (named,), name = one["contexts"], one["current-context"]
        answer["clusters"] += one["clusters"]
        answer["contexts"].append({"context": {**named["context"], "user": name}, "name": name})
        answer["users"].append({**one["users"][0], "name": name})
    answer["current-context"] = kubeconfigs[0]["current-context"] if kubeconfigs else ""
    return answer


def dump(kubeconfig: Json) -> bytes:
    return kubeyaml.dump(kubeconfig).encode()


def certificate_in(kubeconfig: bytes) -> bytes:
    """The client certificate of a kubeconfig made here."""
    return way_of(kubeconfig).client_certificate or b""


def _cluster(way: Kubeconfig) -> Json:
    cluster: Json = {}
    if way.ca_data is not None:
        cluster["certificate-authority-data"] = _inline(way.ca_data)
    cluster["server"] = way.server
    if way.server_name:
        cluster["tls-server-name"] = way.server_name
    if not way.verify:
        cluster["insecure-skip-tls-verify"] = True
    return cluster


def _inline(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
