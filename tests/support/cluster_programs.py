"""How the programs of a control plane are told what to be: flags, the kubeconfig, a fake node. Nothing is run here."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.certificates import Authority, KeyPair, new_key

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
SERVICES = "10.0.0.0/16"
FIRST_SERVICE = "10.0.0.1"
PODS = "10.64.0.1/12"


@dataclass(frozen=True)
class Ports:
    """Where each program listens on 127.0.0.1."""

    api: int
    etcd: int
    etcd_peer: int
    manager: int
    scheduler: int
    kwok: int

    COUNT = 6


def files(authority: Authority, admin: KeyPair, *, kubeconfig: str) -> dict[str, bytes]:
    """Everything the programs read, by the file names the commands below use."""
    hosts = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", FIRST_SERVICE]
    serving = authority.issue("kube-apiserver", hosts=hosts)
    return {
        "ca.crt": authority.certificate,
        "ca.key": authority.key,
        "serving.crt": serving.certificate,
        "serving.key": serving.key,
        "admin.crt": admin.certificate,
        "admin.key": admin.key,
        "accounts.key": new_key(),
        "kubeconfig": kubeconfig.encode(),
    }


def kubeconfig(name: str, *, server: str, authority: bytes, user: KeyPair) -> str:
    """A kubeconfig with everything inline; `authority` is the certificate the server is checked against."""
    cluster = {"server": server, "certificate-authority-data": _inline(authority)}
    credentials = {
        "client-certificate-data": _inline(user.certificate),
        "client-key-data": _inline(user.key),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "admin", "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
        "current-context": name,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _inline(content: bytes) -> str:
    return base64.b64encode(content).decode()


def commands(assets: Path, folder: Path, ports: Ports) -> dict[str, Sequence[str | Path]]:
    """The command line of each of `PROGRAMS`."""
    return {
        "etcd": [assets / "etcd", *_etcd(folder, ports)],
        "kube-apiserver": [assets / "kube-apiserver", *_apiserver(folder, ports)],
        "kube-controller-manager": [assets / "kube-controller-manager", *_manager(folder, ports)],
        "kube-scheduler": [assets / "kube-scheduler", *_controller(folder, ports.scheduler)],
        "kwok": [assets / "kwok", *_kwok(folder, ports)],
    }


def _etcd(folder: Path, ports: Ports) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver(folder: Path, ports: Ports) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.api}",
        f"--tls-cert-file={folder / 'serving.crt'}",
        f"--tls-private-key-file={folder / 'serving.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-account-issuer=https://localhost",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICES}",
        "--endpoint-reconciler-type=none",
        # Ends open watches when it is asked to stop; without it a stop waits a minute for them.
        "--shutdown-watch-termination-grace-period=1s",
    ]


def _manager(folder: Path, ports: Ports) -> list[str]:
    return [
        *_controller(folder, ports.manager),
        f"--cluster-signing-cert-file={folder / 'ca.crt'}",
        f"--cluster-signing-key-file={folder / 'ca.key'}",
        f"--service-account-private-key-file={folder / 'accounts.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--use-service-account-credentials",
        # As supplied it is 20 requests a second; large deployments would wait for that alone.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        # A heartbeat that comes late on a busy machine must not evict the pods of a test.
        "--node-monitor-grace-period=5m",
    ]


def _controller(folder: Path, port: int) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'serving.crt'}",
        f"--tls-private-key-file={folder / 'serving.key'}",
    ]


def _kwok(folder: Path, ports: Ports) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--manage-all-nodes=true",
        f"--server-address=127.0.0.1:{ports.kwok}",
        f"--cidr={PODS}",
    ]


def fake_node(name: str) -> dict[str, Any]:
    """A Node that KWOK keeps ready, with room for whatever a test deploys."""
    room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": room, "allocatable": room},
    }


def takes_pods(node: Mapping[str, Any]) -> bool:
    """Whether the node is Ready and the taint it was born with is gone."""
    conditions = node["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not node["spec"].get("taints")
