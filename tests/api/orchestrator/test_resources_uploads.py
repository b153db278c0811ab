"""Charts and profiles as they come in and go out: forms, media types, replacement, what is kept (5.3, 5.6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emco_common.store.api import DocumentMissing
from tests.conformance.cases import world
from tests.support.charts import archive, chart, profile
from tests.support.core import APPS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

PROFILES = f"{APPS}/composite-profiles/prod/profiles"


def part(name: str, value: bytes, *, file: str = "", kind: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
    return b"--b\r\n" + head.encode() + (f"\r\nContent-Type: {kind}" if kind else "").encode() + b"\r\n\r\n" + value


def sent(*parts: bytes, kind: str = "multipart/form-data; boundary=b", end: bytes = b"\r\n--b--\r\n") -> dict[str, Any]:
    return {"content": b"\r\n".join(parts) + end, "headers": {"Content-Type": kind}}


def metadata(name: str) -> bytes:
    return json.dumps(named(name)).encode()


def digest_of(name: str) -> dict[str, str]:
    return {"project": "p", "compositeApp": "shop", "compositeAppVersion": "v1", "app": name}


async def is_kept(world: Core, digest: str) -> bool:
    try:
        await world.deps.store.get_blob(digest)
    except DocumentMissing:
        return False
    return True


async def digest(world: Core, name: str) -> str:
    document = await world.deps.store.get(digest_of(name))
    assert document is not None
    return str(document.tags["content"]["digest"])


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (
            "any-case",
            sent(
                part("metadata", metadata("any-case")),
                part("file", chart(), file="f"),
                kind="Multipart/FORM-Data; boundary=b",
            ),
        ),
        (
            "odd-part-types",
            sent(
                part("metadata", metadata("odd-part-types"), kind="text/html"),
                part("file", chart(), file="f", kind="image/png"),
            ),
        ),
        ("other-order", sent(part("file", chart(), file="f"), part("metadata", metadata("other-order")))),
        (
            "others-beside",
            sent(
                part("more", b"1"),
                part("metadata", metadata("others-beside")),
                part("file", chart(), file="f"),
                part("files", b"2", file="x"),
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_form_is_read_however_its_parts_are_written(world: Core, name: str, more: dict[str, Any]) -> None:
    made = await world.call("POST", f"{APPS}/apps", expect=201, **more)
    assert made.json()["metadata"]["name"] == name
    await world.call("DELETE", f"{APPS}/apps/{name}", expect=204)


async def test_metadata_may_come_in_the_query(world: Core) -> None:
    query = {"metadata": metadata("queried").decode()}
    await world.call("POST", f"{APPS}/apps", expect=201, params=query, files={"file": ("f", chart())})
    await world.call("DELETE", f"{APPS}/apps/queried", expect=204)


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        (sent(part("metadata", metadata("a"), file="m.json"), part("file", chart(), file="f")), 400, "Empty body"),
        (sent(part("metadata", metadata("a")), part("file", chart())), 422, "Unable to process file"),
        (sent(part("metadata", metadata("a")), part("files", chart(), file="f")), 422, "Unable to process file"),
        (
            sent(part("metadata", metadata("a")), part("metadata", metadata("b")), part("file", chart(), file="f")),
            400,
            "the form has 2 parts named metadata; send one",
        ),
        (sent(part("metadata", b"  "), part("file", chart(), file="f")), 400, "Empty body"),
        (sent(part("metadata", metadata("a")), part("file", b"", file="f")), 422, "Error in file format"),
        (sent(part("metadata", b"\xff"), part("file", chart(), file="f")), 422, "invalid character"),
        (sent(part("metadata", b"x" * (2 << 20)), part("file", chart(), file="f")), 422, "the form cannot be read"),
        (sent(part("metadata", metadata("a")), kind="multipart/form-data"), 422, "no multipart boundary param"),
        (sent(part("metadata", metadata("a")), kind="multipart/form-data; boundary="), 422, ""),
        (sent(part("metadata", metadata("a")), kind="multipart/mixed; boundary=b"), 422, "isn't multipart/form-data"),
        (sent(part("metadata", metadata("a")), kind="application/json"), 422, "isn't multipart/form-data"),
        (sent(*(part(f"p{n}", b"1") for n in range(40))), 422, "the form cannot be read"),
        (sent(b"no part at all", end=b""), 422, ""),
    ],
    ids=[
        "metadata as a file",
        "a chart that is no file",
        "a chart under another name",
        "metadata twice",
        "blank metadata",
        "an empty file",
        "metadata that are no text",
        "two megabytes of metadata",
        "no boundary",
        "an empty boundary",
        "another kind of multipart",
        "a form that says it is JSON",
        "too many parts",
        "no form",
    ],
)
async def test_a_form_that_lacks_something_is_told_what(
    world: Core, more: dict[str, Any], status: int, text: str
) -> None:
    answer = await world.call("POST", f"{APPS}/apps", **more)
    assert (answer.status_code, text in answer.text) == (status, True), answer.text
    assert [app["metadata"]["name"] for app in (await world.call("GET", f"{APPS}/apps")).json()] == ["web"]


async def test_a_form_that_is_cut_off_stores_nothing(world: Core) -> None:
    whole = sent(part("metadata", metadata("cut")), part("file", chart(), file="f"))
    cut = whole | {"content": whole["content"][: len(whole["content"]) // 2]}
    assert (await world.call("POST", f"{APPS}/apps", **cut)).status_code in (400, 422)
    await world.call("GET", f"{APPS}/apps/cut", expect=404)


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (None, 200, "application/json"),
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("application/json", 200, "application/json"),
        ("Application/JSON; charset=utf-8", 200, "application/json"),
        ("text/html, */*;q=0.8", 200, "application/json"),
        ("application/problem+json, application/json", 200, "application/json"),
        ("application/octet-stream", 200, "application/octet-stream"),
        ("application/json;q=0.5, application/octet-stream", 200, "application/octet-stream"),
        ("application/json;q=0, application/octet-stream;q=0.1", 200, "application/octet-stream"),
        ("multipart/form-data", 200, "multipart/form-data"),
        ("text/html", 300, "text/plain"),
        ("application/json;q=0", 300, "text/plain"),
        ("a/b/c", 406, "text/plain"),
        ("json", 406, "text/plain"),
    ],
)
@pytest.mark.parametrize("path", [f"{APPS}/apps/web", f"{PROFILES}/web-prod", f"{PROFILES}?app=web"])
async def test_the_form_of_an_answer_is_what_accept_asks_for(
    world: Core, path: str, accept: str | None, status: int, kind: str
) -> None:
    request = world.client.build_request("GET", path)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = await world.client.send(request)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, kind), answer.text


@pytest.mark.parametrize(
    ("path", "disposition"),
    [
        (f"{APPS}/apps/web", "form-data; name=file; filename=fileContent"),
        (f"{PROFILES}/web-prod", "form-data; name=file"),
    ],
)
async def test_both_parts_come_back_in_one_closed_form(world: Core, path: str, disposition: str) -> None:
    both = await world.call("GET", path, expect=200, headers={"Accept": "multipart/form-data"})
    file = await world.call("GET", path, expect=200, headers={"Accept": "application/octet-stream"})
    boundary = both.headers["content-type"].partition("boundary=")[2].encode()
    start, described, content, end = both.content.split(b"--" + boundary)
    assert (start, end) == (b"", b"--\r\n")
    assert b"Content-Disposition: form-data; name=metadata\r\nContent-Type: application/json\r\n" in described
    assert json.loads(described.partition(b"\r\n\r\n")[2]) == (await world.call("GET", path)).json()
    head, _, packed = content.partition(b"\r\n\r\n")
    assert head.decode() == f"\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream"
    assert packed == file.content + b"\r\n"


async def test_a_list_is_json_whatever_is_asked_for(world: Core) -> None:
    for path in (f"{APPS}/apps", PROFILES):
        answer = await world.call("GET", path, expect=200, headers={"Accept": "application/octet-stream"})
        assert answer.headers["content-type"] == "application/json"


async def test_a_new_chart_replaces_the_old_one_which_is_forgotten(world: Core) -> None:
    await world.upload(f"{APPS}/apps", named("renewed"), chart("old"))
    old = await digest(world, "renewed")
    await world.call("PUT", f"{APPS}/apps/renewed", expect=200, **form(named("renewed"), chart("new")))
    assert not await is_kept(world, old)
    new = await digest(world, "renewed")
    await world.call("DELETE", f"{APPS}/apps/renewed", expect=204)
    assert not await is_kept(world, new)


async def test_a_chart_lives_as_long_as_one_app_has_it(world: Core) -> None:
    for name in ("one", "two"):
        await world.upload(f"{APPS}/apps", named(name), chart("shared"))
    kept = await digest(world, "one")
    await world.call("PUT", f"{APPS}/apps/one", expect=200, **form(named("one"), chart("own")))
    assert await is_kept(world, kept)
    for name in ("one", "two"):
        await world.call("DELETE", f"{APPS}/apps/{name}", expect=204)
    assert not await is_kept(world, kept)


async def test_the_file_of_a_refused_upload_is_not_kept(world: Core) -> None:
    refused = chart("refused", values="unlike: any other\n")
    await world.upload(f"{APPS}/apps", named("probe"), refused)
    known = await digest(world, "probe")
    await world.call("DELETE", f"{APPS}/apps/probe", expect=204)

    orphans = "/v2/projects/p/composite-apps/none/v1/apps"
    await world.upload(orphans, named("probe"), refused, expect=409)
    await world.upload(f"{APPS}/apps", named("web"), refused, expect=409)
    await world.call("PUT", f"{orphans}/probe", expect=409, **form(named("probe"), refused))
    stale = {"If-Match": '"1.999"'}
    await world.call("PUT", f"{APPS}/apps/web", expect=412, **form(named("web"), refused), headers=stale)
    assert not await is_kept(world, known)


async def test_a_profile_that_is_refused_for_its_app_leaves_the_present_file(world: Core) -> None:
    path = f"{PROFILES}/web-prod"
    before = (await world.call("GET", path, headers={"Accept": "application/octet-stream"})).content
    body = form(named("web-prod", app="none"), profile("other: values\n"))
    answer = await world.call("PUT", path, expect=409, **body)
    assert "app none" in answer.text
    assert (await world.call("GET", path, headers={"Accept": "application/octet-stream"})).content == before


async def test_of_several_charts_in_an_archive_that_of_the_apps_name_counts(world: Core) -> None:
    metadata = {name: f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n" for name in ("front", "back")}
    both = archive({f"{name}/Chart.yaml": text for name, text in metadata.items()})
    for name in metadata:
        await world.upload(f"{APPS}/apps", named(name), both)
        await world.call("DELETE", f"{APPS}/apps/{name}", expect=204)
