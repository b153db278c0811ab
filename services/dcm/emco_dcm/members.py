"""The clusters of a cloud, beyond what their references say: certificates they hold, deployments they carry."""

from __future__ import annotations

import base64
from dataclasses import replace

from emco_common.appcontext import AppContextStore, ContextNotFound
from emco_common.errors import Conflict
from emco_common.operations import Subject
from emco_common.store.api import Document, DocumentMissing, DocumentStore, Key, StaleRevision
from emco_dcm.clouds import REQUEST_TAG, Clouds, ClusterReference


class Members:
    """Writes by compare-and-swap; what somebody else changed meanwhile is left to the next pass."""

    def __init__(self, store: DocumentStore, clouds: Clouds, contexts: AppContextStore) -> None:
        self._store = store
        self._clouds = clouds
        self._contexts = contexts

    async def keep_certificate(self, reference: ClusterReference, pem: bytes, *, request: str) -> None:
        """Note the certificate with the reference, and which signing request it came of."""
        await self._write(reference, base64.b64encode(pem).decode(), request)

    async def forget_certificates(self, cloud: Key) -> None:
        for reference in await self._clouds.references(cloud):
            if reference.certificate or reference.request:
                await self._write(reference, "", "")

    async def refuse_to_lose_deployments(self, cloud: Subject) -> None:
        """Raises ``Conflict`` if a deployment is on a cluster that no reference names any more."""
        referred = {reference.cluster_name for reference in await self._clouds.references(cloud.key)}
        lost = await self._clusters_of(cloud.state.instance) - referred
        for group in await self._clouds.deployed_groups(cloud.key) if lost else ():
            carried = sorted(lost & await self._clusters_of_group(group))
            if carried:
                name = group.key["deploymentIntentGroup"]
                raise Conflict(
                    f"Deployment intent group {name} is still on cluster {carried[0]}, which has no Cluster Reference"
                    " any more; move or terminate it first, or add the reference again"
                )

    async def _clusters_of_group(self, group: Document) -> frozenset[str]:
        subject = Subject(group)
        known = {subject.state.instance, subject.operation.instance if subject.operation else ""}
        found = [await self._clusters_of(instance) for instance in known if instance]
        return frozenset().union(*found)

    async def _clusters_of(self, instance: str) -> frozenset[str]:
        try:
            context = await self._contexts.read(instance)
        except ContextNotFound:
            return frozenset()
        return frozenset(cluster.name for app in context.apps for cluster in app.clusters)

    async def _write(self, reference: ClusterReference, certificate: str, request: str) -> None:
        document = reference.document
        body = {**document.body, "spec": {**document.body["spec"], "certificate": certificate}}
        tags = {**document.tags, REQUEST_TAG: {"name": request}}
        try:
            await self._store.replace(replace(document, body=body, tags=tags), expected=document.revision)
        except (StaleRevision, DocumentMissing):
            return
