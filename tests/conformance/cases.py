"""A row of an error table as one request and the answer it must have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.core import Core, core

NAME_RULE = "Invalid Input:\nDoes not match pattern '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$'"
PARENT_MISSING = "Cannot perform requested operation. Parent resource not found"
DELETE_MISSING = "The requested resource not found"
HAS_CHILDREN = "Cannot delete parent without deleting child references first"
IS_REFERENCED = "Cannot delete without deleting or updating referencing resources first"
MISMATCH = "Mismatched name in PUT request"
Step = tuple[str, str, Any]


@dataclass(frozen=True)
class Case:
    """``text`` is the whole message, ``has`` a part of it; ``before`` are requests that must succeed first."""

    row: str
    method: str
    path: str
    status: int
    text: str | None = None
    body: Any = None
    has: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[Step] = ()

    async def hold(self, world: Core) -> None:
        for method, path, body in self.before:
            sent = body if isinstance(body, dict) and "files" in body else {"json": body}
            made = await world.call(method, path, **(sent if body is not None else {}))
            assert made.status_code < 300, f"{method} {path}: {made.status_code} {made.text}"
        answer = await world.call(self.method, self.path, self.body, **self.more)
        said = answer.text.removesuffix("\n")
        assert answer.status_code == self.status, said
        assert self.text is None or said == self.text, said
        assert self.has in said, said
        if self.status != 405 and self.status >= 400:
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """One test a case, marked with its row."""
    parameters = [pytest.param(case, marks=pytest.mark.conforms(case.row), id=case.row) for case in cases]
    return pytest.mark.parametrize("case", parameters)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    """The core services with one deployable application; cases of a module share it and use names of their own."""
    folder: Path = tmp_path_factory.mktemp("core")
    async with core(folder) as started:
        await started.world()
        await started.group("g")
        yield started
