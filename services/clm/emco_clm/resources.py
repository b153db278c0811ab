"""clm's resources, each declared once (spec clm 3 to 8, 12)."""

from __future__ import annotations

from collections.abc import Iterable

from emco_clm import schemas
from emco_common.kube.kubeconfig import parse_kubeconfig
from emco_common.resources.declaration import Body, Query, Reference, Resource, Texts, Upload
from emco_common.resources.model import Named
from emco_common.store.api import Key

CONTROLLER_GROUP = "cluster"
FORCE = "force"
_ONE_VALUE = {"key": Query("Answer the first value of this key", schemas.KeyedValue)}


def _label(body: Body) -> tuple[str, ...]:
    return (body["clusterLabel"],)


def is_direct(body: Body) -> bool:
    """Whether the cluster is reached by a kubeconfig, and not through Git or an agent."""
    return not body["spec"]["gitOps"]["gitOpsType"]


def sync_objects_of(body: Body, key: Key) -> Iterable[Key]:
    """The sync objects that hold the credentials of a cluster without kubeconfig."""
    if not is_direct(body):
        named = {body["spec"]["gitOps"][member] for member in ("gitOpsReferenceObject", "gitOpsResourceObject")}
        for name in sorted(named - {""}):
            yield {"clusterProvider": key["clusterProvider"], "clusterSyncObject": name}


PROVIDER = Resource(
    path="cluster-providers",
    elements=("clusterProvider",),
    model=Named,
    title="Cluster provider",
    put_replaced=201,
    texts=Texts(exists="ClusterProvider already exists"),
)
CLUSTER = Resource(
    path="clusters",
    elements=("cluster",),
    model=schemas.Cluster,
    title="Cluster",
    parent=PROVIDER,
    references=(Reference(sync_objects_of),),
    upload=Upload(check=parse_kubeconfig, needed=is_direct, filename="kubeconfig", put_form_only=True),
    list_requires=(PROVIDER,),
    put="replace",
    write_queries={FORCE: "DELETE only: `true` gives up what was applied to a cluster that will not come back"},
    queries={
        "label": Query("Answer the names of the clusters that carry this label", list[str]),
        "withLabels": Query("`true` answers all clusters with their labels", list[schemas.LabelledCluster]),
    },
)
LABEL = Resource(
    path="labels",
    elements=("clusterLabel",),
    model=schemas.ClusterLabel,
    title="Cluster label",
    parent=CLUSTER,
    names=_label,
    list_requires=(CLUSTER,),
    put_replaced=201,
    texts=Texts(exists="Cluster Label already exists", mismatch="Mismatched label name in PUT request"),
)
KEY_VALUES = Resource(
    path="kv-pairs",
    elements=("clusterKv",),
    model=schemas.KeyValuePairs,
    title="Cluster key value pair",
    parent=CLUSTER,
    list_requires=(CLUSTER,),
    put_replaced=201,
    item_queries=_ONE_VALUE,
    texts=Texts(exists="Cluster KV Pair already exists", mismatch="Mismatched Key Value pair name in PUT request"),
)
SYNC_OBJECT = Resource(
    path="cluster-sync-objects",
    elements=("clusterSyncObject",),
    model=schemas.SyncObject,
    title="Cluster sync object",
    parent=PROVIDER,
    requires=(PROVIDER,),
    get_requires=True,
    put_replaced=201,
    item_queries=_ONE_VALUE,
    texts=Texts(
        exists="Cluster Sync Objects already exists", mismatch="Mismatched cluster sync object name in PUT request"
    ),
)
CONTROLLER = Resource(
    path="clm-controllers",
    elements=("controller",),
    model=schemas.ClmController,
    title="ClmController",
    fixed={"controllerGroup": CONTROLLER_GROUP},
    put_created=200,
)
