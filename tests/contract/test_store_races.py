"""Of two writes that exclude each other exactly one succeeds, whichever store each goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from emco_common.errors import EmcoError
from emco_common.store import api
from emco_common.store.api import Document, DocumentStore
from tests.support.stores import Backend

ROUNDS = 12


async def outcome(write: Coroutine[Any, Any, Any]) -> type[BaseException] | None:
    try:
        await write
    except EmcoError as error:
        return type(error)
    return None


async def outcomes(*writes: Coroutine[Any, Any, Any]) -> list[type[BaseException] | None]:
    return await asyncio.gather(*[outcome(write) for write in writes])


@pytest.fixture
async def two(backend: Backend) -> tuple[DocumentStore, DocumentStore]:
    return await backend.open(), await backend.open()


Two = tuple[DocumentStore, DocumentStore]


async def test_of_many_creations_of_one_key_one_succeeds(two: Two) -> None:
    new = [two[n % 2].create(Document({"a": "1"}, {"n": n})) for n in range(12)]
    answers = await outcomes(*new)
    assert answers.count(None) == 1
    assert answers.count(api.AlreadyExists) == 11


async def test_of_many_replacements_of_one_revision_one_succeeds(two: Two) -> None:
    await two[0].create(Document({"a": "1"}, {}))
    answers = await outcomes(*[two[n % 2].replace(Document({"a": "1"}, {"n": n}), expected=1) for n in range(8)])
    assert answers.count(None) == 1
    assert answers.count(api.StaleRevision) == 7


async def test_replacements_without_expectation_all_succeed_and_each_counts(two: Two) -> None:
    await two[0].create(Document({"a": "1"}, {}))
    written = await asyncio.gather(*[two[n % 2].replace(Document({"a": "1"}, {"n": n})) for n in range(8)])
    assert sorted(document.revision for document in written) == list(range(2, 10))
    last = max(written, key=lambda document: document.revision)
    assert await two[0].get({"a": "1"}) == last


async def test_of_many_deletions_one_succeeds(two: Two) -> None:
    await two[0].create(Document({"a": "1"}, {}))
    answers = await outcomes(*[two[n % 2].delete({"a": "1"}) for n in range(6)])
    assert answers.count(None) == 1
    assert answers.count(api.DocumentMissing) == 5


async def test_a_child_and_the_deletion_of_its_parent(two: Two) -> None:
    for n in range(ROUNDS):
        parent, child = {"a": f"{n}"}, {"a": f"{n}", "b": "1"}
        await two[0].create(Document(parent, {}))
        answers = await outcomes(two[0].create(Document(child, {}), parent=parent), two[1].delete(parent))
        assert answers in ([None, api.HasChildren], [api.ParentMissing, None])
        assert (await two[0].get(child) is None) == (await two[0].get(parent) is None) == (answers[1] is None)


async def test_many_children_and_the_deletion_of_their_parent(two: Two) -> None:
    for n in range(ROUNDS // 3):
        parent = {"a": f"{n}"}
        await two[0].create(Document(parent, {}))
        children = [two[b % 2].create(Document({**parent, "b": f"{b}"}, {}), parent=parent) for b in range(5)]
        *created, deleted = await outcomes(*children, two[1].delete(parent))
        left = await two[0].list(("a", "b"), parent)
        assert len(left) == created.count(None)
        assert (deleted is None) == (not left)


async def test_a_new_document_and_the_deletion_of_what_it_refers_to(two: Two) -> None:
    for n in range(ROUNDS):
        target, referrer = {"t": f"{n}"}, {"r": f"{n}"}
        await two[0].create(Document(target, {}))
        new = Document(referrer, {}, references=(target,))
        answers = await outcomes(two[0].create(new), two[1].delete(target))
        assert answers in ([None, api.IsReferenced], [api.ReferenceMissing, None])
        assert (await two[0].get(referrer) is None) == (await two[0].get(target) is None)


async def test_a_new_reference_and_the_deletion_of_its_target(two: Two) -> None:
    for n in range(ROUNDS):
        target, referrer = {"t": f"{n}"}, {"r": f"{n}"}
        await two[0].create(Document(target, {}))
        await two[0].create(Document(referrer, {}))
        new = Document(referrer, {}, references=(target,))
        answers = await outcomes(two[0].replace(new), two[1].delete(target))
        assert answers in ([None, api.IsReferenced], [api.ReferenceMissing, None])
        read = await two[0].get(referrer)
        assert read is not None
        assert read.references == ((target,) if answers[0] is None else ())


async def test_two_documents_that_refer_to_each_other_cannot_lose_one(two: Two) -> None:
    for n in range(ROUNDS // 2):
        one, other = {"x": f"{n}"}, {"y": f"{n}"}
        await two[0].create(Document(one, {}))
        await two[0].create(Document(other, {}))
        await outcomes(
            two[0].replace(Document(one, {}, references=(other,))),
            two[1].replace(Document(other, {}, references=(one,))),
            two[0].delete(one),
            two[1].delete(other),
        )
        for key in (one, other):
            read = await two[0].get(key)
            for reference in read.references if read is not None else ():
                assert await two[0].get(reference) is not None


async def test_a_document_that_names_bytes_and_the_deletion_of_the_bytes(two: Two) -> None:
    for n in range(ROUNDS):
        digest = await two[0].put_blob(f"chart {n}".encode())
        new = Document({"r": f"{n}"}, {}, tags={"content": {"digest": digest}})
        created, _ = await outcomes(two[0].create(new), two[1].delete_blob(digest))
        if created is None:
            assert await two[1].get_blob(digest) == f"chart {n}".encode()
        else:
            assert created is api.BlobMissing
            assert await outcome(two[1].get_blob(digest)) is api.DocumentMissing
