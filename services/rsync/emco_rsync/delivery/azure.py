"""What makes Azure Arc follow a deployment (rsync 14.4): a token, the Flux extension, one configuration per deployment.

Every answer's code is looked at, and no secret gets into a message (D12, D15).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from emco_common.kube import errors
from emco_rsync.delivery.git.errors import without
from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.layout import ADMIN_LEVEL, Consignment, Json, Layout
from emco_rsync.delivery.timing import BadResourceObject, timing_of

REQUIRED = ("clientID", "tenantID", "clientSecret", "subscriptionID", "arcCluster", "arcResourceGroup")
EXTENSION_API = "2021-09-01"
CONFIGURATION_API = "2022-03-01"
REMOVAL_API = "2021-11-01-preview"
_RESOURCE = "https://management.core.windows.net/"
_LONGEST_ANSWER = 2**20


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """Where Azure is; other clouds of it have other addresses. ``timeout`` seconds for one request."""

    login: str = "https://login.microsoftonline.com"
    management: str = "https://management.azure.com"
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class _Account:
    tenant: str
    client: str
    subscription: str
    group: str
    cluster: str
    secret: str = field(repr=False)


class AzureArc:
    """One registered cluster. ``BadResourceObject`` if the pairs do not describe it."""

    def __init__(self, options: Mapping[str, str], settings: AzureSettings) -> None:
        if not all(options.get(name) for name in REQUIRED):
            missing = ", ".join(name for name in REQUIRED if not options.get(name))
            raise BadResourceObject(f"Missing Information for Azure Arc V2: {missing}")
        self._account = _Account(
            tenant=options["tenantID"],
            client=options["clientID"],
            subscription=options["subscriptionID"],
            group=options["arcResourceGroup"],
            cluster=options["arcCluster"],
            secret=options["clientSecret"],
        )
        self._settings = settings

    async def configure(self, layout: Layout, of: Consignment, remote: Remote, options: Mapping[str, str]) -> None:
        """Any ``KubeError``. Safe to repeat."""
        async with self._session() as session:
            token = await self._token(session)
            await self._call(session, "PUT", self._url("extensions/flux", EXTENSION_API), token, EXTENSION)
            body = {"properties": properties(layout, of, remote, options)}
            await self._call(session, "PUT", self._configuration(of, CONFIGURATION_API), token, body)

    async def remove(self, of: Consignment, options: Mapping[str, str]) -> None:
        """Any ``KubeError``; what is not there is gone."""
        async with self._session() as session:
            token = await self._token(session)
            try:
                await self._call(session, "DELETE", self._configuration(of, REMOVAL_API), token)
            except errors.NotFound:
                return

    async def _token(self, session: aiohttp.ClientSession) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._account.client,
            "client_secret": self._account.secret,
            "resource": _RESOURCE,
        }
        url = f"{self._settings.login}/{quote(self._account.tenant, safe='')}/oauth2/token"
        answer = await self._send(session, "POST", url, data=form)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise errors.BadAnswer("Azure: the answer holds no access token")
        return token

    async def _call(
        self, session: aiohttp.ClientSession, method: str, url: str, token: str, body: Json | None = None
    ) -> Json:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=UTF-8"}
        data = None if body is None else json.dumps(body).encode()
        return await self._send(session, method, url, headers=headers, data=data, secret=token)

    async def _send(
        self, session: aiohttp.ClientSession, method: str, url: str, *, secret: str = "", **more: Any
    ) -> Json:
        try:
            async with session.request(method, url, allow_redirects=False, **more) as response:
                content = await response.content.read(_LONGEST_ANSWER)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unreachable(f"Azure: {method} {_path(url)}: {type(error).__name__}") from None
        if status not in (200, 201, 202, 204):
            words = without(_words(content), (self._account.secret, secret))
            raise _error(status, f"Azure: {method} {_path(url)} was answered with {status}: {errors.clean(words)}")
        found = _decoded(content)
        return found if isinstance(found, dict) else {}

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._settings.timeout), trust_env=True)

    def _url(self, rest: str, version: str) -> str:
        account = self._account
        subscription, group, cluster = (
            quote(one, safe="") for one in (account.subscription, account.group, account.cluster)
        )
        return (
            f"{self._settings.management}/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.Kubernetes/connectedClusters/{cluster}"
            f"/providers/Microsoft.KubernetesConfiguration/{rest}?api-version={version}"
        )

    def _configuration(self, of: Consignment, version: str) -> str:
        return self._url(f"fluxConfigurations/{name_of(of)}", version)


EXTENSION: Json = {
    "aksIdentityType": {"type": "SystemAssigned"},
    "properties": {"extensionType": "microsoft.flux", "autoUpgradeMinorVersion": True},
}


def name_of(of: Consignment) -> str:
    """One configuration for each deployment; the original had one per namespace, for all apps of a cloud (D15)."""
    return f"config-{of.context}"


def properties(layout: Layout, of: Consignment, remote: Remote, options: Mapping[str, str]) -> Json:
    """Of the configuration."""
    timing = timing_of(options)
    admin = of.level == ADMIN_LEVEL
    return {
        "scope": "cluster" if admin else "namespace",
        "namespace": name_of(of) if admin else of.namespace,
        "sourceKind": "GitRepository",
        "suspend": False,
        "gitRepository": {"url": remote.url, "repositoryRef": {"branch": remote.branch}},
        "kustomizations": {
            "kustomization-1": {
                "path": f"./{layout.deployment(of).rstrip('/')}",
                "timeoutInSeconds": timing.timeout,
                "syncIntervalInSeconds": timing.sync,
                "retryIntervalInSeconds": timing.retry,
                "prune": True,
                "force": False,
            }
        },
    }


def _error(status: int, message: str) -> errors.KubeError:
    if status in (401, 403):
        return errors.Unauthorized(message, http_status=status)
    if status == 404:
        return errors.NotFound(message, http_status=status, subject_kind="fluxConfigurations")
    if status in (408, 429) or status >= 500:
        return errors.ServerError(message, http_status=status)
    return errors.Invalid(message, http_status=status)


def _words(content: bytes) -> str:
    """The server's own, where it says any."""
    found = _decoded(content)
    told = found.get("error") if isinstance(found, dict) else None
    if isinstance(told, dict):
        return f"{told.get('code', '')}: {told.get('message', '')}"
    described = found.get("error_description") if isinstance(found, dict) else None
    return str(described or told or content[:500].decode(errors="replace"))


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[-1].partition("?")[0]
