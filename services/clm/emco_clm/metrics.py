"""What clm counts: providers and clusters (spec clm 1)."""

from __future__ import annotations

from emco_clm.resources import CLUSTER, PROVIDER
from emco_common.web.gauges import StoredGauge

GAUGES = (
    StoredGauge(
        "emco_cluster_provider",
        "Registered providers",
        PROVIDER,
        ("name",),
        lambda found: [found.key["clusterProvider"]],
    ),
    StoredGauge(
        "emco_cluster",
        "Registered clusters",
        CLUSTER,
        ("name", "cluster_provider"),
        lambda found: [found.key["cluster"], found.key["clusterProvider"]],
    ),
)
