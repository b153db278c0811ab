"""Apps on clusters that follow a Git repository by Flux or Anthos, on a real Git server (rsync 14)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Dependency, Meta
from tests.fakes.monitor import Monitor
from tests.support.gitserver import GitServer, git_server
from tests.unit.rsync.gitops import gitops, objects, put_sync_object, register
from tests.unit.rsync.rig import config_map, context, deployment, job, resources

CLUSTER_ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: []"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as running:
        yield running


def with_hook(identity: str, *texts: str, hook: str = "pre-install", **more: str) -> AppContext:
    """App ``web`` on cluster ``c``, with a hook."""
    cluster = Cluster("p+c", resources=resources(*texts), hooks={hook: resources(job("hook", hook=hook))})
    return AppContext(identity, (App("web", (cluster,)),), Meta(namespace="shop", level="0"), **more)


async def test_flux_an_app_with_a_hook_comes_is_changed_goes_back_and_leaves(server: GitServer, tmp_path: Path) -> None:
    times = [{"syncInterval": "90"}]
    monitor = Monitor(server, "p+c")
    async with gitops(tmp_path, server, {"c": "fluxcd"}, times=times) as rig, monitor.running():
        await rig.install(with_hook("71", deployment("d"), config_map("a"), CLUSTER_ROLE))
        await rig.until_state("71", "Instantiated")
        await rig.until("71", lambda status: status.cluster("web", "p+c").ready is True)
        installed = objects(server)
        await rig.update("71", replace(with_hook("72", deployment("d", replicas=2), CLUSTER_ROLE), status_context="71"))
        await rig.until_state("72", "Instantiated")
        updated = objects(server)
        await rig.roll_back("72", "71")
        await rig.until_state("71", "Instantiated")
        rolled_back = objects(server)
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        await server.until(lambda: server.files() == {"README.md": "of others\n"})
        await server.until(lambda: server.files("p+c") == {})

    app = "clusters/p+c/context/71/app/web"
    assert set(installed) == {
        "clusters/p+c/71.yaml",
        "clusters/p+c/kust71.yaml",
        f"{app}/71-web.yaml",
        f"{app}/a+ConfigMap.yaml",
        f"{app}/d+Deployment.yaml",
        f"{app}/hook+Job.yaml",
        f"{app}/r+ClusterRole.yaml",
    }
    assert installed["clusters/p+c/71.yaml"] == {
        "apiVersion": "source.toolkit.fluxcd.io/v1beta1",
        "kind": "GitRepository",
        "metadata": {"name": "71", "namespace": "shop"},
        "spec": {"url": server.url, "interval": "30s", "ref": {"branch": "main"}},
    }
    assert installed["clusters/p+c/kust71.yaml"] == {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2",
        "kind": "Kustomization",
        "metadata": {"name": "kust71", "namespace": "shop"},
        "spec": {
            "interval": "1m30s",
            "retryInterval": "1m0s",
            "timeout": "1m0s",
            "path": "clusters/p+c/context/71",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "71"},
        },
    }
    assert installed[f"{app}/71-web.yaml"] == {
        "apiVersion": "k8splugin.io/v1alpha1",
        "kind": "ResourceBundleState",
        "metadata": {"name": "71-web", "namespace": "shop", "labels": {"emco/deployment-id": "71-web"}},
        "spec": {"selector": {"matchLabels": {"emco/deployment-id": "71-web"}}},
        "status": {"ready": False, "resourceCount": 0},
    }
    brought = installed[f"{app}/d+Deployment.yaml"]
    assert brought["metadata"] == {"name": "d", "namespace": "shop", "labels": {"emco/deployment-id": "71-web"}}
    assert brought["spec"]["template"]["metadata"]["labels"]["emco/deployment-id"] == "71-web"
    assert "namespace" not in installed[f"{app}/r+ClusterRole.yaml"]["metadata"]
    assert updated[f"{app}/d+Deployment.yaml"]["spec"]["replicas"] == 2
    assert set(installed) - set(updated) == {f"{app}/a+ConfigMap.yaml"}
    assert rolled_back == installed
    assert set(server.messages()) == {f"Commit for {app}/", "first"}


async def test_all_of_an_app_that_comes_together_is_one_commit_and_the_same_again_is_none(
    server: GitServer, tmp_path: Path
) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        texts = [config_map(f"m{n}") for n in range(20)] + [deployment("d"), CLUSTER_ROLE]
        await rig.install(context("5", {"web": {"c": texts}}))
        await rig.until_state("5", "Instantiated")
        once = server.messages()
        await rig.update("5", context("6", {"web": {"c": texts}}, status_context="5"))
        await rig.until_state("6", "Instantiated")

    assert once == server.messages() == ["Commit for clusters/p+c/context/5/app/web/", "first"]


async def test_anthos_objects_and_the_file_that_says_since_when(server: GitServer, tmp_path: Path) -> None:
    async with gitops(tmp_path, server, {"c": "anthos"}) as rig, Monitor(server, "p+c").running():
        await register(rig, "c", "anthos", level="1", namespace="shop")
        explicit = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: other}"
        one = context("8", {"web": {"c": [deployment("d"), explicit, CLUSTER_ROLE]}}, level="1", namespace="shop")
        await rig.install(one)
        await rig.until_state("8", "Instantiated")
        there, stamp = objects(server), server.raw("namespaces/shop/p+c/context/8/deployed")
        await rig.uninstall("8")
        await rig.until_state("8", "Terminated")

    app = "namespaces/shop/p+c/context/8/app/web"
    assert set(there) == {f"{app}/{name}.yaml" for name in ("8-web", "b+ConfigMap", "d+Deployment", "r+ClusterRole")}
    assert "status" not in there[f"{app}/8-web.yaml"]
    assert there[f"{app}/b+ConfigMap.yaml"]["metadata"]["namespace"] == "shop"
    assert "namespace" not in there[f"{app}/r+ClusterRole.yaml"]["metadata"]
    assert struct.unpack("<I", stamp)[0] > 1_700_000_000
    assert set(server.files()) == {"README.md", "namespaces/shop/p+c/context/8/deployed"}


@pytest.mark.parametrize("kind", ["fluxcd", "anthos"])
async def test_a_logical_cloud_comes_by_what_the_cluster_was_set_up_with(
    server: GitServer, tmp_path: Path, kind: str
) -> None:
    quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: own}\nspec: {}"
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: own}"
    meta = Meta(
        namespace="default", level="0", logical_cloud="lc", logical_cloud_namespace="own", logical_cloud_level="1"
    )
    cluster = Cluster("p+c", resources=resources(namespace, quota))
    async with gitops(tmp_path, server, {"c": kind}) as rig:
        await rig.install(AppContext("9", (App("logical-cloud", (cluster,)),), meta))
        await rig.until_state("9", "Instantiated")

    there = objects(server)
    app = "clusters/p+c/context/9/app/logical-cloud"
    own = {f"{app}/{name}.yaml" for name in ("9-logical-cloud", "own+Namespace", "q+ResourceQuota")}
    assert there[f"{app}/q+ResourceQuota.yaml"]["metadata"]["namespace"] == "own"
    if kind == "fluxcd":
        assert set(there) == {*own, "clusters/p+c/kust9.yaml"}
        followed = there["clusters/p+c/kust9.yaml"]
        assert followed["metadata"] == {"name": "kust9", "namespace": "flux-system"}
        assert followed["spec"]["sourceRef"] == {"kind": "GitRepository", "name": "flux-system"}
    else:
        assert set(there) == {*own, f"{app}/repo-sync-lc+RepoSync.json"}
        assert there[f"{app}/repo-sync-lc+RepoSync.json"] == {
            "apiVersion": "configsync.gke.io/v1beta1",
            "kind": "RepoSync",
            "metadata": {"name": "repo-sync-lc", "namespace": "own"},
            "spec": {
                "git": {
                    "repo": server.url,
                    "revision": "HEAD",
                    "branch": "main",
                    "dir": "/namespaces/own/p+c",
                    "auth": "none",
                    "noSSLVerify": False,
                }
            },
        }


async def test_flux_acts_with_the_rights_of_the_cloud_of_an_app(server: GitServer, tmp_path: Path) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await register(rig, "c", "fluxcd", level="1", namespace="shop")
        await rig.install(context("8", {"web": {"c": [config_map("a")]}}, level="1", namespace="shop"))
        await rig.until_state("8", "Instantiated")

    assert objects(server)["clusters/p+c/kust8.yaml"]["spec"]["serviceAccountName"] == "shop-sa"


async def test_without_a_monitor_everything_is_applied_and_nothing_is_said_to_be_ready_or_not(
    server: GitServer, tmp_path: Path
) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await rig.install(context("5", {"web": {"c": [deployment("d")]}}))
        await rig.until_state("5", "Instantiated")
        status = await rig.until("5", lambda status: bool(status.cluster("web", "p+c").reason))
        async with Monitor(server, "p+c").running():
            later = await rig.until("5", lambda status: status.cluster("web", "p+c").ready is True)
            await rig.until("5", lambda status: not status.cluster("web", "p+c").reason)

    assert status.resource("web", "p+c", "d+Deployment").status == "Applied"
    assert status.resource("web", "p+c", "d+Deployment").ready is None
    assert status.cluster("web", "p+c").connectivity == "Available"
    assert "its monitor has reported nothing" in (status.cluster("web", "p+c").reason or "")
    assert later.cluster("web", "p+c").connectivity == "Available"


async def test_an_app_waits_until_the_monitor_says_that_another_is_ready(server: GitServer, tmp_path: Path) -> None:
    monitor = Monitor(server, "p+c")
    monitor.health["Deployment"] = {"replicas": 1}
    waits = {"b": (Dependency("a", "Ready", 0),)}
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig, monitor.running():
        apps = {"a": {"c": [deployment("d")]}, "b": {"c": [config_map("m")]}}
        await rig.install(context("5", apps, dependencies=waits))
        await rig.until("5", lambda status: status.resource("a", "p+c", "d+Deployment").ready is False)
        early = objects(server)
        monitor.health["Deployment"] = {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
        await rig.until_state("5", "Instantiated")

    assert not any("/app/b/" in path for path in early)
    assert "clusters/p+c/context/5/app/b/m+ConfigMap.yaml" in objects(server)


@pytest.mark.robustness(46)
async def test_what_the_repository_refuses_is_a_failure_with_its_words(server: GitServer, tmp_path: Path) -> None:
    server.refuse("protected: ask the owner")
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await rig.install(context("5", {"web": {"c": [config_map("a")]}}))
        await rig.until_state("5", "InstantiateFailed")
        why = await rig.error("5", "web", "p+c", "a+ConfigMap")
        server.relent()
        await rig.update("5", context("6", {"web": {"c": [config_map("a")]}}, status_context="5"))
        await rig.until_state("6", "Instantiated")

    assert "protected: ask the owner" in why
    assert "CANARY" not in why


@pytest.mark.robustness(24)
async def test_a_rotated_token_is_waited_for_and_taken_up(
    server: GitServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await rig.install(context("4", {"web": {"c": [config_map("a")]}}))
        await rig.until_state("4", "Instantiated")
        server.token = "t0ken-CANARY-2"
        await rig.install(context("5", {"web": {"c": [config_map("a")]}}))
        status = await rig.until("5", lambda status: status.cluster("web", "p+c").connectivity == "Retrying")
        await put_sync_object(rig, "repo", server.pairs())
        await rig.until_state("5", "Instantiated")
        told = await rig.dump("4") + await rig.dump("5")

    assert "Authentication failed" in (status.cluster("web", "p+c").reason or "")
    written = capsys.readouterr()
    for where in (told, written.out, written.err):
        assert "CANARY" not in where


@pytest.mark.robustness(46)
async def test_a_git_server_that_is_away_is_waited_for(server: GitServer, tmp_path: Path) -> None:
    server.away = True
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await rig.install(context("5", {"web": {"c": [config_map("a")]}}))
        status = await rig.until("5", lambda status: status.cluster("web", "p+c").connectivity == "Retrying")
        server.away = False
        await rig.until_state("5", "Instantiated")

    assert "503" in (status.cluster("web", "p+c").reason or "")


@pytest.mark.parametrize(
    ("missing", "pairs", "words"),
    [
        ("repo", [{"userName": "bot"}], "Missing Information for Git: gitToken, repoName, branch, url"),
        ("times", [{"timeOut": "soon"}], "timeOut of the resource object must be a number of seconds"),
    ],
)
async def test_what_the_sync_objects_lack_is_told_and_waited_for(
    server: GitServer, tmp_path: Path, missing: str, pairs: list[dict[str, str]], words: str
) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await put_sync_object(rig, missing, pairs)
        await rig.install(context("5", {"web": {"c": [config_map("a")]}}))
        status = await rig.until("5", lambda status: status.cluster("web", "p+c").connectivity == "Retrying")
        await put_sync_object(rig, missing, server.pairs() if missing == "repo" else [])
        await rig.until_state("5", "Instantiated")

    assert words in (status.cluster("web", "p+c").reason or "")


async def test_an_object_that_moves_to_another_app_is_in_one_file_only(server: GitServer, tmp_path: Path) -> None:
    async with gitops(tmp_path, server, {"c": "fluxcd"}) as rig:
        await rig.install(context("5", {"a": {"c": [config_map("m"), config_map("x")]}}))
        await rig.until_state("5", "Instantiated")
        after = {"a": {"c": [config_map("x")]}, "b": {"c": [config_map("m")]}}
        await rig.update("5", context("6", after, status_context="5"))
        await rig.until_state("6", "Instantiated")

    files = [path for path in objects(server) if path.endswith("m+ConfigMap.yaml")]
    assert files == ["clusters/p+c/context/5/app/b/m+ConfigMap.yaml"]


async def test_clusters_of_one_repository_are_told_together(server: GitServer, tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(8)]
    async with gitops(tmp_path, server, dict.fromkeys(names, "fluxcd"), git_gather=0.5) as rig:
        await rig.install(context("5", {"web": {name: [config_map("a")] for name in names}}))
        await rig.until_state("5", "Instantiated")

    assert len(server.messages()) < 1 + len(names)
    assert {path.split("/")[1] for path in objects(server)} == {f"p+{name}" for name in names}
