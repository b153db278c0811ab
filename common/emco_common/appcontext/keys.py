"""The key layout of the context bus (appcontext.md 1, 3, 4), and nothing about values. Pure.

A context ``H`` holds apps, an app holds clusters, a cluster holds resources; every key ends with ``/``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from emco_common.contextbus.api import Entry

CONTEXTS = "/context/"
"""Every context lies below this prefix."""

ACTIVE = "/activecontext/"
"""Contexts with work in progress, for the resource synchronizer after a restart (rsync.md 6)."""

APP_ORDER = "app/instruction/order/"
APP_DEPENDENCY = "app/instruction/dependency/"
META = "meta/"
STOP_FLAG = "stopflag/"
ORIGIN = "origin/"
STATUS_CONTEXT = "statusappctxid/"
STATUS = "status/"
CURRENT_STATE = "rsync/state/CurrentState/"
DESIRED_STATE = "rsync/state/DesiredState/"
PENDING_TERMINATE = "rsync/state/PendingTerminateFlag/"
QUEUE = "rsync/AppContextEventQueue/"
START_DEPENDENCY = "instruction/dependency/"
GROUP = "!@#metaGrp/"
RESOURCE_ORDER = "resource/instruction/order/"
RESOURCE_DEPENDENCY = "resource/instruction/dependency/"
CONNECTIVITY = "readystatus/"
READY = "resourcesready/"
REFERENCE = "reference/"
APPROVAL = "subresource/approval/"
SUBRESOURCE_ORDER = "subresource/instruction/order/"
RESOURCE_READY = "resready/"
RESOURCE_SUCCESS = "ressuccess/"
DEFINITION = "definition/"
INSTALLED = "installed/"
"""Ours, in the status context: which context's app is complete on the cluster, so that an update knows what is new."""
PHASE = "phase/"
"""Ours, in the context that is worked on: as what its app came to the cluster, so that its hooks are known."""
DELIVERY = "delivery/"
"""Ours: how the context is to be delivered, a JSON object; not there where nothing beyond the usual is asked for."""
GIVEN_UP = "givenup/"
"""Ours: the clusters that are not waited for when the context is removed, a list of names (lifecycle defect 33)."""
DRIFT = "drift/"
"""Ours, beside a resource: what others have changed of it on the cluster since it was applied; empty for nothing."""
REASON = "error/"
"""Ours, beside the original's: why a context, cluster or resource is not as it should be; empty when all is well."""

INSTRUCTION = "instruction"
"""No app and no resource may have this name: it would collide with the instruction keys."""

_LABEL_LENGTH = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


# Of a whole context


def root(context: str) -> str:
    """``H``: its existence is the existence of the context."""
    return f"{CONTEXTS}{context}/"


def meta(context: str) -> str:
    return root(context) + META


def app_order(context: str) -> str:
    return root(context) + APP_ORDER


def app_dependency(context: str) -> str:
    """What nobody reads, but every creator writes; see ``start_dependency`` for what is used."""
    return root(context) + APP_DEPENDENCY


def origin(context: str) -> str:
    """What the context was made from; ours, for people."""
    return root(context) + ORIGIN


def stop_flag(context: str) -> str:
    return root(context) + STOP_FLAG


def status_context(context: str) -> str:
    """Where it is said in which context the status of this one is collected (section 7)."""
    return root(context) + STATUS_CONTEXT


def status(context: str) -> str:
    return root(context) + STATUS


def current_state(context: str) -> str:
    return root(context) + CURRENT_STATE


def desired_state(context: str) -> str:
    return root(context) + DESIRED_STATE


def pending_terminate(context: str) -> str:
    return root(context) + PENDING_TERMINATE


def queue(context: str) -> str:
    return root(context) + QUEUE


def given_up(context: str) -> str:
    return root(context) + GIVEN_UP


def delivery(context: str) -> str:
    return root(context) + DELIVERY


def reason(context: str) -> str:
    return root(context) + REASON


def active(context: str) -> str:
    return f"{ACTIVE}{context}/"


# Of an app


def apps(context: str) -> str:
    """What the keys of all apps begin with."""
    return f"{root(context)}app/"


def app(context: str, app: str) -> str:
    return f"{apps(context)}{app}/"


def start_dependency(context: str, app_name: str) -> str:
    """What must be there before the app starts (section 6.2, the array form)."""
    return app(context, app_name) + START_DEPENDENCY


# Of an app's cluster


def cluster(context: str, app_name: str, cluster: str) -> str:
    return f"{app(context, app_name)}cluster/{cluster}/"


def cluster_group(context: str, app_name: str, cluster_name: str) -> str:
    return cluster(context, app_name, cluster_name) + GROUP


