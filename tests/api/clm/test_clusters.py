"""Registering clusters: what is kept, what is shown, what goes together (spec clm 4, 5, 7, 10, 11)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from emco_clm.registration import REGISTRATION_TAKES
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.store.api import Document
from emco_common.syncobjects import SyncObjects
from tests.api.clm.conftest import CLUSTERS, PROVIDERS, Clm, serving_clm
from tests.api.clm.controllers import Listener
from tests.api.clm.kubeconfigs import CANARY, document, kubeconfig

FILE = {"Accept": "application/octet-stream"}
KEY = {"clusterProvider": "p", "cluster": "c"}
SYNC = f"{PROVIDERS}/p/cluster-sync-objects"


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


class TestRegistration:
    async def test_a_kubeconfig_comes_back_byte_for_byte_only_to_who_asks_for_the_file(self, clm: Clm) -> None:
        await clm.provider()
        file = kubeconfig()
        assert (await clm.register("c", file)).status_code == 201
        assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).content == file
        for answer in (await clm.client.get(f"{CLUSTERS}/c"), await clm.client.get(CLUSTERS)):
            assert answer.status_code == 200
            assert CANARY not in answer.text

    async def test_neither_kubeconfig_nor_git_credentials_lie_readable_on_disk(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        await clm.post(SYNC, {"metadata": {"name": "s"}, "spec": {"kv": [{"gitToken": CANARY}]}})
        assert (await clm.client.get(f"{SYNC}/s?key=gitToken")).json() == {"value": CANARY}
        assert CANARY.encode() not in bytes_on_disk(clm.data)

    async def test_a_cluster_registered_anew_has_its_new_kubeconfig(self, clm: Clm) -> None:
        await clm.provider()
        first, second = kubeconfig(), kubeconfig(document(token=CANARY + "2"))
        await clm.register("c", first)
        assert (await clm.client.delete(f"{CLUSTERS}/c")).status_code == 204
        await clm.register("c", second)
        assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).content == second

    async def test_of_parallel_registrations_of_one_name_one_wins_and_its_kubeconfig_is_kept(self, clm: Clm) -> None:
        await clm.provider()
        files = [kubeconfig(document(token=f"{CANARY}-{n}")) for n in range(5)]
        answers = await asyncio.gather(*[clm.register("c", file) for file in files])
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
        winner = next(file for file, answer in zip(files, answers, strict=True) if answer.status_code == 201)
        assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).content == winner

    async def test_no_kubeconfig_outlives_its_cluster(self, clm: Clm) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        await clm.client.delete(f"{CLUSTERS}/c")
        assert await clm.deps.store.list(tuple(Access("p", "c").key), {}) == []


class TestCutOff:
    """The process was killed between two steps."""

    async def test_a_registration_without_access_record_gives_way_once_it_is_surely_dead(self, tmp_path: Path) -> None:
        began = datetime(2026, 1, 1, tzinfo=UTC)
        now = [began]
        async with serving_clm(tmp_path, clock=lambda: now[0]) as clm:
            await clm.provider()
            state = StateInfo(actions=(Action(State.CREATED, time=began),)).as_json()
            body = {"metadata": {"name": "c"}, "spec": {"gitOps": {"gitOpsType": ""}}}
            await clm.deps.store.create(Document(KEY, body, tags={STATE_TAG: state}))
            assert (await clm.register("c", kubeconfig())).status_code == 409
            now[0] = began + REGISTRATION_TAKES + timedelta(seconds=1)
            assert (await clm.register("c", kubeconfig())).status_code == 201
            assert (await clm.register("c", kubeconfig())).status_code == 409
            assert (await clm.client.get(f"{CLUSTERS}/c", headers=FILE)).status_code == 200

    async def test_the_access_record_that_a_deletion_left_is_forgotten_at_the_next_start(self, tmp_path: Path) -> None:
        async with serving_clm(tmp_path) as clm:
            await clm.provider()
            await clm.register("kept", kubeconfig())
            await CloudConfigs(clm.deps.store, clm.deps.sealer).put(Access("p", "gone", kubeconfig=b"x"))
        async with serving_clm(tmp_path) as clm:
            await clm.background_done()
            names = tuple(Access("p", "c").key)
            records = await clm.deps.store.list(names, {})
            assert [record.key["cloudConfigCluster"] for record in records] == ["kept"]


class TestLabels:
    async def test_clusters_are_found_by_label_in_the_order_of_their_registration(self, clm: Clm) -> None:
        await clm.provider()
        for name in ("b", "a", "c"):
            await clm.register(name, kubeconfig())
        for name in ("c", "b"):
            await clm.post(f"{CLUSTERS}/{name}/labels", {"clusterLabel": "edge"})
        assert (await clm.client.get(f"{CLUSTERS}?label=edge")).json() == ["b", "c"]
        shown = (await clm.client.get(f"{CLUSTERS}?withLabels=true")).json()
        assert [(entry["metadata"]["name"], entry["labels"]) for entry in shown] == [
            ("b", [{"clusterLabel": "edge"}]),
            ("a", []),
            ("c", [{"clusterLabel": "edge"}]),
        ]

    async def test_a_label_of_one_provider_says_nothing_of_another(self, clm: Clm) -> None:
        await clm.provider()
        await clm.provider("q")
        await clm.register("c", kubeconfig())
        await clm.post(f"{CLUSTERS}/c/labels", {"clusterLabel": "edge"})
        assert (await clm.client.get(f"{PROVIDERS}/q/clusters?label=edge")).json() == []


class TestGitOps:
    GOOD: ClassVar = {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "s", "gitOpsResourceObject": "s"}

    @pytest.fixture
    async def git(self, clm: Clm) -> Clm:
        await clm.provider()
        await clm.post(SYNC, {"metadata": {"name": "s"}, "spec": {"kv": []}})
        return clm

    async def test_a_gitops_cluster_needs_no_kubeconfig_and_holds_its_sync_objects(self, git: Clm) -> None:
        assert (await git.register("c", None, git_ops=self.GOOD)).status_code == 201
        refused = await git.client.delete(f"{SYNC}/s")
        assert (refused.status_code, refused.text.split()[0]) == (409, "Cannot")
        await git.client.delete(f"{CLUSTERS}/c")
        assert (await git.client.delete(f"{SYNC}/s")).status_code == 204

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"gitOpsType": "fluxv2"}, "gitOpsType must be one of fluxcd"),
            ({"gitOpsReferenceObject": ""}, "gitOpsReferenceObject is required"),
            ({"gitOpsResourceObject": ""}, "gitOpsResourceObject is required"),
            ({"gitOpsType": "agent", "gitOpsReferenceObject": ""}, "gitOpsReferenceObject is required"),
            ({"gitOpsResourceObject": "nowhere"}, "no cluster sync object nowhere"),
        ],
    )
    async def test_an_incomplete_gitops_cluster_is_refused(self, git: Clm, wrong: dict[str, str], reason: str) -> None:
        answer = await git.register("c", None, git_ops={**self.GOOD, **wrong})
        assert (answer.status_code, reason in answer.text) == (400, True)
        assert (await git.client.get(f"{CLUSTERS}/c")).status_code == 404

    async def test_a_cluster_with_an_agent_needs_its_token_and_no_resource_object(self, git: Clm) -> None:
        spec = {"gitOpsType": "agent", "gitOpsReferenceObject": "s"}
        assert (await git.register("c", None, git_ops=spec)).status_code == 201
        assert (await git.client.delete(f"{SYNC}/s")).status_code == 409


class TestTokensOfAgents:
    """Whoever has the token is the cluster, so no two clusters have the same sync object (robustness 26)."""

    AGENT: ClassVar = {"gitOpsType": "agent", "gitOpsReferenceObject": "s"}

    @pytest.fixture
    async def far(self, clm: Clm) -> Clm:
        await clm.provider()
        for name in ("s", "t"):
            body = {"metadata": {"name": name}, "spec": {"kv": [{"agentToken": f"the token in {name}, long enough"}]}}
            await clm.post(SYNC, body)
        return clm

    async def put(self, clm: Clm, name: str, reference: str) -> int:
        body = {"metadata": {"name": name}, "spec": {"gitOps": {**self.AGENT, "gitOpsReferenceObject": reference}}}
        form = {"metadata": (None, json.dumps(body))}
        return (await clm.client.put(f"{CLUSTERS}/{name}", files=form)).status_code

    @pytest.mark.robustness(26)
    async def test_a_second_cluster_with_the_token_of_the_first_is_refused_by_name(self, far: Clm) -> None:
        assert (await far.register("c", None, git_ops=self.AGENT)).status_code == 201
        refused = await far.register("d", None, git_ops=self.AGENT)
        assert refused.status_code == 409
        assert "spec.gitOps.gitOpsReferenceObject: s holds the token of the agent of cluster c" in refused.text
        assert (await far.client.get(f"{CLUSTERS}/d")).status_code == 404
        git = {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "s", "gitOpsResourceObject": "s"}
        assert (await far.register("e", None, git_ops=git)).status_code == 201  # its credentials are in there as well

    async def test_the_token_is_free_again_when_its_cluster_is_gone_or_has_another(self, far: Clm) -> None:
        await far.register("c", None, git_ops=self.AGENT)
        assert await self.put(far, "c", "t") == 200
        assert (await far.register("d", None, git_ops=self.AGENT)).status_code == 201
        assert await self.put(far, "c", "s") == 409
        assert (await far.client.delete(f"{CLUSTERS}/d")).status_code == 204
        assert await self.put(far, "c", "s") == 200

    async def test_an_exchange_of_the_token_leaves_it_its_cluster(self, far: Clm) -> None:
        await far.register("c", None, git_ops=self.AGENT)
        body = {"metadata": {"name": "s"}, "spec": {"kv": [{"agentToken": "another token, long enough"}]}}
        assert (await far.client.put(f"{SYNC}/s", json=body)).status_code == 201
        opened = await SyncObjects(far.deps.store, far.deps.sealer).opened("p", "s")
        assert (opened.values["agentToken"], opened.agent_of) == ("another token, long enough", "c")

    async def test_of_clusters_that_come_with_one_token_at_once_one_gets_it(self, far: Clm) -> None:
        names = [f"c{number}" for number in range(4)]
        await asyncio.gather(*(far.register(name, None, git_ops=self.AGENT) for name in names))
        codes = [await self.put(far, name, "s") for name in names]
        assert codes.count(200) == 1  # the others were refused at once, or are by now


class TestNetworksOfACluster:
    """What ncm wrote into the cluster's history decides whether it may go (spec clm 4.3)."""

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            (State.CREATED, 204),
            pytest.param(
                State.APPLIED, 409, marks=pytest.mark.conforms("clm 4.3: cluster DELETE while networks are applied")
            ),
            (State.INSTANTIATE_STOPPED, 409),
            (State.TERMINATED, 204),
            (State.TERMINATE_STOPPED, 204),
        ],
    )
    async def test_a_cluster_goes_only_when_its_networks_are_gone(self, clm: Clm, state: State, status: int) -> None:
        await clm.provider()
        await clm.register("c", kubeconfig())
        found = await clm.deps.store.get(KEY)
        assert found is not None
        actions = (Action(State.CREATED), Action(state, instance="4711" if state is not State.CREATED else ""))
        history = {STATE_TAG: StateInfo(actions=actions).as_json()}
        await clm.deps.store.replace(Document(KEY, found.body, tags=history))
        assert (await clm.client.delete(f"{CLUSTERS}/c")).status_code == status


