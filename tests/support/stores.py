"""Fixtures: a document store of each kind. ``backend`` can be opened several times over the same data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from emco_common.store.api import DocumentStore
from emco_common.store.sqlite import SqliteStore


@dataclass
class Backend:
    """Data at rest and the way to open it. Every store opened here is closed at the end of the test."""

    name: str
    connect: Callable[[], Awaitable[DocumentStore]]
    opened: list[DocumentStore] = field(default_factory=list)

    async def open(self) -> DocumentStore:
        store = await self.connect()
        self.opened.append(store)
        return store


@pytest.fixture(params=["sqlite"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    made = Backend("sqlite", lambda: SqliteStore.open(tmp_path / "emco.db"))
    yield made
    for store in made.opened:
        await store.close()


@pytest.fixture
async def store(backend: Backend) -> DocumentStore:
    return await backend.open()
