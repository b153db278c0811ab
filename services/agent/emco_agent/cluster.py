"""The API server of the agent's own cluster, with the rights of the agent's own service account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from emco_common.errors import EmcoError
from emco_common.kube.connections import Connections
from emco_common.kube.exchange import Broken, Exchange, Request
from emco_common.kube.kubeconfig import Kubeconfig, Policy, parse_kubeconfig
from emco_common.kube.network import Network
from emco_common.kube.transport import connections_to

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD_SECONDS = 60.0
"""A service account's token is exchanged long before it ends."""
RETIRE_SECONDS = 300.0
"""An API server ends every watch within this time, and rsync begins it anew."""
CALLS = 32
"""Calls at a time; those of rsync keep below it."""
WATCHES = 512
"""Where the API server speaks HTTP/1.1 only and each needs a connection."""

Read = Callable[[], Kubeconfig]
"""How the cluster is reached now. ``NoCluster``, ``BadKubeconfig``."""


class NoCluster(EmcoError):
    """It is not known how the cluster is reached."""


def own_cluster(environment: Mapping[str, str], account: Path = ACCOUNT) -> Read:
    """As every pod is told."""

    def read() -> Kubeconfig:
        host, port = (environment.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not host or not port:
            raise NoCluster("this is not a pod of a cluster; name a kubeconfig in EMCO_AGENT_KUBECONFIG")
        try:
            token = (account / "token").read_text().strip()
            authority = (account / "ca.crt").read_bytes()
        except OSError as error:
            raise NoCluster(f"the service account in {account} cannot be read: {error.strerror}") from error
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return Kubeconfig(server, ca_data=authority, token=token)

    return read


def named_cluster(path: Path, *, policy: Policy) -> Read:
    """As a kubeconfig says, with everything inline."""

    def read() -> Kubeconfig:
        try:
            return parse_kubeconfig(path.read_bytes(), policy=policy)
        except OSError as error:
            raise NoCluster(f"{path} cannot be read: {error.strerror}") from error

    return read


class OwnCluster:
    """Calls to the API server. Credentials are read anew every minute; calls under way end with the old ones."""

    def __init__(self, read: Read, *, clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._network = Network()
        self._kubeconfig: Kubeconfig | None = None
        self._connections: Connections | None = None
        self._read_at = 0.0
        self._retiring: set[asyncio.Task[None]] = set()

    async def call(self, request: Request, *, lasting: bool) -> Exchange:
        """``OSError``, ``EmcoError``."""
        connections = self._present()
        path = urlsplit(self._kubeconfig.server).path.rstrip("/") if self._kubeconfig is not None else ""
        if path:
            request = replace(request, target=path + request.target)
        exchange = connections.watch if lasting else connections.call
        try:
            return await exchange(request)
        except Broken as error:
            # The server closed an idle connection just as it was taken up again.
            if request.method == "POST" and not error.untouched:
                raise
            return await exchange(request)

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._connections is not None:
            await self._connections.close("the agent stops")

    def _present(self) -> Connections:
        now = self._clock()
        if self._connections is not None and now - self._read_at < REREAD_SECONDS:
            return self._connections
        kubeconfig = self._read()
        self._read_at = now
        if self._connections is None or kubeconfig != self._kubeconfig:
            fresh = connections_to(kubeconfig, limit=CALLS, watches=WATCHES, network=self._network)
            if self._connections is not None:
                task = asyncio.create_task(_retire(self._connections), name="former credentials")
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
            self._connections, self._kubeconfig = fresh, kubeconfig
        return self._connections


async def _retire(connections: Connections) -> None:
    try:
        await asyncio.sleep(RETIRE_SECONDS)
    finally:
        await connections.close("the credentials were exchanged")
