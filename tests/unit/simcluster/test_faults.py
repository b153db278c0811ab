"""Faults on purpose: what a client of the simulated cluster then meets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from emco_simcluster import Outage, Rule, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.simcluster.conftest import Client, MakeClient

MAPS = "/api/v1/namespaces/default/configmaps"
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}


async def eventually(look: Callable[[], Awaitable[Any]], *, seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if (found := await look()) or time.monotonic() > deadline:
                return found
        except aiohttp.ClientError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.01)


async def test_an_error_answers_the_requests_it_matches_and_says_when_to_come_back(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    client = connect(sim_cluster)
    sim_cluster.faults.add(Rule(verb="apply", resource="config*", name="a", status=429, retry_after=3, times=2))
    for _ in range(2):
        status, body, headers = await client.send("PATCH", f"{MAPS}/a", BODY, fieldManager="t")
        assert (status, body["reason"], headers["Retry-After"]) == (429, "TooManyRequests", "3")
        assert body["details"]["retryAfterSeconds"] == 3
    assert (await client.send("GET", f"{MAPS}/a"))[0] == 404
    assert (await client.send("PATCH", f"{MAPS}/a", BODY, fieldManager="t"))[0] == 201


async def test_an_error_after_the_write_is_a_lost_acknowledgement(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    sim_cluster.faults.add(Rule(verb="create", status=504, after_write=True))
    assert (await client.send("POST", MAPS, BODY))[0] == 504
    assert [o["metadata"]["name"] for o in sim_cluster.objects("ConfigMap", "default")].count("a") == 1


async def test_a_share_of_requests_is_hit_the_same_ones_with_the_same_seed(
    make_sim_cluster: MakeSimCluster, connect: MakeClient
) -> None:
    runs = []
    for _ in range(2):
        cluster = await make_sim_cluster("same", seed=7)
        cluster.faults.add(Rule(verb="get", share=0.5, status=503))
        client = connect(cluster)
        runs.append([(await client.send("GET", "/api/v1/namespaces/default"))[0] for _ in range(20)])
        await cluster.stop()
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


async def test_latency_holds_a_request_up(sim_cluster: SimCluster, connect: MakeClient) -> None:
    sim_cluster.faults.add(Rule(verb="list", latency=0.2))
    begin = time.monotonic()
    assert (await connect(sim_cluster).send("GET", MAPS))[0] == 200
    assert time.monotonic() - begin >= 0.2


async def test_a_cut_breaks_the_answer_in_the_middle(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    sim_cluster.faults.add(Rule(verb="create", cut=True))
    with pytest.raises(aiohttp.ClientError):
        await client.send("POST", MAPS, BODY)
    assert (await client.send("GET", f"{MAPS}/a"))[0] == 200


async def test_a_slow_body_comes_in_pieces_and_whole(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    await client.send("POST", MAPS, BODY)
    sim_cluster.faults.add(Rule(verb="get", bytes_per_second=2_000))
    begin = time.monotonic()
    assert (await client.send("GET", f"{MAPS}/a"))[1]["data"] == {"k": "v"}
    assert time.monotonic() - begin > 0.1


async def test_a_refused_connection_and_the_return_to_the_same_port(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    client = connect(sim_cluster)
    assert (await client.send("GET", MAPS))[0] == 200
    sim_cluster.faults.begin_outage(Outage.REFUSE)
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.send("GET", MAPS)
    sim_cluster.faults.end_outage()
    assert (await client.send("GET", MAPS))[0] == 200


async def test_a_black_hole_answers_nothing_and_then_cuts_what_hung(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    client = connect(sim_cluster)
    assert (await client.send("GET", MAPS))[0] == 200
    sim_cluster.faults.begin_outage("hang")
    open_connection = asyncio.ensure_future(client.send("POST", MAPS, BODY))
    new_connection = asyncio.ensure_future(connect(sim_cluster).send("GET", MAPS))
    done, _ = await asyncio.wait((open_connection, new_connection), timeout=0.2)
    assert not done
    sim_cluster.faults.end_outage()
    with pytest.raises(aiohttp.ClientError):
        await open_connection
    assert "a" not in {o["metadata"]["name"] for o in sim_cluster.objects("configmaps", "default")}
    assert (await new_connection)[0] == 200


async def test_an_outage_ends_by_itself_when_it_has_a_length(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    sim_cluster.faults.begin_outage("refuse", seconds=0.1)
    assert await eventually(lambda: client.send("GET", MAPS))
    assert sim_cluster.faults.outage is None


async def test_a_cutting_outage_breaks_every_answer(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    sim_cluster.faults.begin_outage(Outage.CUT)
    for path in (MAPS, "/apis", "/version"):
        with pytest.raises(aiohttp.ClientError):
            await client.send("GET", path)
    sim_cluster.faults.clear()
    assert (await client.send("GET", MAPS))[0] == 200


async def watched(client: Client, revision: str, **options: str) -> aiohttp.ClientResponse:
    params = {"watch": "true", "resourceVersion": revision, **options}
    return await client.session.get(f"{client.url}{MAPS}", params=params)


async def listed(client: Client) -> str:
    return str((await client.send("GET", MAPS))[1]["metadata"]["resourceVersion"])


async def test_a_restart_cuts_watches_and_keeps_state_and_history(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    revision = await listed(client)
    watch = await watched(client, revision)
    await client.send("POST", MAPS, BODY)
    assert json.loads(await watch.content.readline())["type"] == "ADDED"
    sim_cluster.faults.restart()
    with pytest.raises(aiohttp.ClientError):
        await watch.content.readline()
    again = await watched(client, revision)
    assert json.loads(await again.content.readline())["object"]["metadata"]["name"] == "a"
    again.close()


async def test_a_restart_that_loses_history_ends_old_watches_with_410(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    client = connect(sim_cluster)
    revision = await listed(client)
    await client.send("POST", MAPS, BODY)
    sim_cluster.faults.restart(lose_history=True)
    watch = await eventually(lambda: watched(client, revision))
    event = json.loads(await watch.content.readline())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert "a" in {o["metadata"]["name"] for o in sim_cluster.objects("configmaps", "default")}


async def test_a_restart_that_loses_all_state_is_a_fresh_cluster_at_the_same_address(
    sim_cluster: SimCluster, connect: MakeClient
) -> None:
    client = connect(sim_cluster)
    await client.send("POST", MAPS, BODY)
    before = sim_cluster.uid
    sim_cluster.faults.restart(seconds=0.05, lose_state=True)
    assert (await eventually(lambda: client.send("GET", f"{MAPS}/a")))[0] == 404
    assert sim_cluster.uid != before
    assert sim_cluster.objects("Node")


async def test_faults_are_set_from_outside_with_credentials(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client, path = connect(sim_cluster), "/simulated/faults"
    stranger = connect(sim_cluster, certificate=False)
    assert (await stranger.send("GET", path))[0] == 401
    rule = {"verb": "get", "status": 503}
    status, state, _ = await client.send("PUT", path, {"rules": [rule]})
    assert (status, state["simulated"], state["rules"][0]["status"]) == (200, True, 503)
    assert (await client.send("GET", f"{MAPS}/a"))[0] == 503
    assert (await client.send("GET", path))[1]["rules"][0]["hits"] == 1
    assert (await client.send("DELETE", path))[1]["rules"] == []
    assert (await client.send("GET", f"{MAPS}/a"))[0] == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"rules": [{"statsu": 503}]}, "unknown field statsu"),
        ({"rules": [{"status": 200}]}, "status lies between 400 and 599"),
        ({"outage": "hang"}, "name its seconds"),
        ({"outage": "coffee"}, "is not a valid Outage"),
    ],
)
async def test_nonsense_faults_are_refused(
    sim_cluster: SimCluster, connect: MakeClient, body: dict[str, Any], message: str
) -> None:
    status, answer, _ = await connect(sim_cluster).send("PUT", "/simulated/faults", body)
    assert (status, message in answer["message"]) == (400, True)


async def test_a_restart_is_ordered_from_outside(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    await client.send("POST", MAPS, BODY)
    assert (await client.send("POST", "/simulated/restart", {"loseState": True}))[0] == 200

    async def fresh() -> bool:
        return (await client.send("GET", f"{MAPS}/a"))[0] == 404

    assert await eventually(fresh)


async def test_a_watch_is_cut_in_the_middle_of_an_event(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    revision = await listed(client)
    await client.send("POST", MAPS, BODY)
    sim_cluster.faults.add(Rule(verb="watch", cut=True))
    watch = await watched(client, revision)
    with pytest.raises(aiohttp.ClientError):
        await watch.content.readline()


async def test_a_mute_watch_sends_bookmarks_and_loses_events(
    make_sim_cluster: MakeSimCluster, connect: MakeClient
) -> None:
    cluster = await make_sim_cluster("edge", bookmark_every=0.1)
    client = connect(cluster)
    revision = await listed(client)
    cluster.faults.add(Rule(verb="watch", mute=True))
    watch = await watched(client, revision, allowWatchBookmarks="true")
    await client.send("POST", MAPS, BODY)
    assert json.loads(await watch.content.readline())["type"] == "BOOKMARK"


async def test_revoked_credentials_are_a_401(sim_cluster: SimCluster, connect: MakeClient) -> None:
    client = connect(sim_cluster)
    assert (await client.send("GET", MAPS))[0] == 200
    sim_cluster.revoked.add("simulated-admin")
    status, body, _ = await client.send("GET", MAPS)
    assert (status, body["reason"]) == (401, "Unauthorized")
