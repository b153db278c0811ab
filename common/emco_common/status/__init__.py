"""What a deployment looks like now: the status query that orchestrator, dcm and others answer alike.

``parse_query`` checks what is asked, ``read_contexts`` reads what it needs, ``status_answer`` makes the body of it;
``StatusReader`` is all of that for the objects of one service, and ``notify`` what streams are made of.
"""

from emco_common.status.contexts import ContextGone, Contexts, read_contexts
from emco_common.status.manifests import Manifests
from emco_common.status.query import (
    CLUSTER_NETWORKS,
    DEPLOYMENT_INTENT_GROUP,
    LOGICAL_CLOUD,
    Dialect,
    StatusQuery,
    parse_query,
)
from emco_common.status.reader import Standing, StatusReader
from emco_common.status.render import head_of, status_answer

__all__ = [
    "CLUSTER_NETWORKS",
    "DEPLOYMENT_INTENT_GROUP",
    "LOGICAL_CLOUD",
    "ContextGone",
    "Contexts",
    "Dialect",
    "Manifests",
    "Standing",
    "StatusQuery",
    "StatusReader",
    "head_of",
    "parse_query",
    "read_contexts",
    "status_answer",
]
