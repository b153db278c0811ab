"""What users get wrong is a 4xx that says what, stores nothing, and tells no secret (robustness 20 to 22, 37, 38)."""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog

from emco_common.log import configure_logging
from tests.api.clm.conftest import CLUSTERS, PROVIDERS, Clm, serving_clm
from tests.api.clm.kubeconfigs import CANARY, document, kubeconfig

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET_PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
SECRET_DATA = base64.b64encode(SECRET_PEM.encode()).decode()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    configure_logging("debug", stream=written)
    yield written
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_provider(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clm]:
    """One clm for all: nothing these tests send leaves anything behind."""
    async with serving_clm(tmp_path_factory.mktemp("clm")) as clm:
        await clm.provider()
        yield clm


def cluster(text: dict[str, Any]) -> dict[str, Any]:
    return text["clusters"][0]["cluster"]  # type: ignore[no-any-return]


def user(text: dict[str, Any]) -> dict[str, Any]:
    return text["users"][0]["user"]  # type: ignore[no-any-return]


def with_two_contexts(text: dict[str, Any]) -> None:
    text["contexts"].append({**text["contexts"][0], "name": "d"})
    del text["current-context"]


BAD_KUBECONFIGS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "exec": (lambda t: user(t).update(exec={"command": f"/bin/{CANARY}"}), "users[u].user.exec"),
    "auth-provider": (lambda t: user(t).update({"auth-provider": {"name": CANARY}}), "auth-provider"),
    "tokenFile": (lambda t: user(t).update(tokenFile=f"/etc/{CANARY}"), "tokenFile"),
    "certificate as path": (lambda t: user(t).update({"client-certificate": f"/{CANARY}"}), "client-certificate"),
    "key as path": (lambda t: user(t).update({"client-key": f"/{CANARY}"}), "client-key"),
    "authority as path": (
        lambda t: cluster(t).update({"certificate-authority": f"/{CANARY}"}),
        "certificate-authority",
    ),
    "proxy": (lambda t: cluster(t).update({"proxy-url": f"http://{CANARY}"}), "proxy-url"),
    "no TLS check": (lambda t: cluster(t).update({"insecure-skip-tls-verify": True}), "insecure-skip-tls-verify"),
    "server name": (lambda t: cluster(t).update({"tls-server-name": CANARY}), "tls-server-name"),
    "plain http": (lambda t: cluster(t).update(server="http://203.0.113.1"), "server"),
    "file address": (lambda t: cluster(t).update(server=f"file:///{CANARY}"), "server"),
    "password in address": (lambda t: cluster(t).update(server=f"https://u:{CANARY}@203.0.113.1"), "server"),
    "no authority": (lambda t: cluster(t).pop("certificate-authority-data"), "certificate-authority-data"),
    "garbage base64": (lambda t: user(t).update({"client-key-data": f"%{CANARY}"}), "client-key-data"),
    "garbage certificate": (
        lambda t: user(t).update({"client-certificate-data": SECRET_DATA, "client-key-data": SECRET_DATA}),
        "client-certificate-data",
    ),
    "key without certificate": (lambda t: user(t).update({"client-key-data": SECRET_DATA}), "client-certificate-data"),
    "no current context": (with_two_contexts, "current-context"),
    "unknown context": (lambda t: t.update({"current-context": CANARY}), "current-context"),
    "no clusters": (lambda t: t.update(clusters=[]), "clusters"),
    "no users": (lambda t: t.pop("users"), "users"),
}
BAD_FILES = {
    "no YAML": f"a: [{CANARY}".encode(),
    "no mapping": CANARY.encode(),
    "empty": b"",
    "binary": bytes(range(256)) + CANARY.encode(),
    "python object": f"!!python/object/apply:os.system ['{CANARY}']".encode(),
    "five megabytes": b'{"token": "' + CANARY.encode() * 450_000 + b'"}',
    "alias bomb": b"a: &a [1]\nb: [" + b"*a," * 10_000 + b"]",
    "deep": b"[" * 5000 + b"]" * 5000,
}


