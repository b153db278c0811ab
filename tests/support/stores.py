"""Fixtures: a document store of each kind. ``backend`` can be opened several times over the same data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emco_common.store.api import DocumentStore
from emco_common.store.factory import open_store

ONE_SERVER = pytest.mark.xdist_group("mongodb")  # parallel workers would start a server each


@dataclass
class Backend:
    """Data at rest and the way to open it. Every store opened here is closed at the end of the test."""

    name: str
    url: str
    opened: list[DocumentStore] = field(default_factory=list)

    async def open(self) -> DocumentStore:
        store = await open_store(self.url)
        self.opened.append(store)
        return store

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=ONE_SERVER)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    url = f"sqlite://{tmp_path}/emco.db" if request.param == "sqlite" else request.getfixturevalue("mongodb_url")
    made = Backend(request.param, url)
    yield made
    await made.close()


@pytest.fixture
async def store(backend: Backend) -> DocumentStore:
    return await backend.open()
