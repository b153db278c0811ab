"""A hostile chart fails alone: its worker is stopped or dies, names the limit, and is replaced (robustness 10)."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from emco_common.helm.api import RenderError
from emco_common.helm.limits import MIB, RenderLimits
from emco_common.helm.pool import PooledRenderer
from tests.contract.rendering import ENGINES, renderer_of
from tests.unit.helm.builders import chart, config_map, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = request(chart({"a.yaml": config_map("a")}))
ENDLESS = request(
    chart(
        {"a.yaml": "{{ range until 99999 }}{{ range until 99999 }}{{ range until 99999 }}{{ end }}{{ end }}{{ end }}"}
    )
)
LIMITS = RenderLimits(seconds=60, output_bytes=MIB, objects=100)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=ENGINES)
async def renderer(request: pytest.FixtureRequest) -> AsyncIterator[PooledRenderer]:
    async with renderer_of(request.param, limits=LIMITS) as found:
        yield found


async def failure(renderer: PooledRenderer, template: str, **others: str) -> str:
    with pytest.raises(RenderError) as caught:
        await renderer.render(request(chart({"a.yaml": template}, **others)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ('{{ repeat 1000000000 "xxxx" }}', "memory limit"),
        ("{{ range until 1000000000 }}{{ end }}", "memory limit"),
        ('{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}', "nested reference name"),
        ('{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}', "exceeded maximum template depth"),
        (config_map("a", big='{{ repeat 2000000 "x" }}'), "renders to 2000"),
        (
            "{{ range until 200 }}---\n" + config_map("a{{ . }}") + "{{ end }}",
            "200 objects, more than the limit of 100",
        ),
    ],
    ids=["a huge string", "a huge list", "endless include", "endless template", "much output", "many objects"],
)
async def test_a_limit_is_named_and_the_next_render_works(renderer: PooledRenderer, template: str, reason: str) -> None:
    assert reason in await failure(renderer, template)
    assert (await renderer.render(GOOD)).regular[0].name == "a+ConfigMap"


async def test_a_long_error_is_cut() -> None:
    async with renderer_of("sdk") as renderer:
        assert len(await failure(renderer, '{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}')) < 5000


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_render_without_end_is_stopped_and_disturbs_no_other(engine: str) -> None:
    async with renderer_of(engine, limits=replace(LIMITS, seconds=3.0)) as renderer:  # type: ignore[arg-type]
        await renderer.warm()
        await asyncio.gather(renderer.render(GOOD), renderer.render(GOOD))
        endless = asyncio.create_task(renderer.render(ENDLESS))
        good = await asyncio.gather(*(renderer.render(GOOD) for _ in range(3)))
        assert [app.regular[0].name for app in good] == ["a+ConfigMap"] * 3
        with pytest.raises(RenderError, match="rendering took longer than 3 seconds and was stopped"):
            await endless


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_render_that_burns_the_processor_is_stopped_by_the_kernel(engine: str) -> None:
    async with renderer_of(engine, limits=replace(LIMITS, cpu_seconds=1)) as renderer:  # type: ignore[arg-type]
        with pytest.raises(RenderError, match="CPU limit"):
            await renderer.render(ENDLESS)


async def test_a_worker_that_has_used_its_share_is_replaced_between_renders() -> None:
    async with renderer_of("sdk", limits=replace(LIMITS, cpu_seconds=1), concurrency=1) as renderer:
        busy = request(chart({"a.yaml": "{{ range until 700000 }}{{ end }}" + config_map("a")}))
        for _ in range(12):
            assert (await renderer.render(busy)).regular[0].name == "a+ConfigMap"


async def test_a_cancelled_render_leaves_no_worker_behind() -> None:
    async with renderer_of("sdk", concurrency=1) as renderer:
        await renderer.render(GOOD)
        (before,) = renderer._all
        task = asyncio.create_task(renderer.render(ENDLESS))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert before.process.returncode is not None
        assert (await renderer.render(GOOD)).regular


async def test_a_worker_that_died_while_idle_costs_no_render() -> None:
    async with renderer_of("sdk", concurrency=1) as renderer:
        await renderer.render(GOOD)
        (worker,) = renderer._all
        worker.process.kill()
        await worker.process.wait()
        assert (await renderer.render(GOOD)).regular


async def test_more_renders_than_workers_wait_for_their_turn(renderer: PooledRenderer) -> None:
    apps = await asyncio.gather(*(renderer.render(replace(GOOD, release=f"r{n}")) for n in range(8)))
    assert len(apps) == 8
    assert len(renderer._all) <= 2


async def test_nothing_is_left_on_disk_and_no_process() -> None:
    async with renderer_of("sdk") as renderer:
        await renderer.warm()
        await renderer.render(GOOD)
        with pytest.raises(RenderError):
            await renderer.render(request(b"nonsense"))
        workers = list(renderer._all)
        assert [list(worker.folder.iterdir()) for worker in workers] == [[], []], "a render cleans up behind itself"
    assert not any(worker.folder.exists() for worker in workers)
    assert all(worker.process.returncode is not None for worker in workers)


async def test_a_worker_whose_parent_is_gone_cleans_up_and_ends() -> None:
    async with renderer_of("sdk", concurrency=1) as renderer:
        await renderer.render(GOOD)
        (worker,) = renderer._all
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        async with asyncio.timeout(20):
            await worker.process.wait()
        assert not worker.folder.exists()


async def test_a_worker_knows_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    async with renderer_of("sdk", concurrency=1) as renderer:
        await renderer.render(GOOD)
        (worker,) = renderer._all
        environment = await asyncio.to_thread(Path(f"/proc/{worker.process.pid}/environ").read_text)
    assert "KUBECONFIG" not in environment
    assert "canary" not in environment
    assert f"HOME={worker.folder}" in environment


async def test_a_worker_has_no_network_where_the_kernel_lets_anybody_leave_it() -> None:
    async with renderer_of("sdk", concurrency=1) as renderer:
        await renderer.render(GOOD)
        (worker,) = renderer._all
        mine, its = [
            await asyncio.to_thread(os.readlink, f"/proc/{pid}/ns/net") for pid in ("self", worker.process.pid)
        ]
        if mine == its:
            pytest.skip("the kernel lets nobody make a network of his own: sysctl kernel.unprivileged_userns_clone=1")
        routes = await asyncio.to_thread(Path(f"/proc/{worker.process.pid}/net/route").read_text)
    assert len(routes.splitlines()) <= 1, "a heading and no route"