def resource_order(context: str, app_name: str, cluster_name: str) -> str:
    return cluster(context, app_name, cluster_name) + RESOURCE_ORDER


def resource_dependency(context: str, app_name: str, cluster_name: str) -> str:
    """Where hooks and CRDs are listed (section 6.3)."""
    return cluster(context, app_name, cluster_name) + RESOURCE_DEPENDENCY


def cluster_status(context: str, app_name: str, cluster_name: str) -> str:
    return cluster(context, app_name, cluster_name) + STATUS


def cluster_reason(context: str, app_name: str, cluster_name: str) -> str:
    return cluster(context, app_name, cluster_name) + REASON


# Of a resource


def resource(context: str, app_name: str, cluster_name: str, resource: str) -> str:
    return f"{cluster(context, app_name, cluster_name)}resource/{resource}/"


def approval(context: str, app_name: str, cluster_name: str, resource_name: str) -> str:
    return resource(context, app_name, cluster_name, resource_name) + APPROVAL


def subresource_order(context: str, app_name: str, cluster_name: str, resource_name: str) -> str:
    return resource(context, app_name, cluster_name, resource_name) + SUBRESOURCE_ORDER


def resource_reason(context: str, app_name: str, cluster_name: str, resource_name: str) -> str:
    return resource(context, app_name, cluster_name, resource_name) + REASON


# Back from a key, and names

_NAME = rf"(?!{INSTRUCTION}/)([^/]+)(?:/|$)"
_PLACE = re.compile(rf"{CONTEXTS}([^/]*)/?(?:app/{_NAME}(?:cluster/{_NAME}(?:resource/{_NAME})?)?)?(.*)", re.DOTALL)
"""One expression, as a large context has tens of thousands of keys, and every one of them is parsed."""
_WORDS = ("", "context", "app", "cluster", "resource")
_LEAF = 9
"""Slashes before the leaf of a resource."""


class Place(NamedTuple):
    """Where a key lies. ``leaf`` is what remains below the deepest of context, app, cluster and resource."""

    context: str
    app: str = ""
    cluster: str = ""
    resource: str = ""
    leaf: str = ""


Placed = tuple[Place, Entry]


def parse(key: str) -> Place | None:
    """The place of a key below ``/context/``, or ``None`` for a key that lies elsewhere."""
    parts = key.split("/", _LEAF)
    if len(parts) > _LEAF:  # most are, and to take these apart is quicker
        start, contexts, context, app, app_name, cluster, cluster_name, resource, name, leaf = parts
        words, names = (start, contexts, app, cluster, resource), (app_name, cluster_name, name)
        if words == _WORDS and all(names) and INSTRUCTION not in names:
            return Place(context, app_name, cluster_name, name, leaf)
    found = _PLACE.match(key)
    return None if found is None else Place(*found.groups(""))


def placed(entries: Iterable[Entry]) -> list[Placed]:
    """What lies below ``/context/``, each with its place: a large context is taken apart once, however many read it."""
    return [(place, entry) for entry in entries if (place := parse(entry.key)) is not None]


def order_of(name: str) -> bytes:
    """Sorts names as the bus lists their keys: ``a+b-1`` before ``a+b``."""
    return f"{name}/".encode()


def cluster_name(provider: str, cluster: str) -> str:
    return f"{provider}+{cluster}"


def split_cluster_name(name: str) -> tuple[str, str]:
    """Provider and cluster; ``ValueError`` unless there is exactly one ``+`` with text on both sides."""
    provider, _, cluster = name.partition("+")
    if not provider or not cluster or "+" in cluster:
        raise ValueError(f"{name!r} is not a cluster name of the form provider+cluster")
    return provider, cluster


def resource_name(name: str, kind: str) -> str:
    return f"{name}+{kind}"


def deployment_label(status_context: str, app_name: str) -> str:
    """The value of the label ``emco/deployment-id``, also the name of the object that collects status (section 3).

    Where ``<id>-<app>`` is not a valid label value and object name (D12) the app is replaced by a digest of it. Who
    has a label and looks for the app compares with the labels of the context's apps.
    """
    plain = f"{status_context}-{app_name}"
    if len(plain) <= _LABEL_LENGTH and _LABEL.fullmatch(plain):
        return plain
    return f"{status_context}-{hashlib.sha256(app_name.encode()).hexdigest()[:24]}"


def context_of_label(label: str) -> str:
    """The status context of the deployment whose label it is."""
    return label.partition("-")[0]


def is_label_of(label: str, status_context: str) -> bool:
    """Is it the label of one of the deployment's apps, whichever?"""
    return label.startswith(f"{status_context}-")
