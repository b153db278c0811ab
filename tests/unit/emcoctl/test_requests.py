"""The requests on the wire, byte by byte where it matters."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from emco_emcoctl.requests import MAX_REQUESTS
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder, Reply

Document = Callable[..., str]
APPROVE = "projects/p/composite-apps/c/v1/deployment-intent-groups/d/approve"


def test_a_document_is_posted_as_json(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("r.yaml", document("projects", "p", {"spec": "{b: yes, a: 1.0}"}))

    assert ctl("apply", "-f", "r.yaml", "-t", "tok") == 0
    [seen] = recorder.seen
    assert (seen.service, seen.method, seen.target) == ("orchestrator", "POST", "/v2/projects")
    assert seen.body == b'{"metadata":{"name":"p"},"spec":{"a":1,"b":"yes"}}'
    assert seen.headers["content-type"] == seen.headers["accept"] == "application/json"
    assert seen.headers["authorization"] == "Bearer tok"
    assert seen.headers["accept-encoding"] == "gzip"


def test_an_upload_is_posted_as_a_form(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    ctl.file("kc", "kubeconfig\n")
    ctl.file("r.yaml", document("cluster-providers/p/clusters", "c", {"file": "kc"}))

    assert ctl("apply", "-f", "r.yaml") == 0
    [seen] = recorder.seen
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert "accept" not in seen.headers
    assert b'name="metadata"\r\n\r\n{"metadata":{"name":"c"}}\r\n' in seen.body
    assert b'name="file"; filename="filename"\r\nContent-Type: application/octet-stream\r\n\r\nkubeconfig' in seen.body


def test_several_files_are_sent_in_order_under_their_own_names(
    ctl: Ctl, recorder: Recorder, document: Document
) -> None:
    ctl.file("f/one.json", "{}")
    ctl.file("two.txt", "2")
    ctl.file("r.yaml", document("projects/p/a/b/c/d/e/generic-k8s-intents/g", "c", {"files": "[f/one.json, two.txt]"}))

    assert ctl("update", "-f", "r.yaml") == 0
    [seen] = recorder.seen
    assert (seen.service, seen.method) == ("gac", "PUT")
    assert seen.body.index(b'name="files"; filename="one.json"') < seen.body.index(b'filename="two.txt"')


def test_an_anchor_is_called_with_an_empty_body(ctl: Ctl, recorder: Recorder) -> None:
    assert ctl("apply", APPROVE) == 0
    [seen] = recorder.seen
    assert (seen.body, seen.headers["transfer-encoding"]) == (b"", "chunked")
    assert seen.headers["content-type"] == "application/json"


def test_reading_asks_for_json_only_where_a_file_would_come(ctl: Ctl, recorder: Recorder) -> None:
    ctl("get", "projects/p")
    ctl("get", "cluster-providers/p/clusters/c")

    assert ["accept" in one.headers for one in recorder.seen] == [False, True]
    assert not any("content-length" in one.headers or one.body for one in recorder.seen)


@pytest.mark.parametrize("path", ["projects/./a/../b//c", "projects/a b", "projects/%41"])
def test_a_path_is_not_rewritten(path: str, ctl: Ctl, recorder: Recorder) -> None:
    ctl("get", path)

    assert recorder.lines == [f"orchestrator GET /v2/{path.replace(' ', '%20')}"]


def test_cookies_last_for_the_run(ctl: Ctl, recorder: Recorder, document: Document) -> None:
    recorder.script = [Reply(200, headers={"Set-Cookie": "s=1; Path=/v2"})]
    ctl.file("r.yaml", document("projects", "a") + document("projects", "b"))
    ctl("get", "-f", "r.yaml")

    assert [one.headers.get("cookie") for one in recorder.seen] == [None, "s=1"]


def test_a_packed_answer_is_unpacked(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(200, gzip.compress(b'{"a": 1}\n'), {"Content-Encoding": "gzip"})]
    ctl("get", "projects")

    assert ctl.out.endswith('Response: {"a": 1}\n')


def test_a_get_follows_redirects_and_keeps_the_token_from_strangers(ctl: Ctl, recorder: Recorder) -> None:
    stranger = f"http://127.0.0.1:{recorder.ports['clm']}/login?x=1"
    recorder.script = [Reply(302, headers={"Location": "/v2/a%20b"}), Reply(301, headers={"Location": stranger})]

    assert ctl("get", "projects", "-t", "tok") == 0
    assert recorder.lines == ["orchestrator GET /v2/projects", "orchestrator GET /v2/a%20b", "clm GET /login?x=1"]
    assert [one.headers.get("authorization") for one in recorder.seen] == ["Bearer tok", "Bearer tok", None]


@pytest.mark.parametrize("status", [307, 308])
def test_a_post_is_repeated_where_the_server_says_so(
    status: int, ctl: Ctl, recorder: Recorder, document: Document
) -> None:
    recorder.script = [Reply(status, headers={"Location": "/v2/other"})]
    ctl.file("r.yaml", document("projects", "p"))

    assert ctl("apply", "-f", "r.yaml") == 0
    assert recorder.lines == ["orchestrator POST /v2/projects", "orchestrator POST /v2/other"]
    assert recorder.seen[0].body == recorder.seen[1].body


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirected_delete_does_not_become_a_get(status: int, ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(status, headers={"Location": "/login"})]

    assert ctl("delete", "projects/p") == 4
    assert len(recorder.seen) == 1
    assert f"redirects with {status} to /login" in ctl.err


def test_redirects_end(ctl: Ctl, recorder: Recorder) -> None:
    recorder.script = [Reply(302, headers={"Location": "/v2/a"})] * (MAX_REQUESTS + 1)

    assert ctl("get", "projects") == 4
    assert len(recorder.seen) == MAX_REQUESTS
    assert "stopped after 10 redirects" in ctl.err


def test_a_proxy_is_used_for_other_hosts_only(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("cfg.yaml", recorder.config() + "sfc: {host: emco.invalid, port: 81}\n")
    ctl.environ["HTTP_PROXY"] = f"127.0.0.1:{recorder.ports['ingress']}"
    chain = "projects/p/a/b/c/d/e/network-chains"

    assert ctl("get", chain) == 0
    assert ctl("get", "projects") == 0
    assert recorder.lines == [f"ingress GET http://emco.invalid:81/v2/{chain}", "orchestrator GET /v2/projects"]


@pytest.mark.parametrize("exempt", ["*", "emco.invalid", ".invalid", "x, invalid:80"])
def test_a_proxy_is_not_used_for_exempt_hosts(exempt: str, ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("cfg.yaml", "orchestrator: {host: emco.invalid, port: 80}\n")
    ctl.environ.update(HTTP_PROXY=f"http://127.0.0.1:{recorder.ports['ingress']}", NO_PROXY=exempt)

    assert ctl("get", "projects") == 4
    assert recorder.seen == []


def test_the_token_comes_from_flag_file_or_environment(ctl: Ctl, recorder: Recorder) -> None:
    ctl.file("token", "from-file\n")
    ctl.environ["EMCO_TOKEN"] = "from-environment"
    ctl("get", "projects")
    ctl("get", "projects", "--token-file", "token")
    ctl("get", "projects", "--token-file", "token", "-t", "from-flag")

    assert [one.headers["authorization"].removeprefix("Bearer ") for one in recorder.seen] == [
        "from-environment",
        "from-file",
        "from-flag",
    ]


def test_the_body_on_the_wire_is_valid_json_for_any_characters(
    ctl: Ctl, recorder: Recorder, document: Document
) -> None:
    ctl.file("r.yaml", document("projects", '"<č>&\\u2028\\x01"'))
    ctl("apply", "-f", "r.yaml")

    assert json.loads(recorder.seen[0].body) == {"metadata": {"name": "<č>&\u2028\x01"}}
    assert b"\\u003c" in recorder.seen[0].body
