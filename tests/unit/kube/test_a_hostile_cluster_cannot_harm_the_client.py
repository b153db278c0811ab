from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from emco_common.kube import Kind, KubeClient, Kubeconfig, Ref, errors, transport
from tests.unit.kube.servers import SPEAKS, scripted_cluster

CONFIG_MAP = Kind("v1", "ConfigMap")
REF = Ref(CONFIG_MAP, "x", "n")
PATH = "/api/v1/namespaces/n/configmaps/x"
ALL = "/api/v1/configmaps"


@pytest.fixture(autouse=True, params=["HTTP/1.1", "HTTP/2"])
def carrier(request: pytest.FixtureRequest) -> str:
    SPEAKS.set(request.param)
    return str(request.param)


def text(body: str | bytes, *, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    return answer


def lines(*sent: bytes, hang: bool = False) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in sent:
            await response.write(line)
        if hang:
            await asyncio.sleep(60)
        return response

    return answer


@pytest.mark.parametrize("body", ["<html>", "[1]", "", "[" * 100_000, '{"a": 1e999999'])
@pytest.mark.robustness(27)
async def test_an_answer_that_is_no_object_is_an_error(body: str) -> None:
    async with scripted_cluster() as (script, client):
        script.answers[PATH] = text(body)
        with pytest.raises(errors.BadAnswer):
            await client.get(REF)


@pytest.mark.robustness(27)
async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 100_000)
    async with scripted_cluster() as (script, client):

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 10_000)

        script.answers[PATH] = endless
        with pytest.raises(errors.BadAnswer, match="larger than 100000"):
            await client.get(REF)
        script.answers[ALL] = endless
        with pytest.raises(errors.BadAnswer, match="larger than 100000"):
            async for _ in client.watch(CONFIG_MAP, resource_version="1"):
                pass


@pytest.mark.robustness(27)
async def test_an_error_page_without_end_is_cut_off() -> None:
    async with scripted_cluster() as (script, client):
        script.answers[PATH] = text(b"y" * 10_000_000, status=500)
        with pytest.raises(errors.ServerError) as caught:
            await client.get(REF)
        assert len(str(caught.value)) <= errors.MAX_MESSAGE


async def test_redirects_are_not_followed() -> None:
    async with scripted_cluster(token="secret") as (script, client):

        async def elsewhere(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("/elsewhere")

        script.answers[PATH] = elsewhere
        with pytest.raises(errors.BadAnswer, match="redirect"):
            await client.get(REF)
        assert "GET /elsewhere" not in script.seen


async def test_a_call_ends_at_its_deadline() -> None:
    async with scripted_cluster(timeout=0.05) as (script, client):
        script.answers["/version"] = lines(b"{", hang=True)
        with pytest.raises(errors.Unreachable, match=r"within 0\.05 s"):
            await client.version()


async def test_a_cluster_that_is_not_there_is_unreachable() -> None:
    async with KubeClient(Kubeconfig(server="http://127.0.0.1:1"), timeout=2) as client:
        with pytest.raises(errors.Unreachable) as caught:
            await client.version()
    assert caught.value.retriable


async def test_a_closed_client_says_so() -> None:
    client = KubeClient(Kubeconfig(server="http://127.0.0.1:1"))
    await client.close()
    with pytest.raises(errors.Unreachable, match="closed"):
        await client.version()


@pytest.mark.robustness(47)
async def test_a_silent_watch_is_taken_for_dead() -> None:
    async with scripted_cluster() as (script, client):
        event = b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}\n'
        script.answers[ALL] = lines(event, hang=True)
        watch = client.watch(CONFIG_MAP, resource_version="1", silence=0.05)
        assert (await anext(watch)).resource_version == "7"
        with pytest.raises(errors.Unreachable, match="silent"):
            await anext(watch)


async def test_the_consumers_time_is_not_the_clusters() -> None:
    async with scripted_cluster() as (script, client):
        event = b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}\n'
        script.answers[ALL] = lines(event + event + event)
        seen = 0
        async for _ in client.watch(CONFIG_MAP, resource_version="1", silence=0.2):
            seen += 1
            await asyncio.sleep(0.25)
            if seen == 3:
                break
        assert seen == 3


async def test_a_watch_is_taken_up_where_it_stopped() -> None:
    async with scripted_cluster() as (script, client):
        asked: list[str] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            asked.append(request.query["resourceVersion"])
            bookmark = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}\n' % (len(asked) * 10)
            return await lines(bookmark)(request)

        script.answers[ALL] = answer
        async for item in client.watch(CONFIG_MAP, resource_version="1"):
            if item.resource_version == "30":
                break
        assert asked == ["1", "10", "20"]


