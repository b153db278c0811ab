"""Sets of values that the charts are rendered with."""

from __future__ import annotations

from typing import Any

ISSUER = "https://keycloak.example.com/realms/enterprise1"
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
SETS: dict[str, dict[str, Any]] = {
    "as supplied": {},
    "highly available": {
        "global": {"repository": "registry.example.com/emco/", "emcoTag": "1.2.3", "imagePullSecrets": ["pull"]},
        "defaults": {"replicas": 3, "priorityClassName": "system-cluster-critical"},
        "services": {"rsync": {"replicas": 2, "env": {"EMCO_RSYNC_CLUSTER_TIMEOUT": "20"}}},
        "etcd": {"replicas": 3},
        "backup": {"enabled": True, "keep": 30, "persistence": {"storageClass": "slow", "size": "50Gi"}},
        "mongo": {"persistence": {"storageClass": "fast", "size": "100Gi"}},
    },
    "stores of one's own": {
        "mongo": {"enabled": False, "external": {"existingSecret": "store", "tlsSecret": "store-tls"}},
        "etcd": {
            "enabled": False,
            "external": {"existingSecret": "bus", "tlsSecret": "bus-tls", "clientCertificate": True},
        },
        "backup": {"enabled": True, "existingClaim": "nightly"},
        "dataKey": {"existingSecret": "key"},
    },
    "stores by their URLs": {
        "mongo": {"enabled": False, "external": {"url": "mongodb://u:p@m1,m2/emco?replicaSet=rs"}},
        "etcd": {"enabled": False, "external": {"url": "etcd://u:p@e1:2379,e2:2379"}},
    },
    "secrets of one's own": {
        "mongo": {"existingSecret": "mongo-own"},
        "etcd": {"existingSecret": "etcd-own"},
        "dataKey": {"existingSecret": "key"},
    },
    "published": {
        "oidc": {"issuers": [ISSUER], "caSecret": "issuer-ca", "claim": "resource_access.emco.roles"},
        "expose": {
            "ingress": {"enabled": True, "host": "emco.example.com", "tlsSecret": "tls", "className": "nginx"},
            "nodePorts": {"enabled": True},
        },
        "agents": {
            "enabled": True,
            "tlsSecret": "agents",
            "clientCa": True,
            "service": {"type": "NodePort", "nodePort": 30434},
        },
    },
    "watched": {
        "oidc": {"issuers": [ISSUER]},
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "tokenSecret": {"name": "viewer"}},
            "prometheusRule": {"enabled": True},
            "dashboard": {"enabled": True},
        },
        "networkPolicy": {"metricsFrom": [PEER], "from": [PEER]},
    },
    "in a mesh": {
        "oidc": {"issuers": [ISSUER, "https://other.example.com"]},
        "istio": {"enabled": True, "host": "emco.example.com", "projects": ["alpha", "A.b_c"]},
    },
    "in a mesh, with browsers": {
        "oidc": {"issuers": [ISSUER]},
        "istio": {"enabled": True, "host": "emco.example.com", "browser": {"image": "authservice:1"}},
        "agents": {"enabled": True, "plaintext": True},
    },
    "mutual TLS between services": {"grpc": {"tls": {"enabled": True}}, "agents": {"enabled": True, "plaintext": True}},
    "a certificate of one's own between services": {
        "grpc": {"tls": {"enabled": True, "mutual": False, "existingSecret": "grpc-own"}}
    },
    "certificates of cert-manager": {
        "grpc": {"tls": {"enabled": True, "certManager": {"issuerRef": {"name": "ours", "kind": "ClusterIssuer"}}}}
    },
    "small and for a trial": {
        "global": {"flavor": "small", "pullPolicy": "Never", "loglevel": "debug"},
        "mongo": {"persistence": {"enabled": False}},
        "etcd": {"persistence": {"enabled": False}},
        "networkPolicy": {"enabled": False},
        "register": {"enabled": False},
    },
}
"""Together they set everything there is to be set."""
