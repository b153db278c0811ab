"""How a service speaks HTTP, on a small resource of its own: conditions, pieces of lists, refusals, odd requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from emco_common.resources.declaration import Query, Resource, Upload
from emco_common.resources.model import Named, Text128, Wire, section
from emco_common.resources.router import build_router
from emco_common.resources.service import Hooks, StoredFile
from emco_common.store.api import Document, Key
from emco_common.store.sqlite import SqliteStore
from emco_common.web.answers import Problem
from emco_common.web.app import create_app
from emco_common.web.serving import HttpServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMIT = 1 << 20


class NoteSpec(Wire):
    text: Text128 = ""


class Note(Named):
    spec: NoteSpec = section()


NOTE = Resource(path="notes", elements=("note",), model=Note, title="Note")
LINE = Resource(path="lines", elements=("line",), model=Named, title="Line", parent=NOTE, list_requires=(NOTE,))
TAGGED = Resource(
    path="tagged",
    elements=("tagged",),
    model=Note,
    title="Tagged",
    queries={"text": Query("Answer the names of those with this text", list[str])},
)
PICTURE = Resource(
    path="pictures", elements=("picture",), model=Named, title="Picture", upload=Upload(check=lambda _file: None)
)


class ByText(Hooks):
    async def listing(self, documents: Sequence[Document], within: Key, query: Mapping[str, str]) -> Any:
        if "text" in query:
            return [d.key["tagged"] for d in documents if d.body["spec"]["text"] == query["text"]]
        return await super().listing(documents, within, query)


def failing() -> APIRouter:
    router = APIRouter()

    @router.get("/v2/broken")
    async def broken() -> None:
        raise RuntimeError("the canary is in the cause")

    return router


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory, registry: CollectorRegistry) -> AsyncIterator[int]:
    """One service for all; each test leaves it empty."""
    store = await SqliteStore.open(tmp_path_factory.mktemp("notes") / "store.db")
    routers = [build_router(resource, store) for resource in (NOTE, LINE)]
    routers += [build_router(TAGGED, store, ByText()), build_router(PICTURE, store, StoredFile(store)), failing()]
    app = create_app("notes", routers, version="1", max_body=LIMIT, max_upload=2 * LIMIT, metrics=registry)
    server = HttpServer(app, "127.0.0.1", 0, name="notes")
    await server.start()
    yield server.port
    await server.stop()
    await store.close()


@pytest_asyncio.fixture(loop_scope="module")
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
        await clear(client, *("/v2/notes/n/lines", "/v2/notes", "/v2/tagged", "/v2/pictures"))


async def clear(client: httpx.AsyncClient, *paths: str) -> None:
    for path in paths:
        answer = await client.get(path)
        for item in answer.json() if answer.is_success else ():
            assert (await client.delete(f"{path}/{item['metadata']['name']}")).status_code == 204


def note(name: str, text: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"text": text}}


async def make(client: httpx.AsyncClient, *names: str, path: str = "/v2/notes", text: str = "") -> None:
    for name in names:
        assert (await client.post(path, json=note(name, text))).status_code == 201


async def raw(port: int, request: bytes) -> bytes:
    """What is answered to these bytes, until the service closes or 0.5 s pass without more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 0.5 if answer else 5):
            answer += piece
    except TimeoutError:
        pass
    finally:
        writer.close()
    return answer


