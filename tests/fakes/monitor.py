"""A stand-in for a cluster that follows a repository, with its monitor (rsync 14, monitor 5): what is in the files is
there at once and healthy, and is reported on the cluster's status branch. Neither Flux nor Anthos can be run here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.support.gitserver import GitServer

Json = dict[str, Any]
_TYPED = {
    "Pod": "podStatuses",
    "Service": "serviceStatuses",
    "ConfigMap": "configMapStatuses",
    "Deployment": "deploymentStatuses",
    "Job": "jobStatuses",
}
_HEALTHY: dict[str, Json] = {
    "Deployment": {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    "Job": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]},
    "Service": {},
}


class Monitor:
    """Of one cluster, ``provider+cluster``. ``health`` by kind is what it says of the objects there."""

    def __init__(self, server: GitServer, cluster: str) -> None:
        self.server = server
        self.cluster = cluster
        self.health = dict(_HEALTHY)
        self._told: Json = {}

    def look(self) -> None:
        """Bring the reports up to date with what the files say."""
        bundles: dict[str, Json] = {}
        objects: dict[str, list[Json]] = {}
        for path, text in self.server.files().items():
            if f"{self.cluster}/context/" not in path or not path.endswith(".yaml"):
                continue
            obj = json.loads(text)
            label = obj["metadata"].get("labels", {}).get("emco/deployment-id", "")
            if obj["kind"] == "ResourceBundleState":
                bundles[label] = obj
            elif label:
                objects.setdefault(label, []).append(obj)
        reports = {label: self._report(bundle, objects.get(label, [])) for label, bundle in bundles.items()}
        changed: dict[str, str | None] = {self._path(label): None for label in self._told if label not in reports}
        changed |= {self._path(label): json.dumps(r) for label, r in reports.items() if self._told.get(label) != r}
        if changed:
            self.server.commit(changed, branch=self.cluster, message=f"Adding Status to branch {self.cluster}")
        self._told = reports

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Monitor]:
        """It looks again and again."""

        async def run() -> None:
            while True:
                await asyncio.to_thread(self.look)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(run())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _report(self, bundle: Json, objects: list[Json]) -> Json:
        status: Json = {"ready": False, "resourceCount": 0}
        for obj in objects:
            field = _TYPED.get(obj["kind"])
            if field:
                health = self.health.get(obj["kind"])
                entry = {**obj, "status": health} if health is not None else obj
                if obj["kind"] == "Service":
                    entry = {**entry, "spec": {"clusterIP": "10.0.0.1", **obj["spec"]}}
                status.setdefault(field, []).append(entry)
        return {**bundle, "status": status}

    def _path(self, label: str) -> str:
        context, _, app = label.partition("-")
        return f"clusters/{self.cluster}/status/{context}/app/{app}/{label}"
