"""dcm's resources, each declared once (spec dcm 2 to 4, 12)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from emco_common.errors import Conflict
from emco_common.resources.declaration import Body, Reference, Resource, Texts
from emco_common.resources.model import Named
from emco_common.store.api import Key
from emco_dcm import schemas

GROUP_KEY_NAMES = ("project", "compositeApp", "compositeAppVersion", "deploymentIntentGroup")
"""Key of what uses logical clouds; the orchestrator declares it."""


def cluster_of(body: Body, _key: Key = {}) -> Iterable[Key]:  # noqa: B006  # read only
    """The registered cluster that a cluster reference names."""
    yield {"clusterProvider": body["spec"]["clusterProvider"], "cluster": body["spec"]["cluster"]}


def _mismatch(text: str) -> Texts:
    return Texts(mismatch=text, mismatch_error=Conflict)


PROJECT = Resource(path="projects", elements=("project",), model=Named, title="Project")
"""Served by the orchestrator; here it is only what stands above a logical cloud."""

LOGICAL_CLOUD = Resource(
    path="logical-clouds",
    elements=("logicalCloud",),
    model=schemas.LogicalCloud,
    title="Logical Cloud",
    parent=PROJECT,
    put="replace",
    put_replaced=201,
    texts=Texts(
        mismatch="Logical Cloud name mismatch",
        mismatch_error=Conflict,
        delete_not_found="Logical Cloud not found",
    ),
)
CLUSTER_REFERENCE = Resource(
    path="cluster-references",
    elements=("clusterReference",),
    model=schemas.ClusterReference,
    title="Cluster reference",
    parent=LOGICAL_CLOUD,
    references=(Reference(cluster_of),),
    put="replace",
    texts=_mismatch("Cluster Reference mismatch"),
)
USER_PERMISSION = Resource(
    path="user-permissions",
    elements=("userPermission",),
    model=schemas.UserPermission,
    title="User Permission",
    parent=LOGICAL_CLOUD,
    put="replace",
    texts=_mismatch("Permission name mismatch"),
)
CLUSTER_QUOTA = Resource(
    path="cluster-quotas",
    elements=("clusterQuota",),
    model=schemas.ClusterQuota,
    title="Cluster Quota",
    parent=LOGICAL_CLOUD,
    put="replace",
    texts=replace(_mismatch("Quota name mismatch"), exists="Quota already exists"),
)
KEY_VALUES = Resource(
    path="kv-pairs",
    elements=("logicalCloudKv",),
    model=schemas.KeyValuePairs,
    title="Key Value",
    parent=LOGICAL_CLOUD,
    put="replace",
    texts=_mismatch("KV pair name mismatch"),
)
