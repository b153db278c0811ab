"""A resource synchronizer whose clusters follow a repository on a real Git server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.store.api import AlreadyExists, Document
from tests.support.gitserver import GitServer
from tests.unit.rsync.rig import Rig, running

QUICK = {"git_poll": 0.2, "git_timeout": 20.0, "git_report_grace": 0.5, "probe_timeout": 10.0}
Pairs = Sequence[Mapping[str, str]]


async def put_sync_object(rig: Rig, name: str, pairs: Pairs) -> None:
    """As clm keeps it."""
    record = f"cluster sync object p/{name}"
    sealed = [{k: rig.deps.sealer.seal(v.encode(), record=record) for k, v in pair.items()} for pair in pairs]
    key = {"clusterProvider": "p", "clusterSyncObject": name}
    document = Document(key=key, body={"metadata": {"name": name}, "spec": {"kv": sealed}}, tags={})
    try:
        await rig.deps.store.create(document)
    except AlreadyExists:
        await rig.deps.store.replace(document)


async def register(rig: Rig, cluster: str, kind: str, *, level: str = "0", namespace: str = "default") -> None:
    gitops = {"gitOpsType": kind, "gitOpsReferenceObject": "repo", "gitOpsResourceObject": "times"}
    await CloudConfigs(rig.deps.store, rig.deps.sealer).put(Access("p", cluster, level, namespace, gitops=gitops))


@asynccontextmanager
async def gitops(
    folder: Path, server: GitServer, clusters: Mapping[str, str], *, times: Pairs = (), **settings: Any
) -> AsyncIterator[Rig]:
    """``clusters``: type by name."""
    async with running(folder, **{**QUICK, **settings}) as rig:
        await put_sync_object(rig, "repo", server.pairs())
        await put_sync_object(rig, "times", times)
        for name, kind in clusters.items():
            await register(rig, name, kind)
        yield rig


def objects(server: GitServer) -> dict[str, Any]:
    """Path and content of what the repository holds beside what others have."""
    return {path: json.loads(text) for path, text in server.files().items() if path.endswith((".yaml", ".json"))}
