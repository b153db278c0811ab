"""A cluster as one deployment may change it: what only looks goes through, whatever else only as long as it is ours."""

from __future__ import annotations

from typing import Any, cast

from emco_common.kube import KubeApi
from emco_rsync.fence import Fence

LOOKS = frozenset({"server", "close", "version", "check_identity", "resource", "get", "list", "watch"})
"""By what does not write, so that a new method is fenced until somebody thinks about it."""


def fenced(client: KubeApi, fence: Fence) -> KubeApi:
    """``NotOwner`` instead of a write that is not, or not any more, this process's to make."""
    return cast(KubeApi, _Fenced(client, fence))


class _Fenced:
    def __init__(self, client: KubeApi, fence: Fence) -> None:
        self._client = client
        self._fence = fence

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name in LOOKS:
            return method

        async def write(*args: Any, **more: Any) -> Any:
            with self._fence.writing():
                return await method(*args, **more)

        return write
