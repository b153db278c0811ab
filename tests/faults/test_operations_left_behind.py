"""An operation that a process began is brought to its end by it or, when it is gone, by another; never by two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import AppContext, Meta
from emco_common.contextbus.api import BusUnavailable
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.errors import Conflict
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.operations import Begun, Operations, Phase, Subject, Subjects
from emco_common.presence import Presence
from emco_common.rpc.channels import Channels
from emco_common.rsyncclient import CONTROLLER_KEY
from emco_common.runtime import Deps, wall_clock
from emco_common.secrets import Sealer
from emco_common.store.api import Document, Key
from emco_common.store.sqlite import SqliteStore
from emco_orchestrator.app import create_service, make_tools, renderer_of
from emco_orchestrator.groups import Verb, groups_in
from emco_orchestrator.metrics import Steps
from emco_orchestrator.migration import Receive
from emco_orchestrator.settings import OrchestratorSettings
from emco_orchestrator.tools import Tools
from tests.fakes.rsync import fake_rsync
from tests.support.program import free_ports

KEY: Key = {
    "project": "p",
    "compositeApp": "shop",
    "compositeAppVersion": "v1",
    "deploymentIntentGroup": "g",
}
APPROVED = StateInfo("", (Action(State.CREATED, time=wall_clock()), Action(State.APPROVED, time=wall_clock())))


async def begin(groups: Subjects, instance: str) -> Subject:
    async def choose(_group: Subject) -> Begun:
        return Begun(instance)

    return await groups.begin(KEY, Verb.INSTANTIATE, choose)


async def finish(groups: Subjects, action: Action) -> None:
    await groups.finish(KEY, "42", lambda group: group.state.then(action))


class Setting:
    def __init__(self, store: SqliteStore, bus: EmbeddedBus) -> None:
        self.store = store
        self.bus = bus

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Subjects]:
        """A process that is present until the end of the block."""
        presence = Presence(self.bus, "orchestrator")
        life = asyncio.create_task(presence.run())
        await presence.wait()
        try:
            yield groups_in(self.store, wall_clock, presence)
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    store = await SqliteStore.open(tmp_path / "store.db")
    bus = await EmbeddedBus.open(":memory:")
    body: dict[str, Any] = {"metadata": {"name": "g"}, "spec": {}}
    await store.create(Document(key=KEY, body=body, tags={STATE_TAG: APPROVED.as_json()}))
    yield Setting(store, bus)
    await bus.close()
    await store.close()


async def test_what_a_living_process_has_begun_is_left_to_it(setting: Setting) -> None:
    async with setting.process() as first, setting.process() as second:
        await begin(first, "42")
        assert await second.left_behind() == []
        assert [group.name for group in await first.left_behind()] == ["g"]


@pytest.mark.robustness(58)
async def test_what_a_process_that_is_gone_has_begun_is_taken_up_by_one_that_lives(setting: Setting) -> None:
    async with setting.process() as second:
        async with setting.process() as first:
            await begin(first, "42")
        (group,) = await second.left_behind()
        assert group.operation is not None
        await second.enter(KEY, "42", Phase.HANDOVER)
        await finish(second, Action(State.INSTANTIATED, "42", wall_clock(), 1))
        assert (await second.read(KEY)).state.state is State.INSTANTIATED


@pytest.mark.robustness(59)
async def test_a_process_that_was_only_paused_owns_nothing_when_it_wakes(setting: Setting) -> None:
    async with setting.process() as second:
        async with setting.process() as paused:
            await begin(paused, "42")
        await second.left_behind()
        with pytest.raises(Conflict, match="another process has taken over"):
            await paused.enter(KEY, "42", Phase.HANDOVER)
        with pytest.raises(Conflict, match="another process has taken over"):
            await finish(paused, Action(State.INSTANTIATED, "42", wall_clock(), 1))
        assert (await second.read(KEY)).state.state is State.APPROVED


async def test_an_end_that_came_twice_is_recorded_once(setting: Setting) -> None:
    async with setting.process() as groups:
        await begin(groups, "42")
        done = Action(State.INSTANTIATED, "42", wall_clock(), 1)
        await finish(groups, done)
        await finish(groups, replace(done, revision=2))
        assert [action.revision for action in (await groups.read(KEY)).state.actions] == [0, 0, 1]


@pytest.mark.robustness(42)
async def test_of_many_that_begin_at_once_one_succeeds(setting: Setting) -> None:
    async with setting.process() as first, setting.process() as second:
        begun = [begin(groups, str(n)) for n in range(5) for groups in (first, second)]
        outcomes = await asyncio.gather(*begun, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert len(refused) == 9
        assert all("is busy" in str(refusal) or "others" in str(refusal) for refusal in refused)


async def test_nothing_is_begun_by_a_process_that_cannot_make_itself_known(setting: Setting) -> None:
    groups = groups_in(setting.store, wall_clock, Presence(setting.bus, "orchestrator", ttl=0.1))
    with pytest.raises(BusUnavailable, match="cannot make itself known"):
        await begin(groups, "42")
    assert (await groups.read(KEY)).operation is None


async def test_a_process_that_ends_is_not_present_any_more(setting: Setting) -> None:
    onlooker = Presence(setting.bus, "orchestrator")
    async with setting.process():
        assert len(await onlooker.others()) == 1
    assert await onlooker.others() == frozenset()


async def test_a_target_that_nobody_migrates_to_is_set_free_and_one_that_somebody_does_is_left_alone(
    setting: Setting,
) -> None:
    """A process that was paused records that it holds the target after its migration was taken back by another."""
    source = {**KEY, "deploymentIntentGroup": "source"}
    tags = {STATE_TAG: StateInfo("7", (Action(State.INSTANTIATED, "7", wall_clock(), 1),)).as_json()}
    await setting.store.create(Document(key=source, body={"metadata": {"name": "source"}, "spec": {}}, tags=tags))
    contexts = AppContextStore(setting.bus)
    await contexts.write_new(AppContext("42", meta=Meta(project="p")))

    async def choose(_group: Subject) -> Begun:
        return Begun("42", "7")

    async with setting.process() as paused:
        await paused.begin(source, Verb.MIGRATE, choose, asked=KEY)
        await paused.begin(KEY, Verb.RECEIVE, choose, asked=source)
        (held,) = [group for group in await paused.left_behind() if group.key == KEY]
        assert held.operation is not None
        receive = Receive(_tools(setting, paused))
        assert not await receive.is_left(held, held.operation)
        await paused.finish(source, "42", None)
        assert await receive.is_left(held, held.operation)
        resuming = asyncio.create_task(Operations(paused, [receive]).resume())
        async with asyncio.timeout(5):
            while (await paused.read(KEY)).operation is not None:  # noqa: ASYNC110  # written by another task
                await asyncio.sleep(0.01)
        resuming.cancel()
    assert not await contexts.exists("42")


def _tools(setting: Setting, groups: Subjects) -> Tools:
    deps = Deps(setting.store, setting.bus, Sealer("key"), Channels(connect_timeout=0.2))
    steps = Steps(CollectorRegistry())
    return make_tools(OrchestratorSettings(), deps, groups, renderer=renderer_of(OrchestratorSettings()), steps=steps)


async def test_what_rsync_may_know_of_is_not_taken_back_while_it_is_away(setting: Setting) -> None:
    contexts = AppContextStore(setting.bus)
    await contexts.write_new(AppContext("42", meta=Meta(project="p")))
    async with setting.process() as gone:
        await begin(gone, "42")
        await gone.enter(KEY, "42", Phase.HANDOVER)
    (port,) = free_ports(1)
    spec = {"host": "127.0.0.1", "port": port}
    await setting.store.create(Document(key=CONTROLLER_KEY, body={"metadata": {"name": "rsync"}, "spec": spec}))
    channels = Channels(connect_timeout=0.2)
    deps = Deps(setting.store, setting.bus, Sealer("key"), channels)
    service = create_service(OrchestratorSettings(http_port=0), deps)
    with structlog.testing.capture_logs() as logs:
        await service.start()
        try:
            await _until(lambda: any(line["event"] == "operation_not_resumed" for line in logs))
            assert await contexts.exists("42")
            async with fake_rsync(port) as rsync:
                await _until(lambda: rsync.calls == [("install", "42")])
                groups = groups_in(setting.store, wall_clock, Presence(setting.bus, "orchestrator"))
                await _until_state(groups, State.INSTANTIATED)
        finally:
            await service.stop()
            await channels.close()


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110  # what is waited for happens in other tasks that know of no event
            await asyncio.sleep(0.02)


async def _until_state(groups: Subjects, state: State) -> None:
    async with asyncio.timeout(20):
        while (await groups.read(KEY)).state.state is not state:  # noqa: ASYNC110  # written by another service
            await asyncio.sleep(0.02)