@pytest.mark.parametrize("how", ["event", "answer"])
@pytest.mark.robustness(47)
async def test_a_version_that_is_too_old_is_gone(how: str) -> None:
    async with scripted_cluster() as (script, client):
        status = b'{"kind":"Status","reason":"Expired","message":"too old","code":410}'
        event = b'{"type":"ERROR","object":' + status + b"}\n"
        script.answers[ALL] = lines(event) if how == "event" else text(status, status=410)
        with pytest.raises(errors.Gone, match="too old"):
            async for _ in client.watch(CONFIG_MAP, resource_version="1"):
                pass


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":[]}\n', b"[]\n"])
async def test_a_watch_line_that_is_no_event_is_an_error(line: bytes) -> None:
    async with scripted_cluster() as (script, client):
        script.answers[ALL] = lines(line)
        with pytest.raises(errors.BadAnswer):
            async for _ in client.watch(CONFIG_MAP, resource_version="1"):
                pass


async def test_a_list_is_read_to_its_last_page_and_begun_again_when_a_page_is_gone() -> None:
    async with scripted_cluster() as (script, client):

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.query.get("continue") == "old":
                return web.json_response({"kind": "Status", "reason": "Expired"}, status=410)
            items = [{"metadata": {"name": "a"}}, "no object"]
            following = {"continue": "old"} if "limit" in request.query else {}
            return web.json_response({"metadata": {"resourceVersion": "5", **following}, "items": items})

        script.answers[ALL] = answer
        listed = await client.list(CONFIG_MAP)
        assert listed.resource_version == "5"
        assert listed.items == ({"metadata": {"name": "a"}, "apiVersion": "v1", "kind": "ConfigMap"},)


@pytest.mark.robustness(27)
async def test_a_list_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emco_common.kube.client.MAX_LISTED", 50)
    async with scripted_cluster() as (script, client):
        script.json(ALL, {"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [{}] * 20})
        with pytest.raises(errors.BadAnswer, match="more than 50"):
            await client.list(CONFIG_MAP)


MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
PLACE = Ref(Kind("v1", "ConfigMap"), "a", "default")


@pytest.mark.robustness(27, 49)
@pytest.mark.parametrize("answer", [{}, {"hello": 1}, {"metadata": {"name": "b"}}, {"metadata": []}], ids=str)
async def test_an_answer_about_something_else_is_neither_success_nor_absence(answer: dict[str, object]) -> None:
    async with scripted_cluster() as (script, client):
        script.json("/api/v1/namespaces/default/configmaps/a", answer)
        script.json("/api/v1/configmaps", answer)
        script.json("/version", answer)
        for call in (
            client.apply(MAP, manager="m"),
            client.get(PLACE),
            client.delete(PLACE),
            client.list(PLACE.kind),
            client.version(),
        ):
            with pytest.raises(errors.BadAnswer):
                await call


@pytest.mark.robustness(27, 49)
@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
async def test_a_page_of_a_proxy_is_no_word_of_the_api_server(status: int) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="<html>sign in</html>", content_type="text/html")

    async with scripted_cluster() as (script, client):
        script.answers["/api/v1/namespaces/default/configmaps/a"] = page
        with pytest.raises(errors.BadAnswer) as caught:
            await client.get(PLACE)
        assert caught.value.retriable


async def test_credentials_go_into_the_header_and_nowhere_else() -> None:
    async with scripted_cluster(token="canary-1") as (script, client):
        got: list[str] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            got.append(request.headers["Authorization"])
            return web.Response(status=401, text="no")

        script.answers["/version"] = answer
        with pytest.raises(errors.Unauthorized) as caught:
            await client.version()
        assert got == ["Bearer canary-1"]
        assert "canary" not in str(caught.value)


async def test_calls_in_flight_are_bounded() -> None:
    async with scripted_cluster() as (script, _):
        now = most = 0

        async def answer(_: web.Request) -> web.StreamResponse:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            return web.json_response({"gitVersion": "v1"})

        script.answers["/version"] = answer
        async with KubeClient(script.kubeconfig, connections=3) as client:
            await asyncio.gather(*(client.version() for _ in range(20)))
        assert most == 3


async def test_these_tests_speak_what_they_say(carrier: str) -> None:
    async with scripted_cluster() as (_, client):
        assert (await client.resource(CONFIG_MAP)).plural == "configmaps"
        assert client.server.startswith("https:" if carrier == "HTTP/2" else "http:")
