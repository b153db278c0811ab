"""Is it still the cluster that was registered which answers at its address (robustness 48, karmada#5150)?

Clusters are told apart by the uid of their namespace ``kube-system``. It is recorded at the first contact; a cluster
with another one is left alone, nothing is applied or removed there, until its operator has registered it again: any
write of its access record (PUT of the cluster's kubeconfig) after the recorded one confirms what answers now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from emco_common.contextbus.api import Compare, ContextBus, Put
from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeApi, Ref, errors
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.reach.ways import Access, Identity, Open, admin_of

_log = structlog.get_logger()
RECORDS = "/rsync/clusters/"
_SYSTEM = Ref(Kind("v1", "Namespace"), "kube-system")
_CANNOT_TELL = (errors.NotFound, errors.UnknownKind, errors.Forbidden, errors.Unauthorized)


class AnotherCluster(EmcoError):
    """Not the cluster that was registered answers at its address."""

    status = 409


class SameCluster(Protocol):
    """Returns if it is the cluster that it should be, as far as anybody can tell. ``AnotherCluster``; ``KubeError``."""

    async def __call__(self, identity: Identity, client: KubeApi) -> None: ...


async def believed(identity: Identity, client: KubeApi) -> None:
    """Where nobody remembers clusters."""


def record_of(cluster: str) -> str:
    """The key under which it is remembered which cluster this is."""
    return f"{RECORDS}{cluster}/"


def remembered(bus: ContextBus, access: Access, open_way: Open) -> SameCluster:
    """By records on the bus. Only who onboarded a cluster may look at its namespaces, so others ask in their name."""

    async def check(identity: Identity, client: KubeApi) -> None:
        if isinstance(client, Indirect):
            return  # a repository is what its address says
        admin = admin_of(identity.cluster)
        try:
            way = await access(admin)
        except EmcoError:
            return  # there is nobody who could tell
        if identity == admin:
            uid = await _uid_of(client)
        else:
            uid = await _seen_through(lambda: open_way(admin, way))
        if uid:
            await _compare(bus, identity.cluster, uid=uid, registration=way.registration)

    return check


def reregistered(record: bytes, registrations: Mapping[str, str]) -> bytes:
    """A record with its registration named as it is now, where an access record was written anew with nothing new in
    it: that is not its operator's word that another cluster may answer."""
    known = _decoded(record)
    present = registrations.get(known.get("registration", ""))
    return record if present is None else json.dumps(known | {"registration": present}).encode()


async def _compare(bus: ContextBus, cluster: str, *, uid: str, registration: str) -> None:
    key = record_of(cluster)
    entry = await bus.get(key)
    known = _decoded(entry.value) if entry else {}
    present = {"uid": uid, "registration": registration}
    if known == present:
        return
    if known.get("uid") not in (None, uid) and known.get("registration") == registration:
        raise AnotherCluster(
            f"another cluster answers at this address: its kube-system has uid {uid}, that of the registered cluster "
            f"{known['uid']}; nothing is done there until the cluster is registered again (PUT of its kubeconfig)"
        )
    if known.get("uid") not in (None, uid):
        _log.warning("cluster_exchanged_by_its_operator", cluster=cluster, former=known.get("uid"), present=uid)
    # Whoever is overtaken here has seen the same cluster, or finds out at the next contact.
    await bus.transact(
        [Put(key, json.dumps(present).encode())], when=[Compare(key, entry.mod_revision if entry else 0)]
    )


async def _seen_through(make: Callable[[], KubeApi]) -> str:
    try:
        client = make()
    except EmcoError:
        return ""
    try:
        return await _uid_of(client)
    finally:
        await client.close()


async def _uid_of(client: KubeApi) -> str:
    """``""`` if it is not to be had."""
    try:
        metadata = (await client.get(_SYSTEM)).get("metadata")
    except _CANNOT_TELL:
        return ""
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""


def _decoded(value: bytes) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
