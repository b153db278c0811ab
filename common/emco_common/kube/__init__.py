"""The door to a Kubernetes cluster: ``kubeconfig`` reads how to reach it, ``client`` talks to it, ``errors`` says what
went wrong. No module outside this package opens a connection to an API server."""

from emco_common.kube.api import Carrier, KubeApi, ObjectList, Ref, WatchEvent
from emco_common.kube.client import KubeClient, encode, kind_of, ref_of
from emco_common.kube.discovery import Kind, Resource
from emco_common.kube.errors import KubeError
from emco_common.kube.kubeconfig import BadKubeconfig, Kubeconfig, Policy, parse_kubeconfig

__all__ = [
    "BadKubeconfig",
    "Carrier",
    "Kind",
    "KubeApi",
    "KubeClient",
    "KubeError",
    "Kubeconfig",
    "ObjectList",
    "Policy",
    "Ref",
    "Resource",
    "WatchEvent",
    "encode",
    "kind_of",
    "parse_kubeconfig",
    "ref_of",
]
