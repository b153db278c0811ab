"""A process that dies between any two steps of an operation leaves groups in a state of the table, and nothing else.

Each run dies one step later than the one before; another process then takes up what it left, until a run comes through.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from emco_common.appcontext import AppContextStore
from emco_common.helm.api import Renderer
from emco_common.helm.factory import make_renderer
from emco_common.presence import Presence
from emco_common.rsyncclient import CONTROLLER_KEY
from emco_common.runtime import Deps, open_deps
from emco_common.settings import Settings
from emco_common.store.api import StoreUnavailable
from emco_orchestrator.app import make_tools
from emco_orchestrator.deployment import Deployments
from emco_orchestrator.groups import groups_in
from emco_orchestrator.metrics import Steps
from emco_orchestrator.settings import OrchestratorSettings
from tests.fakes.rsync import FakeRsync, fake_rsync
from tests.support.core import GROUPS, core

pytestmark = pytest.mark.asyncio(loop_scope="module")
V2 = GROUPS.replace("/v1/", "/v2/")
KEYS = {
    name: {"project": "p", "compositeApp": "shop", "compositeAppVersion": version, "deploymentIntentGroup": name}
    for version, names in {"v1": ("new", "running", "revised", "stopped"), "v2": ("to",)}.items()
    for name in names
}


class Dead(StoreUnavailable):
    """What a dead process gets from everything it still tries."""


@dataclass
class Fuse:
    """Lets ``steps`` writes through and none after them; ``None`` lets all through."""

    steps: int | None = None

    def burn(self) -> None:
        if self.steps is None:
            return
        if not self.steps:
            raise Dead("this process is dead")
        self.steps -= 1


@dataclass
class Fused:
    """A store or a bus whose writes go through a fuse."""

    _real: Any
    _fuse: Fuse
    _writes: frozenset[str] = field(default=frozenset({"create", "replace", "delete", "transact", "put"}))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in self._writes:
            return method

        async def burning(*args: Any, **more: Any) -> Any:
            self._fuse.burn()
            return await method(*args, **more)

        return burning


@dataclass
class World:
    """Everything on the disk, as it was before the operation."""

    folder: Path
    renderer: Renderer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("template")
    async with core(folder) as made:
        await made.world()
        await made.version("v2")
        for name in ("new", "running", "revised", "stopped"):
            path = await made.group(name)
            await made.post(f"{path}/approve", expect=202)
        for name in ("running", "revised", "stopped"):
            await made.post(f"{GROUPS}/{name}/instantiate", expect=202)
        await made.post(f"{GROUPS}/revised/update", expect=202)
        await made.post(f"{GROUPS}/stopped/terminate", expect=202)
        await made.group("to", version="v2")
        await made.post(f"{V2}/to/approve", expect=202)
        history = await made.state_of(KEYS["stopped"])
        await made.set_status(history["actions"][-1]["instance"], "Terminating")
    renderer = make_renderer()
    yield World(folder, renderer)
    await renderer.close()


class Process:
    """The lifecycle of an orchestrator over what lies in ``folder``, as long as it lives."""

    def __init__(self, deps: Deps, deployments: Deployments) -> None:
        self.deps = deps
        self._deployments = deployments

    async def ask(self, case: Case) -> bool:
        """Whether it was granted."""
        try:
            await case.call(self._deployments)
        except Dead:
            return False
        return True


@asynccontextmanager
async def process(world: World, folder: Path, fuse: Fuse, rsync: FakeRsync) -> AsyncIterator[Process]:
    given: dict[str, Any] = {
        "database_url": f"sqlite://{folder}/store.db",
        "bus_url": f"embedded://{folder}/bus.db",
        "data_key": "test key",
    }
    async with open_deps(Settings.load("emco", {}, **given)) as deps:
        record = await deps.store.get(CONTROLLER_KEY)
        assert record is not None
        record.body["spec"]["port"] = rsync.port
        await deps.store.replace(record)
        presence = Presence(deps.bus, "orchestrator")
        fused = Deps(Fused(deps.store, fuse), Fused(deps.bus, fuse), deps.sealer, deps.channels)
        groups = groups_in(fused.store, fused.clock, presence)
        steps = Steps(CollectorRegistry())
        tools = make_tools(OrchestratorSettings(**given), fused, groups, renderer=world.renderer, steps=steps)
        deployments = Deployments(groups, tools)
        works = [asyncio.ensure_future(presence.run()), asyncio.ensure_future(deployments.resume())]
        try:
            await presence.wait()
            yield Process(deps, deployments)
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)


@dataclass(frozen=True)
class Left:
    """What is in the store and on the bus when all is quiet."""

    states: dict[str, list[str]]
    contexts: frozenset[str]
    """Those that no history names."""
    missing: frozenset[str]
    """Those that a history names and that are not on the bus."""

    def of(self, *names: str) -> list[list[str]]:
        return [self.states[name] for name in names]


async def quiet(deps: Deps) -> Left:
    """Returns when no operation is recorded any more."""
    async with asyncio.timeout(20):
        while True:
            found = {name: await deps.store.get(key) for name, key in KEYS.items()}
            tags = {name: document.tags for name, document in found.items() if document is not None}
            if not any("operation" in tag for tag in tags.values()):
                break
            await asyncio.sleep(0.01)
    actions = {name: tag["stateInfo"]["actions"] for name, tag in tags.items()}
    known = {action["instance"] for each in actions.values() for action in each} - {""}
    ids = await AppContextStore(deps.bus).ids()
    present = {*ids.complete, *ids.incomplete}
    states = {name: [action["state"] for action in each] for name, each in actions.items()}
    return Left(states, frozenset(present - known), frozenset(known - present))


@dataclass(frozen=True)
class Case:
    """A call about ``groups``, what it adds to the history of each, and what rsync is asked."""

    name: str
    groups: tuple[str, ...]
    adds: tuple[list[str], ...]
    told: str
    call: Callable[[Deployments], Awaitable[object]]


CASES = [
    Case("instantiate", ("new",), (["Instantiated"],), "install", lambda d: d.instantiate(KEYS["new"])),
    Case("update", ("running",), (["Updated", "Instantiated"],), "update", lambda d: d.update(KEYS["running"])),
    Case(
        "rollback", ("revised",), (["Updated", "Instantiated"],), "rollback", lambda d: d.rollback(KEYS["revised"], "1")
    ),
    Case(
        "migrate",
        ("running", "to"),
        (["Updated"], ["Instantiated"]),
        "update",
        lambda d: d.migrate(KEYS["running"], version="v2", group="to"),
    ),
    Case("terminate", ("running",), (["Terminated"],), "uninstall", lambda d: d.terminate(KEYS["running"])),
    Case(
        "update without a cluster",
        ("running",),
        (["Updated", "Instantiated"],),
        "update",
        lambda d: d.update(KEYS["running"], give_up=["acme+hq"]),
    ),
    Case("stop", ("stopped",), (["TerminateStopped"],), "", lambda d: d.stop(KEYS["stopped"])),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.robustness(58)
async def test_an_operation_is_done_wholly_or_not_at_all_wherever_its_process_dies(
    world: World, tmp_path: Path, case: Case
) -> None:
    async with fake_rsync() as rsync:
        async with process(world, _copy(world, tmp_path / "before"), Fuse(), rsync) as first:
            before = await quiet(first.deps)
        wanted = [[*states, *added] for states, added in zip(before.of(*case.groups), case.adds, strict=True)]
        outcomes = []
        for steps in range(100):
            rsync.calls.clear()
            folder = _copy(world, tmp_path / str(steps))
            async with process(world, folder, Fuse(steps), rsync) as dying:
                granted = await dying.ask(case)
                target = await dying.deps.store.get(KEYS["to"])
                arrived = target is not None and len(target.tags["stateInfo"]["actions"]) > len(before.states["to"])
                asked = list(rsync.calls)
            async with process(world, folder, Fuse(), rsync) as heir:
                left = await quiet(heir.deps)
            assert not arrived or rsync.calls == asked, "what has arrived may have gone on since then"
            after = left.of(*case.groups)
            assert after in (before.of(*case.groups), wanted), (steps, after)
            assert (left.contexts, left.missing) == (before.contexts, before.missing), steps
            assert {verb for verb, _ in rsync.calls} == ({case.told} - {""} if after == wanted else set()), steps
            outcomes.append(after == wanted)
            if granted:
                break
        assert outcomes[-1]
        assert not outcomes[0]
        assert outcomes == sorted(outcomes), "what was handed over is not taken back by a later death"


def _copy(world: World, folder: Path) -> Path:
    shutil.copytree(world.folder, folder)
    return folder
