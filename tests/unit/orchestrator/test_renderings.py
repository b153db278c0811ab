"""Each distinct chart is rendered once: per chart, folder, profile, values, release and namespace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from emco_common.helm.api import RenderedApp, Renderer, RenderError, RenderRequest
from emco_common.helm.factory import make_renderer
from emco_common.operations import Subject
from emco_common.store.api import Document, DocumentStore
from emco_common.store.sqlite import SqliteStore
from emco_orchestrator.inputs import AppInput, Cloud, Inputs
from emco_orchestrator.rendering import Renderings
from tests.support.charts import chart, profile

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Counted:
    """A renderer that notes what it is asked for and has another do it."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self.asked: list[RenderRequest] = []

    async def render(self, request: RenderRequest) -> RenderedApp:
        self.asked.append(request)
        return await self._renderer.render(request)

    async def warm(self) -> None:
        await self._renderer.warm()

    async def close(self) -> None:
        await self._renderer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def helm() -> AsyncIterator[Renderer]:
    renderer = make_renderer(concurrency=1)
    yield renderer
    await renderer.close()


@pytest_asyncio.fixture(loop_scope="module")
async def store(tmp_path: Path) -> AsyncIterator[DocumentStore]:
    opened = await SqliteStore.open(tmp_path / "store.db")
    yield opened
    await opened.close()


async def app(store: DocumentStore, name: str, packed: bytes, *, values: str = "", **others: Any) -> AppInput:
    packed_as, profiled_as = await store.put_blob(packed), await store.put_blob(profile(values))
    return AppInput(name, "web", packed_as, profiled_as, others.get("overrides", ()), placement={}, dependencies=())


def inputs(*apps: AppInput, release: str = "r1", namespace: str = "shop") -> Inputs:
    group = Subject(Document({"deploymentIntentGroup": "g"}, {"spec": {"version": release}}))
    return Inputs(group, Cloud("lc", namespace, "0", frozenset()), apps, {}, ())


async def test_ten_apps_of_one_chart_are_one_rendering(store: DocumentStore, helm: Renderer) -> None:
    counted = Counted(helm)
    renderings = Renderings(store, counted)
    apps = [await app(store, f"app{number}", chart()) for number in range(10)]

    rendered = await renderings.all_of(inputs(*apps))

    assert [one.regular[0].name for one in rendered] == ["r1-web+ConfigMap"] * 10
    assert len(counted.asked) == 1
    await renderings.all_of(inputs(*reversed(apps)))
    assert len(counted.asked) == 1


async def test_whatever_changes_the_outcome_is_rendered_anew(store: DocumentStore, helm: Renderer) -> None:
    counted = Counted(helm)
    renderings = Renderings(store, counted)
    plain = await app(store, "web", chart())
    others = [
        inputs(plain),
        inputs(plain, release="r2"),
        inputs(plain, namespace="mall"),
        inputs(await app(store, "web", chart(values="colour: blue\n"))),
        inputs(await app(store, "web", chart(), values="colour: green\n")),
        inputs(await app(store, "web", chart(), overrides=(("colour", "white"),))),
        inputs(replace(plain, folder="other")),
    ]

    texts = [(await renderings.all_of(one))[0].regular[0].text for one in others]

    assert len(counted.asked) == len(others)
    assert [word for text in texts for word in ("red", "blue", "green", "white") if f"colour: {word}" in text] == [
        *("red", "red", "red", "blue", "green", "white", "red")
    ]


async def test_a_failure_is_not_remembered(store: DocumentStore, helm: Renderer) -> None:
    counted = Counted(helm)
    renderings = Renderings(store, counted)
    broken = await app(store, "web", chart(templates={"a.yaml": "{{ fail `no colour` }}"}))
    for _ in range(2):
        with pytest.raises(RenderError, match="no colour"):
            await renderings.all_of(inputs(broken))
    assert len(counted.asked) == 2


async def test_who_gives_up_waiting_leaves_the_rendering_to_the_others(store: DocumentStore, helm: Renderer) -> None:
    counted = Counted(helm)
    renderings = Renderings(store, counted)
    one = inputs(await app(store, "web", chart()))
    impatient, patient = (asyncio.create_task(renderings.all_of(one)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient)[0].regular
    assert len(counted.asked) == 1


async def test_only_so_many_are_kept(store: DocumentStore, helm: Renderer) -> None:
    counted = Counted(helm)
    renderings = Renderings(store, counted, keep=1)
    plain = await app(store, "web", chart())
    first, second = inputs(plain), inputs(plain, release="r2")
    for one in (first, second, first):
        await renderings.all_of(one)
    assert [request.release for request in counted.asked] == ["r1", "r2", "r1"]
