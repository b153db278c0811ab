"""Clusters behind Azure Arc: files as for Flux, and a configuration per deployment (rsync 14.4). Against a recorder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emco_common.kube import errors
from emco_rsync.delivery.azure import AzureArc, AzureSettings
from emco_rsync.delivery.git.remote import Remote
from emco_rsync.delivery.layout import AZURE, Consignment, Layout
from emco_rsync.delivery.timing import BadResourceObject
from tests.fakes.azure import TOKEN, FakeAzure, fake_azure
from tests.support.gitserver import GitServer, git_server
from tests.unit.rsync.gitops import gitops, objects, put_sync_object
from tests.unit.rsync.rig import config_map, context

ACCOUNT = {
    "clientID": "client",
    "tenantID": "tenant",
    "clientSecret": "secret-CANARY",
    "subscriptionID": "sub",
    "arcCluster": "arc",
    "arcResourceGroup": "group",
}
BASE = (
    "/subscriptions/sub/resourceGroups/group/providers/Microsoft.Kubernetes/connectedClusters/arc"
    "/providers/Microsoft.KubernetesConfiguration"
)
REMOTE = Remote("https://git.example.org/edge", "main", "bot", "t0ken-CANARY")
LAYOUT = Layout(AZURE, "p+c")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as running:
        yield running


def arc(azure: FakeAzure) -> AzureArc:
    return AzureArc(ACCOUNT, AzureSettings(login=azure.url, management=azure.url))


async def test_a_deployment_gets_its_configuration_and_loses_it() -> None:
    of = Consignment("71", "web", "71-web")
    async with fake_azure() as azure:
        await arc(azure).configure(LAYOUT, of, REMOTE, {"syncInterval": "30"})
        await arc(azure).remove(of, {})

    form = {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_secret": "secret-CANARY",
        "resource": "https://management.core.windows.net/",
    }
    token: tuple[str, str, Any] = ("POST", "/tenant/oauth2/token", form)
    configuration = {
        "scope": "cluster",
        "namespace": "config-71",
        "sourceKind": "GitRepository",
        "suspend": False,
        "gitRepository": {"url": "https://git.example.org/edge", "repositoryRef": {"branch": "main"}},
        "kustomizations": {
            "kustomization-1": {
                "path": "./clusters/p+c/context/71",
                "timeoutInSeconds": 60,
                "syncIntervalInSeconds": 30,
                "retryIntervalInSeconds": 60,
                "prune": True,
                "force": False,
            }
        },
    }
    extension = {
        "aksIdentityType": {"type": "SystemAssigned"},
        "properties": {"extensionType": "microsoft.flux", "autoUpgradeMinorVersion": True},
    }
    assert azure.requests == [
        token,
        ("PUT", f"{BASE}/extensions/flux?api-version=2021-09-01", extension),
        ("PUT", f"{BASE}/fluxConfigurations/config-71?api-version=2022-03-01", {"properties": configuration}),
        token,
        ("DELETE", f"{BASE}/fluxConfigurations/config-71?api-version=2021-11-01-preview", None),
    ]
    assert azure.headers[1]["Authorization"] == f"Bearer {TOKEN}"
    assert azure.headers[1]["Content-Type"] == "application/json; charset=UTF-8"


async def test_two_deployments_of_one_cloud_do_not_share_a_configuration() -> None:
    async with fake_azure() as azure:
        for identity in ("1", "2"):
            of = Consignment(identity, "web", f"{identity}-web", level="1", namespace="shop")
            await arc(azure).configure(LAYOUT, of, REMOTE, {})

    bodies = {url.split("?")[0]: body for _, url, body in azure.requests if "fluxConfigurations" in url}
    assert list(bodies) == [f"{BASE}/fluxConfigurations/config-{n}" for n in "12"]
    assert {(b["properties"]["scope"], b["properties"]["namespace"]) for b in bodies.values()} == {
        ("namespace", "shop")
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.Unauthorized), (403, errors.Unauthorized), (409, errors.Invalid), (429, errors.ServerError),
     (500, errors.ServerError)],
)  # fmt: skip
async def test_a_refusal_is_an_error_with_azures_words_and_no_secret(status: int, kind: type[errors.KubeError]) -> None:
    async with fake_azure() as azure:
        azure.refuse["fluxConf"] = status, {"error": {"code": "Bad", "message": f"no: {TOKEN} secret-CANARY"}}
        with pytest.raises(kind) as refused:
            await arc(azure).configure(LAYOUT, Consignment("1", "a", "1-a"), REMOTE, {})

    assert f"answered with {status}: Bad: no: *** ***" in str(refused.value)


async def test_a_configuration_that_is_not_there_is_removed() -> None:
    async with fake_azure() as azure:
        azure.refuse["fluxConf"] = 404, {}
        await arc(azure).remove(Consignment("1", "a", "1-a"), {})


def test_what_the_account_lacks_is_named() -> None:
    with pytest.raises(BadResourceObject, match="Missing Information for Azure Arc V2: clientSecret"):
        AzureArc({**ACCOUNT, "clientSecret": ""}, AzureSettings())


async def test_an_app_comes_and_leaves(server: GitServer, tmp_path: Path) -> None:
    async with fake_azure() as azure:
        where = {"azure_login": azure.url, "azure_management": azure.url}
        async with gitops(tmp_path, server, {"c": "azureArcV2"}, **where) as rig:
            await put_sync_object(rig, "times", [ACCOUNT])
            await rig.install(context("5", {"web": {"c": [config_map("a")]}}))
            await rig.until_state("5", "Instantiated")
            there = set(objects(server))
            await rig.uninstall("5")
            await rig.until_state("5", "Terminated")

    assert there == {f"clusters/p+c/context/5/app/web/{name}.yaml" for name in ("5-web", "a+ConfigMap")}
    assert set(server.files()) == {"README.md"}
    assert [method for method, url, _ in azure.requests if "fluxConfigurations" in url] == ["PUT", "DELETE"]
