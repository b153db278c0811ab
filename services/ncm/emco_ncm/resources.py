"""ncm's resources, each declared once (spec ncm 2)."""

from __future__ import annotations

from emco_common.resources.declaration import Resource, Texts
from emco_common.resources.model import Named
from emco_ncm import schemas

CONTROLLER_GROUP = "ncm"
PENDING = "pending"
_PENDING = {PENDING: "`true` changes the intents of an applied cluster; the networks follow at the next `update`"}

_TEXTS = Texts(unnamed="Missing name in PUT request")

PROVIDER = Resource(path="cluster-providers", elements=("clusterProvider",), model=Named, title="Cluster provider")
CLUSTER = Resource(path="clusters", elements=("cluster",), model=Named, title="Cluster", parent=PROVIDER)
"""Served by clm; here they are only what stands above the networks."""

CLUSTER_KV_NAMES = (*CLUSTER.key_names, "clusterKv")
"""Key of the key-value pairs of a cluster; clm declares it."""

NETWORK = Resource(
    path="networks",
    elements=("network",),
    model=schemas.Network,
    title="Network",
    parent=CLUSTER,
    requires=(CLUSTER,),
    put_replaced=201,
    write_queries=_PENDING,
    texts=_TEXTS,
)
PROVIDER_NETWORK = Resource(
    path="provider-networks",
    elements=("providerNetwork",),
    model=schemas.ProviderNetwork,
    title="ProviderNet",
    parent=CLUSTER,
    requires=(CLUSTER,),
    put_replaced=201,
    write_queries=_PENDING,
    texts=_TEXTS,
)
CONTROLLER = Resource(
    path="ncm-controllers",
    elements=("controller",),
    model=schemas.NcmController,
    title="NcmController",
    fixed={"controllerGroup": CONTROLLER_GROUP},
    texts=Texts(exists="NcmController already exists"),
)
