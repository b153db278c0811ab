"""What the tests of the lifecycle share: one world a module, groups of their own, words for a history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.core import GROUP_KEY, Core, core


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    """The core services with one deployable application; tests of a module share it and use groups of their own."""
    folder: Path = tmp_path_factory.mktemp("core")
    async with core(folder) as started:
        await started.world()
        await started.version("v2")
        yield started


def key_of(path: str) -> dict[str, str]:
    parts = path.split("/")
    return {**GROUP_KEY, "compositeAppVersion": parts[6], "deploymentIntentGroup": parts[8]}


async def deployed(world: Core, name: str, **more: Any) -> str:
    """A group that is instantiated; answers its path."""
    path = await world.group(name, **more)
    await world.post(f"{path}/approve", expect=202)
    await world.post(f"{path}/instantiate", expect=202)
    return path


async def history(world: Core, path: str) -> list[tuple[str, str, int]]:
    """State, instance and revision of each action; instances as letters in order of appearance."""
    actions = (await world.state_of(key_of(path)))["actions"]
    letters: dict[str, str] = {"": ""}
    for action in actions:
        letters.setdefault(action["instance"], chr(ord("A") + len(letters) - 1))
    return [(a["state"], letters[a["instance"]], a["revision"]) for a in actions]


async def instances(world: Core, path: str) -> list[str]:
    """Every context of the history once, oldest first."""
    actions = (await world.state_of(key_of(path)))["actions"]
    return list(dict.fromkeys(action["instance"] for action in actions if action["instance"]))