class TestEntityTags:
    async def test_every_answer_with_the_item_names_its_state(self, client: httpx.AsyncClient) -> None:
        made = await client.post("/v2/notes", json=note("n"))
        read = await client.get("/v2/notes/n")
        changed = await client.put("/v2/notes/n", json=note("n", "new"))
        assert made.headers["etag"] == read.headers["etag"] != changed.headers["etag"]
        assert (await client.get("/v2/notes/n")).headers["etag"] == changed.headers["etag"]

    async def test_what_the_client_knows_is_not_sent_again(self, client: httpx.AsyncClient) -> None:
        await make(client, "n")
        tag = (await client.get("/v2/notes/n")).headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = await client.get("/v2/notes/n", headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert (await client.get("/v2/notes/n", headers={"If-None-Match": '"other"'})).status_code == 200
        await client.put("/v2/notes/n", json=note("n", "new"))
        assert (await client.get("/v2/notes/n", headers={"If-None-Match": tag})).json()["spec"]["text"] == "new"

    async def test_a_namesake_that_came_later_is_another_state(self, client: httpx.AsyncClient) -> None:
        await make(client, "n")
        tag = (await client.get("/v2/notes/n")).headers["etag"]
        await client.delete("/v2/notes/n")
        await make(client, "n", text="another")
        assert (await client.get("/v2/notes/n", headers={"If-None-Match": tag})).status_code == 200
        assert (await client.put("/v2/notes/n", json=note("n"), headers={"If-Match": tag})).status_code == 412
        assert (await client.delete("/v2/notes/n", headers={"If-Match": tag})).status_code == 412

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    async def test_a_write_happens_only_where_its_condition_holds(self, client: httpx.AsyncClient, method: str) -> None:
        async def write(name: str, **headers: str) -> int:
            body = {"json": note(name, "new")} if method == "PUT" else {}
            sent = {key.replace("_", "-"): value for key, value in headers.items()}
            return (await client.request(method, f"/v2/notes/{name}", headers=sent, **body)).status_code

        good = 200 if method == "PUT" else 204
        await make(client, "a", "b")
        tag = (await client.get("/v2/notes/a")).headers["etag"]
        assert await write("a", If_Match='"7"') == 412
        assert await write("a", If_None_Match=tag) == 412
        assert await write("a", If_None_Match="*") == 412
        assert (await client.get("/v2/notes/a")).headers["etag"] == tag
        assert await write("a", If_Match=f'"7", {tag}') == good
        assert await write("b", If_Match="*") == good
        assert await write("none", If_Match="*") == (412 if method == "PUT" else 404)

    async def test_if_none_match_star_creates_and_never_replaces(self, client: httpx.AsyncClient) -> None:
        first = {"If-None-Match": "*"}
        assert (await client.put("/v2/notes/n", json=note("n"), headers=first)).status_code == 201
        refused = await client.put("/v2/notes/n", json=note("n", "new"), headers=first)
        assert refused.status_code == 412
        assert "If-None-Match" in refused.text

    async def test_of_many_writers_who_saw_the_same_state_one_wins(self, client: httpx.AsyncClient) -> None:
        await make(client, "n")
        seen = {"If-Match": (await client.get("/v2/notes/n")).headers["etag"]}
        writes = [client.put("/v2/notes/n", json=note("n", str(n)), headers=seen) for n in range(8)]
        answers = [answer.status_code for answer in await asyncio.gather(*writes)]
        assert sorted(answers) == [200, *[412] * 7]

    @pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
    async def test_what_is_no_tag_is_refused_by_name(self, client: httpx.AsyncClient, header: str) -> None:
        answer = await client.put("/v2/notes/n", json=note("n"), headers={header: 'a b"'})
        assert answer.status_code == 400
        assert header in answer.text

    async def test_a_file_has_the_tag_of_its_item_and_varies_by_accept(self, client: httpx.AsyncClient) -> None:
        form = {"data": {"metadata": '{"metadata":{"name":"p"}}'}, "files": {"file": ("f", b"bytes")}}
        await client.post("/v2/pictures", **form)
        tags = set()
        for accept in ("application/json", "application/octet-stream", "multipart/form-data"):
            answer = await client.get("/v2/pictures/p", headers={"Accept": accept})
            assert answer.headers["vary"] == "Accept"
            tags.add(answer.headers["etag"])
        (tag,) = tags
        unchanged = await client.get("/v2/pictures/p", headers={"If-None-Match": tag, "Accept": "multipart/form-data"})
        assert unchanged.status_code == 304


class TestPiecesOfLists:
    async def walk(self, client: httpx.AsyncClient, path: str, limit: int) -> list[str]:
        """All names, by following the links."""
        seen: list[str] = []
        following = f"{path}?limit={limit}"
        while following:
            answer = await client.get(following)
            assert answer.status_code == 200, answer.text
            assert 1 <= len(answer.json()) <= limit or not seen
            seen += [item["metadata"]["name"] for item in answer.json()]
            assert ("emco-continue" in answer.headers) == ("next" in answer.links)
            following = answer.links.get("next", {}).get("url", "")
        return seen

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9, 10_000])
    @pytest.mark.parametrize("path", ["/v2/notes", "/v2/tagged", "/v2/notes/n/lines"])
    async def test_pieces_make_the_list(self, client: httpx.AsyncClient, path: str, limit: int) -> None:
        if path == "/v2/notes/n/lines":
            await make(client, "n")
        names = [f"n{number}" for number in (7, 3, 5, 1, 8, 2, 6, 4)]
        await make(client, *names, path=path)
        assert await self.walk(client, path, limit) == names
        assert [item["metadata"]["name"] for item in (await client.get(path)).json()] == names

    async def test_the_token_alone_answers_the_rest(self, client: httpx.AsyncClient) -> None:
        await make(client, *"abcde")
        first = await client.get("/v2/notes?limit=2")
        rest = await client.get("/v2/notes", params={"continue": first.headers["emco-continue"]})
        assert [item["metadata"]["name"] for item in rest.json()] == [*"cde"]
        assert "emco-continue" not in rest.headers

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    async def test_who_was_there_all_the_time_is_seen_once(
        self, client: httpx.AsyncClient, data: st.DataObject
    ) -> None:
        await clear(client, "/v2/notes")
        there = [f"n{number}" for number in range(6)]
        await make(client, *there)
        stayed, seen, count = set(there), [], 0
        answer = await client.get("/v2/notes?limit=2")
        while True:
            seen += [item["metadata"]["name"] for item in answer.json()]
            token = answer.headers.get("emco-continue")
            if token is None:
                break
            for name in data.draw(st.lists(st.sampled_from(sorted(stayed)), unique=True, max_size=2)):
                await client.delete(f"/v2/notes/{name}")
                stayed.discard(name)
            count += 1
            await make(client, f"late{count}")
            answer = await client.get("/v2/notes", params={"limit": "2", "continue": token})
        assert len(seen) == len(set(seen))
        assert stayed <= set(seen)

    async def test_an_empty_list_and_an_unknown_parent(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v2/notes?limit=3")).json() == []
        assert (await client.get("/v2/notes/none/lines?limit=3")).status_code == 404

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", "10001", "9" * 99, "٣"])
    async def test_a_bad_limit_is_named_with_its_bounds(self, client: httpx.AsyncClient, limit: str) -> None:
        answer = await client.get("/v2/notes", params={"limit": limit})
        assert answer.status_code == 400
        assert answer.text.startswith(f"limit {limit[:32]!r} is not a number from 1 to 10000")

    @pytest.mark.parametrize("path", ["/v2/notes", "/v2/tagged"])
    @pytest.mark.parametrize("token", ["", "x", "MQ==MQ", "ü", "LTE", "MS4x", "AAAA", "9" * 500])
    async def test_a_bad_token_is_named(self, client: httpx.AsyncClient, path: str, token: str) -> None:
        answer = await client.get(path, params={"continue": token})
        assert answer.status_code == 400
        assert answer.text.startswith("continue ")
        assert token[:64] in answer.text

    async def test_a_query_for_something_else_is_answered_whole(self, client: httpx.AsyncClient) -> None:
        await make(client, *"abc", path="/v2/tagged", text="t")
        assert (await client.get("/v2/tagged?text=t")).json() == [*"abc"]
        refused = await client.get("/v2/tagged?text=t&limit=1")
        assert (refused.status_code, refused.text) == (400, "limit and continue cannot be combined with text\n")


class TestRefusals:
    PROBLEM = "application/problem+json"

    @pytest.mark.parametrize(
        ("accept", "structured"),
        [
            ("application/problem+json", True),
            ("application/json, application/problem+json;q=0.5", True),
            ("Application/Problem+JSON", True),
            ("application/problem+json;q=0", False),
            ("text/plain, application/problem+json;q=0.2", False),
            ("text/plain;q=0.1, application/problem+json;q=0.2", True),
            ("application/json", False),
            ("*/*", False),
            ("application/*", False),
            ("", False),
        ],
    )
    async def test_are_problem_details_for_who_accepts_them(
        self, client: httpx.AsyncClient, accept: str, structured: bool
    ) -> None:
        answer = await client.get("/v2/notes/none", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["vary"]) == (404, "Accept")
        if structured:
            assert answer.headers["content-type"] == self.PROBLEM
            shown = Problem.model_validate_json(answer.text)
            assert (shown.status, shown.title, shown.instance) == (
                404,
                "Note not found",
                answer.headers["x-request-id"],
            )
        else:
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.text == "Note not found\n"

    @pytest.mark.parametrize(
        ("method", "path", "headers", "body", "status"),
        [
            ("GET", "/v2/nowhere", {}, b"", 404),
            ("GET", "/v2/notes/a%2Fb", {}, b"", 404),
            ("POST", "/v2/notes", {}, b"", 400),
            ("POST", "/v2/notes", {}, b" \n\t", 400),
            ("POST", "/v2/notes", {}, b"{", 422),
            ("POST", "/v2/notes", {"Content-Encoding": "gzip"}, b"\x1f\x8b", 415),
            ("POST", "/v2/notes", {}, b"x" * (LIMIT + 1), 413),
            ("POST", "/v2/pictures", {}, b"{}", 422),
            ("PUT", "/v2/notes/n", {"If-Match": '"1"'}, json.dumps(note("n")).encode(), 412),
            ("GET", "/v2/broken", {}, b"", 500),
        ],
        ids=(
            "path unknown",
            "slash in a name",
            "no body",
            "blanks",
            "no JSON",
            "compressed",
            "too large",
            "no form",
            "stale",
            "our mistake",
        ),
    )
    async def test_have_both_forms_wherever_they_come_from(
        self, client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], body: bytes, status: int
    ) -> None:
        plain = await client.request(method, path, headers=headers, content=body)
        structured = await client.request(method, path, headers={**headers, "Accept": self.PROBLEM}, content=body)
        assert plain.status_code == structured.status_code == status
        assert structured.json()["title"] == plain.text.split("\n")[0]
        for answer in (plain, structured):
            assert answer.headers["x-request-id"]
            assert "canary" not in answer.text

    async def test_a_compressed_body_is_told_what_is_taken(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/notes", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
        assert "gzip" in answer.text
        assert (await client.post("/v2/notes", json=note("n"), headers={"Content-Encoding": "identity"})).is_success

    async def test_our_own_mistake_is_counted_as_one(
        self, client: httpx.AsyncClient, registry: CollectorRegistry
    ) -> None:
        def counted() -> float:
            labels = {"service": "notes", "method": "GET", "route": "/v2/broken", "status": "5xx"}
            return registry.get_sample_value("emco_http_request_seconds_count", labels) or 0

        before = counted()
        await client.get("/v2/broken")
        assert counted() == before + 1


class TestMethodsAndPaths:
    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "PUT", "DELETE"])
    async def test_a_method_that_is_not_served_is_answered_without_a_body(
        self, client: httpx.AsyncClient, method: str
    ) -> None:
        answer = await client.request(method, "/v2/notes")
        assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "GET, POST")

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH"])
    async def test_an_unknown_path_is_unknown_to_every_method(self, client: httpx.AsyncClient, method: str) -> None:
        assert (await client.request(method, "/v2/nowhere")).status_code == 404

    @pytest.mark.parametrize("path", ["/v2/notes/", "/v2//", "/notes", "/v2/notes/n/lines/l/x", "/v2/notes/n/"])
    async def test_a_slash_more_is_another_path(self, client: httpx.AsyncClient, path: str) -> None:
        await make(client, "n")
        answer = await client.get(path, follow_redirects=True)
        assert (answer.status_code, answer.text) == (404, "404 page not found\n")

    @pytest.mark.parametrize(
        ("path", "clean"),
        [
            (b"/v2//notes", b"/v2/notes"),
            (b"//v2/notes?limit=1&x=%2F", b"/v2/notes?limit=1&x=%2F"),
            (b"/v2/./notes/n", b"/v2/notes/n"),
            (b"/v2/x/../notes/a%20b", b"/v2/notes/a%20b"),
            (b"/v2/notes/..", b"/v2"),
            (b"/../../etc/passwd", b"/etc/passwd"),
        ],
    )
    async def test_an_unclean_path_leads_to_the_clean_one(self, port: int, path: bytes, clean: bytes) -> None:
        answer = await raw(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 301")
        assert b"\r\nlocation: " + clean + b"\r\n" in answer.replace(b"Location", b"location")

    async def test_names_are_taken_as_they_are(self, client: httpx.AsyncClient) -> None:
        await make(client, "a.b-c_1")
        assert (await client.get("/v2/notes/a%2Eb-c_1")).json()["metadata"]["name"] == "a.b-c_1"
        assert (await client.get("/v2/notes/a+b")).status_code == 404


class TestBodies:
    @pytest.mark.parametrize(
        "framing", [b"", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["none", "zero", "chunked"]
    )
    async def test_a_body_of_nothing_is_no_body(self, port: int, framing: bytes) -> None:
        end = b"0\r\n\r\n" if b"chunked" in framing else b""
        answer = await raw(
            port, b"POST /v2/notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing + b"\r\n" + end
        )
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.endswith(b"\r\n\r\nEmpty body\n")

    @pytest.mark.parametrize("length", [b"-1", b"x", b"1e3"])
    async def test_a_length_that_is_none_is_refused(self, port: int, length: bytes) -> None:
        request = (
            b"POST /v2/notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n{}"
        )
        assert (await raw(port, request)).startswith(b"HTTP/1.1 400")

    @pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
    @pytest.mark.parametrize(("size", "fits"), [(LIMIT, True), (LIMIT + 1, False)])
    async def test_the_limit_is_where_it_is_said_to_be(
        self, client: httpx.AsyncClient, declared: bool, size: int, fits: bool
    ) -> None:
        body = json.dumps(note("n")).encode().ljust(size)

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, size, 1 << 16):
                yield body[at : at + (1 << 16)]

        answer = await client.post("/v2/notes", content=body if declared else pieces())
        assert answer.status_code == (201 if fits else 413)
        assert fits or str(LIMIT) in answer.text

    @pytest.mark.parametrize(
        "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png"]
    )
    async def test_the_media_type_of_json_is_not_looked_at(self, client: httpx.AsyncClient, kind: str) -> None:
        """As curl and the original's clients send it (spec orchestrator-api 2, 6)."""
        answer = await client.post("/v2/notes", content=json.dumps(note("n")), headers={"Content-Type": kind})
        assert answer.status_code == 201

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"spec":{"text":1e999},"metadata":{"name":"n"}}', "1e999"),
            (b'{"metadata":{"name":"n"},"spec":{"text":NaN}}', "NaN"),
            (b'{"metadata":{"name":"\xff"}}', "UTF-8"),
            (b'{"metadata":' + b"[" * 100_000, ""),
            (b'{"metadata":{"name":18446744073709551616}}', "metadata.name"),
        ],
        ids=["beyond numbers", "not a number", "not UTF-8", "deep", "wide"],
    )
    async def test_hostile_json_is_refused_in_words(self, client: httpx.AsyncClient, body: bytes, said: str) -> None:
        answer = await client.post("/v2/notes", content=body)
        assert answer.status_code == 422
        assert said in answer.text