class TestEvents:
    """Controllers hear of clusters (spec clm 9, defects 1 to 3)."""

    async def register_controller(self, clm: Clm, name: str, port: int) -> None:
        await clm.post("/v2/clm-controllers", {"metadata": {"name": name}, "spec": {"host": "127.0.0.1", "port": port}})

    async def test_all_controllers_hear_of_a_cluster_that_comes_and_goes_also_after_a_restart(
        self, tmp_path: Path
    ) -> None:
        one, two = Listener(), Listener()
        async with one.serving() as first, two.serving() as second:
            async with serving_clm(tmp_path) as clm:
                await clm.provider()
                await self.register_controller(clm, "one", first)
                await self.register_controller(clm, "two", second)
            async with serving_clm(tmp_path) as clm:
                assert (await clm.register("c", kubeconfig())).status_code == 201
                assert (await clm.client.delete(f"{CLUSTERS}/c")).status_code == 204
        assert one.heard == two.heard == [("p", "c", "CLUSTER_CREATED"), ("p", "c", "CLUSTER_DELETED")]

    @pytest.mark.conforms("clm 4.1: controller refuses the cluster", "clm 4.1: controller fails")
    @pytest.mark.parametrize("name", ["refuse", "boom"])
    async def test_a_refused_cluster_leaves_nothing_behind(self, clm: Clm, name: str) -> None:
        listener = Listener()
        async with listener.serving() as port:
            await clm.provider()
            await self.register_controller(clm, "one", port)
            for _ in range(2):
                answer = await clm.register(name, kubeconfig())
                assert (answer.status_code, answer.text) == (500, "CLM failed publishing event to clm-controller\n")
                assert (await clm.client.get(f"{CLUSTERS}/{name}")).status_code == 404
        assert listener.heard[:2] == [("p", name, "CLUSTER_CREATED"), ("p", name, "CLUSTER_DELETED")]
        assert await clm.deps.store.list(tuple(Access("p", "c").key), {}) == []

    async def test_an_unreachable_controller_stops_a_registration_but_no_deletion(self, clm: Clm) -> None:
        await clm.provider()
        assert (await clm.register("c", kubeconfig())).status_code == 201
        await self.register_controller(clm, "nobody", 1)
        assert (await clm.register("d", kubeconfig())).status_code == 500
        assert (await clm.client.delete(f"{CLUSTERS}/c")).status_code == 204

    async def test_a_controller_that_was_away_is_told_what_it_missed_and_in_order(self, tmp_path: Path) -> None:
        listener = Listener()
        async with serving_clm(tmp_path, event_retry=0.05) as clm:
            await clm.provider()
            for name in ("a", "b"):
                await clm.register(name, kubeconfig())
            async with listener.serving() as port:
                await self.register_controller(clm, "one", port)
                await clm.register("c", kubeconfig())
            for name in ("a", "b"):
                assert (await clm.client.delete(f"{CLUSTERS}/{name}")).status_code == 204
            async with listener.serving(port):
                async with asyncio.timeout(15):
                    while len(listener.heard) < 3:  # noqa: ASYNC110  # gRPC calls it from another task
                        await asyncio.sleep(0.02)
                assert (await clm.register("a", kubeconfig())).status_code == 201
        heard = [(name, event) for _, name, event in listener.heard]
        assert heard == [
            ("c", "CLUSTER_CREATED"),
            ("a", "CLUSTER_DELETED"),
            ("b", "CLUSTER_DELETED"),
            ("a", "CLUSTER_CREATED"),
        ]

    async def test_what_was_missed_is_told_before_what_is_new_also_after_a_restart(self, tmp_path: Path) -> None:
        listener = Listener()
        async with serving_clm(tmp_path, event_retry=60) as clm:
            await clm.provider()
            await clm.register("a", kubeconfig())
            async with listener.serving() as port:
                await self.register_controller(clm, "one", port)
            assert (await clm.client.delete(f"{CLUSTERS}/a")).status_code == 204
            shown = (await clm.client.get("/v2/clm-controllers/one")).json()
            assert shown["spec"] == {"host": "127.0.0.1", "port": port}
        async with listener.serving(port), serving_clm(tmp_path, event_retry=60) as clm:
            assert (await clm.register("a", kubeconfig())).status_code == 201
            assert (await clm.register("b", kubeconfig())).status_code == 201
        events = [(name, event) for _, name, event in listener.heard]
        assert events == [("a", "CLUSTER_DELETED"), ("a", "CLUSTER_CREATED"), ("b", "CLUSTER_CREATED")]