class TestKubeconfigs:
    @pytest.mark.parametrize("name", BAD_KUBECONFIGS)
    async def test_what_is_not_on_the_allow_list_is_refused_with_the_field(
        self, with_provider: Clm, log: io.StringIO, name: str
    ) -> None:
        change, field = BAD_KUBECONFIGS[name]
        text = copy.deepcopy(document())
        change(text)
        answer = await with_provider.register("c", kubeconfig(text))
        assert answer.status_code == 400
        assert field in answer.text
        assert CANARY not in answer.text + str(answer.headers) + log.getvalue()
        assert (await with_provider.client.get(CLUSTERS)).json() == []

    @pytest.mark.parametrize("name", BAD_FILES)
    async def test_a_file_that_is_no_kubeconfig_is_refused_with_a_reason(
        self, with_provider: Clm, log: io.StringIO, name: str
    ) -> None:
        answer = await with_provider.register("c", BAD_FILES[name])
        assert answer.status_code == 400
        assert len(answer.text) < 300
        assert CANARY not in answer.text + log.getvalue()
        assert (await with_provider.client.get(CLUSTERS)).json() == []

    async def test_the_operator_may_opt_in_to_what_is_off_by_default(self, tmp_path: Path) -> None:
        async with serving_clm(tmp_path, allow_insecure_tls=True) as clm:
            await clm.provider()
            text = document()
            cluster(text).update({"insecure-skip-tls-verify": True})
            del cluster(text)["certificate-authority-data"]
            assert (await clm.register("c", kubeconfig(text))).status_code == 201

    async def test_a_crash_tells_no_kubeconfig_in_answer_or_log(self, tmp_path: Path, log: io.StringIO) -> None:
        def broken_clock() -> datetime:
            raise RuntimeError("the clock is broken")

        async with serving_clm(tmp_path, clock=broken_clock) as clm:
            await clm.provider()
            answer = await clm.register("c", kubeconfig())
        assert answer.status_code == 500
        assert "the clock is broken" in log.getvalue()
        assert CANARY not in answer.text + log.getvalue()
        assert base64.b64encode(CANARY.encode()).decode()[:12] not in log.getvalue()

    async def test_a_whole_life_of_a_cluster_leaves_no_secret_in_the_log(
        self, with_provider: Clm, log: io.StringIO
    ) -> None:
        sync = {"metadata": {"name": "s"}, "spec": {"kv": [{"gitToken": CANARY}]}}
        await with_provider.register("c", kubeconfig())
        await with_provider.register("c", kubeconfig())
        await with_provider.post(f"{PROVIDERS}/p/cluster-sync-objects", sync)
        await with_provider.post(f"{PROVIDERS}/p/cluster-sync-objects", sync, expect=409)
        for path in (f"{CLUSTERS}/c", CLUSTERS, "/metrics", "/openapi.json", "/readyz"):
            assert CANARY not in (await with_provider.client.get(path)).text
        await with_provider.client.delete(f"{CLUSTERS}/c")
        await with_provider.client.delete(f"{PROVIDERS}/p/cluster-sync-objects/s")
        assert log.getvalue().count("request_answered") > 5
        assert CANARY not in log.getvalue()


