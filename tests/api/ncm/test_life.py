"""Apply, update, terminate and stop: what rsync is told, what is recorded, what becomes of a failed step (ncm 5, 6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from emco_common.appcontext import ContextState
from emco_common.lifecycle import State
from emco_common.operations import OPERATION_TAG
from emco_common.rsyncclient import CONTROLLER_KEY
from tests.api.ncm.conftest import KEY, Ncm, network, provider_network


async def names_in(ncm: Ncm, context: str) -> list[str]:
    (app,) = (await ncm.contexts.read(context)).apps
    (cluster,) = app.clusters
    assert (app.name, cluster.name) == ("network-intents", "p+c")
    return [resource.name for resource in cluster.resources]


async def states(ncm: Ncm) -> list[str]:
    return [str(action.state) for action in (await ncm.info()).actions]


async def applied_in_the_end(ncm: Ncm) -> None:
    async with asyncio.timeout(10):
        while (await ncm.info()).state is not State.APPLIED:  # noqa: ASYNC110  # another task of ncm's writes it
            await asyncio.sleep(0.02)


class TestApply:
    async def test_all_intents_become_one_context_in_their_order(self, ncm: Ncm) -> None:
        await ncm.post("/provider-networks", provider_network())
        await ncm.post("/networks", network("green"))
        await ncm.post("/networks", network("blue"))
        context = await ncm.applied()
        assert ncm.rsync.calls == [("install", context)]
        assert await names_in(ncm, context) == ["green+Network", "blue+Network", "uplink+ProviderNetwork"]
        info = await ncm.info()
        assert (info.state, info.status_context, info.revision) == (State.APPLIED, context, 0)
        assert (await ncm.contexts.read(context)).meta is None

    async def test_nothing_at_all_may_be_applied(self, ncm: Ncm) -> None:
        assert await names_in(ncm, await ncm.applied()) == []

    async def test_applying_again_changes_nothing(self, ncm: Ncm) -> None:
        await ncm.applied()
        await ncm.act("apply")
        assert len(ncm.rsync.calls) == 1
        assert await states(ncm) == ["Created", "Applied"]

    async def test_of_parallel_applies_one_reaches_rsync(self, ncm: Ncm) -> None:
        path = "/v2/cluster-providers/p/clusters/c/apply"
        answers = await asyncio.gather(*[ncm.client.post(path) for _ in range(8)])
        assert {answer.status_code for answer in answers} <= {204, 409}
        assert len(ncm.rsync.calls) == 1
        assert await states(ncm) == ["Created", "Applied"]

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"metadata":{"name":""}}', b"no JSON"])
    async def test_any_body_or_none_will_do(self, ncm: Ncm, body: bytes) -> None:
        path = "/v2/cluster-providers/p/clusters/c/apply"
        assert (await ncm.client.post(path, content=body)).status_code == 204

    async def test_what_failed_is_installed_again(self, ncm: Ncm) -> None:
        ncm.statuses["install"] = ContextState.INSTANTIATE_FAILED
        context = await ncm.applied()
        ncm.statuses["install"] = ContextState.INSTANTIATED
        await ncm.act("apply")
        assert ncm.rsync.calls == [("install", context)] * 2
        assert await states(ncm) == ["Created", "Applied", "Applied"]
        assert (await ncm.info()).instance == context

    async def test_a_context_that_was_lost_is_made_anew(self, ncm: Ncm) -> None:
        await ncm.contexts.delete(await ncm.applied())
        again = await ncm.applied()
        assert ncm.rsync.calls[-1] == ("install", again)

    async def test_two_networks_of_one_name_fail_the_apply(self, ncm: Ncm) -> None:
        """As two requests at the same moment may leave them behind."""
        await ncm.post("/networks", network("same"))
        found = await ncm.deps.store.get({**KEY, "network": "same"})
        assert found is not None
        await ncm.post("/provider-networks", provider_network("other"))
        twin = await ncm.deps.store.get({**KEY, "providerNetwork": "other"})
        assert twin is not None
        await ncm.deps.store.replace(replace(twin, body={**twin.body, "metadata": found.body["metadata"]}))
        assert "same is the name of" in await ncm.act("apply", expect=409)
        assert (ncm.rsync.calls, await ncm.contexts_on_the_bus()) == ([], set())


class TestWithoutRsync:
    async def test_an_rsync_that_is_not_registered_is_not_found_and_nothing_stays(self, ncm: Ncm) -> None:
        await ncm.deps.store.delete(CONTROLLER_KEY)
        assert await ncm.act("apply", expect=404) == "Could not get find rsync by name"
        assert (await states(ncm), await ncm.contexts_on_the_bus()) == (["Created"], set())

    async def test_a_refusal_takes_the_apply_back(self, ncm: Ncm) -> None:
        ncm.rsync.accepts, ncm.rsync.message = False, "no room"
        assert "no room" in await ncm.act("apply", expect=409)
        assert (await states(ncm), await ncm.contexts_on_the_bus()) == (["Created"], set())

    async def test_an_rsync_that_does_not_answer_is_asked_again_after_a_restart(self, ncm: Ncm) -> None:
        ncm.rsync.aborts = grpc.StatusCode.UNAVAILABLE
        await ncm.act("apply", expect=503)
        assert "is busy" in await ncm.post("/networks", network(), expect=409)
        ncm.rsync.aborts = None
        await ncm.restart()
        await applied_in_the_end(ncm)
        document = await ncm.deps.store.get(KEY)
        assert document is not None
        assert OPERATION_TAG not in document.tags
        assert {context for _, context in ncm.rsync.calls} == {(await ncm.info()).instance}


class TestUpdate:
    async def test_changed_intents_take_the_place_of_what_was_applied(self, ncm: Ncm) -> None:
        await ncm.post("/networks", network("old"))
        first = await ncm.applied()
        await ncm.post("/networks?pending=true", network("new"))
        await ncm.delete("/networks/old?pending=true")
        await ncm.act("update")
        info = await ncm.info()
        assert ncm.rsync.calls[-1] == ("update", f"{first}>{info.instance}")
        assert await names_in(ncm, info.instance) == ["new+Network"]
        assert (info.status_context, info.state) == (first, State.APPLIED)
        assert await ncm.contexts.status_context_id(info.instance) == first
        await ncm.act("terminate")
        assert ncm.rsync.calls[-1] == ("uninstall", info.instance)

    async def test_an_update_that_failed_is_done_again_by_apply(self, ncm: Ncm) -> None:
        first = await ncm.applied()
        ncm.statuses["update"] = ContextState.UPDATE_FAILED
        await ncm.act("update")
        second = (await ncm.info()).instance
        ncm.statuses["update"] = ContextState.UPDATED
        await ncm.act("apply")
        assert ncm.rsync.calls[1:] == [("update", f"{first}>{second}")] * 2
        await ncm.act("apply")
        assert len(ncm.rsync.calls) == 3

    async def test_a_refused_update_leaves_the_former_context_in_force(self, ncm: Ncm) -> None:
        first = await ncm.applied()
        ncm.rsync.accepts = False
        await ncm.act("update", expect=409)
        assert ((await ncm.info()).instance, await ncm.contexts_on_the_bus()) == (first, {first})

    @pytest.mark.parametrize(
        ("state", "status", "text"),
        [
            (State.CREATED, None, "Cluster network intents have not been applied"),
            (State.TERMINATED, "Terminated", "Cluster network intents have not been applied"),
            (State.INSTANTIATE_STOPPED, "Instantiating", "Cluster is in an invalid state"),
            (State.APPLIED, "Instantiating", "Cluster network intents are still being applied"),
            (State.APPLIED, "Updating", "Cluster network intents are still being applied"),
            (State.APPLIED, None, "Cluster network intents are still being applied"),
        ],
    )
    async def test_what_is_not_applied_cannot_be_updated(
        self, ncm: Ncm, state: State, status: str | None, text: str
    ) -> None:
        await ncm.set_state(state, status=status)
        assert await ncm.act("update", expect=409) == text


class TestTerminateAndStop:
    async def test_terminate_removes_the_present_context_and_a_new_apply_makes_another(self, ncm: Ncm) -> None:
        first = await ncm.applied()
        await ncm.act("terminate")
        await ncm.act("terminate")
        assert ncm.rsync.calls == [("install", first), ("uninstall", first)]
        info = await ncm.info()
        assert (info.state, info.instance, info.status_context) == (State.TERMINATED, first, first)
        second = await ncm.applied()
        assert second != first
        assert (await ncm.info()).instances == (first, second)

    async def test_nothing_is_applied_while_the_former_networks_are_going(self, ncm: Ncm) -> None:
        await ncm.applied()
        ncm.statuses["uninstall"] = ContextState.TERMINATING
        await ncm.act("terminate")
        text = "Network intents for cluster have not completed terminating"
        assert await ncm.act("apply", expect=409) == text
        await ncm.set_status((await ncm.info()).instance, ContextState.TERMINATED)
        await ncm.act("apply")

    async def test_a_termination_that_failed_is_begun_again(self, ncm: Ncm) -> None:
        ncm.statuses["uninstall"] = ContextState.TERMINATE_FAILED
        context = await ncm.applied()
        await ncm.act("terminate")
        await ncm.act("terminate")
        assert ncm.rsync.calls[1:] == [("uninstall", context)] * 2

    async def test_stop_and_terminate_of_an_installation_under_way(self, ncm: Ncm) -> None:
        ncm.statuses["install"] = ContextState.INSTANTIATING
        context = await ncm.applied()
        await ncm.act("stop")
        assert await stop_flag(ncm, context) is True
        assert await ncm.act("stop", expect=409) == "Cluster network intents instantiation already stopped"
        await ncm.act("apply")
        await ncm.act("terminate")
        assert await stop_flag(ncm, context) is False
        assert await states(ncm) == ["Created", "Applied", "InstantiateStopped", "Terminated"]
        assert ncm.rsync.calls == [("install", context), ("uninstall", context)]

    async def test_a_stopped_termination_may_be_followed_by_an_apply(self, ncm: Ncm) -> None:
        await ncm.applied()
        ncm.statuses["uninstall"] = ContextState.TERMINATING
        await ncm.act("terminate")
        await ncm.act("stop")
        assert await ncm.act("stop", expect=409) == "Cluster network intents termination already stopped"
        await ncm.act("terminate")
        assert len(ncm.rsync.calls) == 2
        await ncm.act("apply")
        assert await states(ncm) == ["Created", "Applied", "Terminated", "TerminateStopped", "Applied"]

    @pytest.mark.parametrize(
        ("state", "status"),
        [(State.APPLIED, "Instantiated"), (State.APPLIED, "InstantiateFailed"), (State.TERMINATED, "Terminated")],
    )
    async def test_what_has_ended_cannot_be_stopped(self, ncm: Ncm, state: State, status: str) -> None:
        await ncm.set_state(state, status=status)
        text = "Cluster network intents are not instantiating or terminating"
        assert await ncm.act("stop", expect=409) == text

    @pytest.mark.parametrize("state", [State.APPLIED, State.INSTANTIATE_STOPPED])
    async def test_what_is_lost_is_made_anew_before_it_is_removed(self, ncm: Ncm, state: State) -> None:
        await ncm.set_state(state, status="Instantiating")
        await ncm.contexts.delete("4711")
        assert "4711 is gone" in await ncm.act("terminate", expect=409)
        context = await ncm.applied()
        await ncm.act("terminate")
        assert ncm.rsync.calls == [("install", context), ("uninstall", context)]

    @pytest.mark.parametrize("verb", ["terminate", "stop"])
    async def test_what_was_never_applied_cannot_be_ended(self, ncm: Ncm, verb: str) -> None:
        assert await ncm.act(verb, expect=409) == "Cluster network intents have not been applied"

    @pytest.mark.parametrize("verb", ["apply", "update", "terminate", "stop"])
    async def test_a_state_that_ncm_does_not_know_allows_nothing(self, ncm: Ncm, verb: str) -> None:
        await ncm.set_state(State.APPROVED)
        assert await ncm.act(verb, expect=409) == "Cluster is in an invalid state"

    @pytest.mark.parametrize("verb", ["apply", "update", "terminate", "stop"])
    async def test_an_unknown_cluster_is_not_found(self, ncm: Ncm, verb: str) -> None:
        answer = await ncm.client.post(f"/v2/cluster-providers/p/clusters/nowhere/{verb}")
        assert (answer.status_code, answer.text) == (404, "Cluster not found\n")


class TestRendered:
    async def test_what_would_be_installed_is_shown_without_installing_it(self, ncm: Ncm) -> None:
        await ncm.post("/networks", network())
        answer = await ncm.client.get("/v2/cluster-providers/p/clusters/c/networks-rendered")
        assert answer.headers["content-type"].startswith("application/yaml")
        assert "kind: Network\n" in answer.text
        assert (ncm.rsync.calls, await states(ncm)) == ([], ["Created"])


class TestStatus:
    async def status(self, ncm: Ncm, query: str = "", *, expect: int = 200) -> Any:
        return await ncm.get(f"/status{query}", expect=expect)

    async def test_before_the_first_apply_only_the_history_is_known(self, ncm: Ncm) -> None:
        status = await self.status(ncm)
        assert list(status) == ["name", "states", "cluster"]
        assert (status["name"], status["cluster"], status["states"]["statusctxid"]) == ("p+c", {}, "")
        assert status["states"]["actions"][0].keys() == {"state", "instance", "time", "revision"}

    async def test_an_applied_cluster_shows_its_networks(self, ncm: Ncm) -> None:
        await ncm.post("/networks", network())
        context = await ncm.applied()
        status = await self.status(ncm, "?status=deployed")
        assert (status["deployedStatus"], status["deployedCounts"]) == ("Instantiated", {"Pending": 1})
        gvk = {"Group": "k8s.plugin.opnfv.org", "Version": "v1alpha1", "Kind": "Network"}
        assert status["cluster"] == {
            "clusterProvider": "p",
            "cluster": "c",
            "connectivity": "Unknown",
            "resources": [{"GVK": gvk, "name": "blue", "deployedStatus": "Pending"}],
        }
        assert await self.status(ncm, f"?status=deployed&instance={context}") == status
        assert (await self.status(ncm))["rsyncStatus"] == {"Pending": 1}
        for query in (
            "?output=summary",
            "?resource=other",
            "?cluster=p%2Bother",
            "?cluster=p%2Bother&app=network-intents",
        ):
            assert (await self.status(ncm, query))["cluster"] == {}

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("type=x", "Invalid query type"),
            ("status=x", "Invalid query status"),
            ("output=", "Invalid query output"),
            ("app=", "Invalid app query"),
            ("cluster=p+c", "Invalid cluster query"),
            ("resource=", "Invalid resources query"),
            ("instance=7", "No state information for 7"),
            ("app=web", "Filter app web not in list of apps"),
        ],
    )
    async def test_a_bad_query_is_refused_in_words(self, ncm: Ncm, query: str, text: str) -> None:
        await ncm.applied()
        assert text in await self.status(ncm, f"?{query}", expect=400)

    async def test_an_unknown_cluster_has_no_state(self, ncm: Ncm) -> None:
        answer = await ncm.client.get("/v2/cluster-providers/p/clusters/nowhere/status")
        assert (answer.status_code, answer.text) == (404, "Cluster state not found\n")


async def stop_flag(ncm: Ncm, context: str) -> bool | None:
    return (await ncm.contexts.read_status(context)).stop