class TestBodies:
    @pytest.mark.parametrize("path", [PROVIDERS, "/v2/clm-controllers", f"{PROVIDERS}/p/cluster-sync-objects"])
    @pytest.mark.parametrize(
        "body",
        ["[]", "7", '"x"', '{"metadata": []}', '{"metadata": {"name": 7}}', "{", "\x00", "NaN", "[" * 10_000],
    )
    async def test_a_body_of_the_wrong_shape_is_refused(self, with_provider: Clm, path: str, body: str) -> None:
        answer = await with_provider.client.post(path, content=body)
        assert answer.status_code in (400, 422), answer.text
        assert answer.text.strip()
        assert "Traceback" not in answer.text

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "x" * 129, "ü", "a\n", "-a", "a-", None])
    async def test_a_name_that_no_path_can_hold_is_refused(self, with_provider: Clm, name: str | None) -> None:
        await with_provider.post(PROVIDERS, {"metadata": {"name": name}}, expect=400)

    @pytest.mark.parametrize(
        "name", ["%2e%2e", "%00", "a%2Fb", "%C3%BC", "x" * 300, "p%00", "%F0%9F%98%80", "p;x", "$ne"]
    )
    async def test_an_odd_name_in_a_path_is_simply_not_there(self, with_provider: Clm, name: str) -> None:
        for path in (f"{PROVIDERS}/{name}", f"{PROVIDERS}/{name}/clusters", f"{CLUSTERS}/{name}"):
            assert (await with_provider.client.get(path)).status_code == 404

    async def test_unknown_parents_are_named(self, with_provider: Clm) -> None:
        answer = await with_provider.register("c", kubeconfig(), provider="unknown")
        assert (answer.status_code, answer.text.split(". ")[1]) == (409, "Parent resource not found\n")
        missing = await with_provider.client.get(f"{PROVIDERS}/unknown/clusters")
        assert (missing.status_code, missing.text) == (404, "Cluster provider not found\n")

    async def test_a_form_without_its_parts_is_refused(self, with_provider: Clm) -> None:
        only_file = {"file": ("k", kubeconfig())}
        answer = await with_provider.client.post(CLUSTERS, files=only_file)
        assert (answer.status_code, answer.text) == (400, "Empty body\n")
        many = {f"f{n}": ("k", b"") for n in range(500)}
        assert (await with_provider.client.post(CLUSTERS, files=many)).status_code == 422
        cut = b"--b\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{"
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await with_provider.client.post(CLUSTERS, content=cut, headers=headers)
        assert answer.status_code in (400, 422)

    async def test_a_hundred_megabytes_are_refused_and_health_still_answers(self, with_provider: Clm) -> None:
        head = b"--b\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n"

        async def endless() -> AsyncIterator[bytes]:
            yield head
            for _ in range(100):
                yield b" " * (1 << 20)

        multipart = {"Content-Type": "multipart/form-data; boundary=b"}
        for path, headers in ((PROVIDERS, {}), (CLUSTERS, multipart)):
            declared = {**headers, "Content-Length": str(len(head) + (100 << 20))}
            assert await answer_of_a_large_body(with_provider, path, declared, endless()) in (413, None)
            assert await answer_of_a_large_body(with_provider, path, headers, endless()) in (413, None)
        assert (await with_provider.client.get("/healthz")).status_code == 200
        assert (await with_provider.client.get(PROVIDERS)).json() == [
            {"metadata": {"name": "p", "description": "", "userData1": "", "userData2": ""}}
        ]

    async def test_values_of_the_wrong_type_are_named_in_key_values(self, with_provider: Clm) -> None:
        for value, given in ((5, "integer"), (1.5, "number"), (True, "boolean"), (None, "null"), ({}, "object")):
            body = {"metadata": {"name": "s"}, "spec": {"kv": [{"k": value}]}}
            answer = await with_provider.post(f"{PROVIDERS}/p/cluster-sync-objects", body, expect=400)
            assert answer.text == f"Invalid Input:\nInvalid type. Expected: string, given: {given}\n"

    async def test_duplicate_keys_and_trailing_text_change_nothing(self, with_provider: Clm) -> None:
        body = '{"metadata": {"name": "a", "name": "b"}} trailing'
        answer = await with_provider.client.post(PROVIDERS, content=body)
        assert (answer.status_code, json.loads(answer.text)["metadata"]["name"]) == (201, "b")
        assert (await with_provider.client.delete(f"{PROVIDERS}/b")).status_code == 204


async def answer_of_a_large_body(
    clm: Clm, path: str, headers: dict[str, str], body: AsyncIterator[bytes]
) -> int | None:
    """The status, or None if the server closed the connection while the body was still being sent."""
    try:
        return (await clm.client.post(path, content=body, headers=headers)).status_code
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return None
