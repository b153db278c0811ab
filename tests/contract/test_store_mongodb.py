"""What the MongoDB adapter promises beyond the common contract: its layout, dead owners of marks, other writers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from emco_common.errors import BadRequest, TooLarge
from emco_common.store import api
from emco_common.store import mongo_marks as marks
from emco_common.store.api import Document
from emco_common.store.encoding import path_of
from emco_common.store.mongo import MongoStore
from emco_common.store.mongo_blobs import ABANDONED_AFTER, Blobs
from emco_common.store.mongo_documents import escaped, unescaped
from emco_common.store.mongo_foreign import EVERY, Foreign
from emco_common.store.mongo_layout import NewerDatabase
from tests.contract.test_store_races import outcomes
from tests.support.stores import ONE_SERVER

pytestmark = ONE_SERVER
DIG = {"project": "retail", "compositeApp": "pos", "compositeAppVersion": "v1", "deploymentIntentGroup": "pos-east"}
PARENT, CHILD = {"a": "1"}, {"a": "1", "b": "1"}
SHORT = 0.02  # seconds


@pytest.fixture
async def raw(mongodb_url: str) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url, timeoutMS=10_000) as client:
        yield client.get_default_database()


async def opened(url: str, *, lease: float = SHORT) -> MongoStore:
    return await MongoStore.connect(url, url.rsplit("/", 1)[1], lease=lease)


@pytest.fixture
async def store(mongodb_url: str) -> AsyncIterator[MongoStore]:
    made = await opened(mongodb_url)
    yield made
    await made.close()


async def test_a_document_lies_in_the_database_as_the_specification_says(
    store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
) -> None:
    """orchestrator-api 7.1, 8.5; bodies in their API form."""
    cloud = {"project": "retail", "logicalCloud": "lc"}
    await store.create(Document(cloud, {}))
    body = {"metadata": {"name": "pos-east"}, "spec": {"kv": {"limits.cpu": 4}}}
    await store.create(
        Document(DIG, body, tags={"stateInfo": {"actions": []}}, references=(cloud,), alias={"app": "x"})
    )
    found = await raw.resources.find_one({"deploymentIntentGroup": "pos-east"})
    assert found is not None
    assert isinstance(found.pop("_id"), ObjectId)
    assert found.pop("emco")["revision"] == 1
    assert found == {
        **DIG,
        "app": "x",
        "keyId": "{compositeApp,compositeAppVersion,deploymentIntentGroup,project}",
        "data": body,
        "references": [{"key": cloud, "keyid": "{logicalCloud,project}"}],
        "stateInfo": {"actions": []},
    }


class TestDeadOwners:
    """A process died in the middle of a write; the next one who is hindered clears up behind it."""

    async def test_an_unconfirmed_creation_is_unseen_and_holds_nobody_for_long(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(PARENT, {}))
        for hindered in (lambda: store.delete(PARENT), lambda: store.create(Document(CHILD, {"new": True}))):
            await store.create(Document(CHILD, {}))
            mark = {"$set": {"emco.pending": ObjectId()}, "$unset": {"emco.kind": ""}}
            await raw.resources.update_one(CHILD, mark)
            assert await store.get(CHILD) is None
            assert await store.list(("a", "b"), {}) == []
            with pytest.raises(api.DocumentMissing):
                await store.replace(Document(CHILD, {}))
            with pytest.raises(api.DocumentMissing):
                await store.delete(CHILD)
            await hindered()
        read = await store.get(CHILD)
        assert read is not None
        assert read.body == {"new": True}

    async def test_the_mark_of_a_dead_deletion_is_taken_off(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(PARENT, {}))
        await raw.resources.update_one(PARENT, {"$set": {"emco.deleting": ObjectId()}})
        assert await store.get(PARENT) is not None
        await store.create(Document(CHILD, {}), parent=PARENT)
        await raw.resources.update_one(CHILD, {"$set": {"emco.deleting": ObjectId()}})
        await store.delete(CHILD)
        await store.delete(PARENT)

    async def test_a_dead_claim_does_not_hold_its_target_for_long(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(PARENT, {}))
        await store.create(Document({"r": "1"}, {}))
        claim = {"token": ObjectId(), "targets": ['[["a","1"]]']}
        held = {"emco.holds": '["a","1"]'}
        await raw.resources.update_one({"r": "1"}, {"$push": {"emco.claims": claim}, "$addToSet": held})
        await store.delete(PARENT)
        read = await store.get({"r": "1"})
        assert read is not None
        assert (read.references, read.revision) == ((), 1)

    async def test_a_dead_deletion_of_bytes_lets_them_be_put_again(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        digest = await store.put_blob(b"chart")
        await raw.blobs.update_one({"_id": digest}, {"$set": {"emco.deleting": ObjectId()}})
        assert await store.put_blob(b"chart") == digest
        await store.create(Document(PARENT, {}, tags={"content": {"digest": digest}}))
        assert await store.get_blob(digest) == b"chart"

    async def test_owners_that_are_only_slow_break_nothing_when_they_are_taken_for_dead(self, mongodb_url: str) -> None:
        """With a lease of nothing every mark that is seen twice is removed under its living owner."""
        one, two = await opened(mongodb_url, lease=0), await opened(mongodb_url, lease=0)
        for n in range(10):
            parent, child, referrer = {"a": f"{n}"}, {"a": f"{n}", "b": "1"}, {"r": f"{n}"}
            await one.create(Document(parent, {}))
            await one.create(Document(referrer, {}))
            created, referred, deleted = await outcomes(
                one.create(Document(child, {}), parent=parent),
                one.replace(Document(referrer, {}, references=(parent,))),
                two.delete(parent),
            )
            assert (created is None, referred is None) == ((deleted is not None),) * 2
            assert (await one.get(child) is None) == (await one.get(parent) is None) == (deleted is None)
        await asyncio.gather(one.close(), two.close())


class TestWhatIsHeld:
    """A look for what is in the way finds more than is; what does not refer hinders nobody."""

    async def test_a_reference_to_something_of_a_like_name_hinders_nothing(self, store: MongoStore) -> None:
        """Its tokens are those of the other's key, spread over two references."""
        mine, others = {"a": "1", "b": "2"}, ({"a": "1", "b": "1"}, {"a": "2", "b": "2"})
        for key in (mine, *others):
            await store.create(Document(key, {}))
        await store.create(Document({"r": "1"}, {}, references=others))
        await store.delete(mine)

    async def test_a_deletion_waits_for_a_claim_on_its_target(
        self, mongodb_url: str, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        store = await opened(mongodb_url, lease=60)
        await store.create(Document(PARENT, {}))
        await store.create(Document({"r": "1"}, {}))
        referrer = await raw.resources.find_one({"r": "1"})
        assert referrer is not None
        token = ObjectId()
        await marks.claim(raw.resources, referrer["_id"], token=token, targets={path_of(PARENT): PARENT})
        deletion = asyncio.create_task(store.delete(PARENT))
        assert await asyncio.wait([deletion], timeout=0.2) == (set(), {deletion})
        await marks.unclaim(raw.resources, referrer["_id"], token=token)
        await deletion
        assert await store.get(PARENT) is None
        await store.close()

    async def test_a_claim_that_was_taken_back_hinders_nothing_and_is_forgotten_with_the_next_write(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(PARENT, {}))
        await store.create(Document({"r": "1"}, {}))
        wrong = Document({"r": "1"}, {}, references=(PARENT, {"absent": "1"}))
        with pytest.raises(api.ReferenceMissing):
            await store.replace(wrong)
        await store.delete(PARENT)
        await store.replace(Document({"r": "1"}, {"n": 1}))
        found = await raw.resources.find_one({"r": "1"})
        assert found is not None
        assert found["emco"]["holds"] == ['["r","1"]']

    async def test_of_a_child_and_a_referrer_the_child_is_told(self, store: MongoStore) -> None:
        await store.create(Document(PARENT, {}))
        await store.create(Document({"r": "1"}, {}, references=(PARENT,)))
        with pytest.raises(api.IsReferenced):
            await store.delete(PARENT)
        await store.create(Document(CHILD, {}))
        with pytest.raises(api.HasChildren):
            await store.delete(PARENT)


class TestOtherWriters:
    """orchestrator-api 8.4, note 2: documents of programs that know nothing of our fields count as well."""

    async def test_their_document_counts_as_a_child(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(PARENT, {}))
        foreign = {**PARENT, "external": "x", "keyId": "{a,external}", "data": {}, "references": []}
        await raw.resources.insert_many([dict(foreign), {**foreign, "external": "y"}])
        with pytest.raises(api.HasChildren):
            await store.delete(PARENT)
        assert await store.list(("a", "external"), {}) == []
        await raw.resources.delete_many({"external": {"$in": ["x", "y"]}})
        await store.delete(PARENT)

    async def test_as_long_as_there_are_none_they_are_looked_for_now_and_then(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        now = 0.0
        foreign = Foreign(raw.resources, clock=lambda: now)
        await store.create(Document(PARENT, {}))
        assert await foreign.hindering(PARENT) == (None, None)
        await raw.resources.insert_one({**PARENT, "external": "x", "keyId": "{a,external}", "data": {}})
        assert await foreign.hindering(PARENT) == (None, None)
        now = EVERY
        for _ in range(2):
            child, referrer = await foreign.hindering(PARENT)
            assert child is not None
            assert (child["external"], referrer) == ("x", None)

    async def test_their_reference_holds_its_target(
        self, store: MongoStore, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await store.create(Document(CHILD, {}))
        reference = {"key": {"b": "1", "a": "1"}, "keyid": "{a,b}"}
        await raw.resources.insert_one({"external": "x", "keyId": "{external}", "data": {}, "references": [reference]})
        with pytest.raises(api.IsReferenced) as caught:
            await store.delete(CHILD)
        assert caught.value.by == {"external": "x"}


class TestRefusals:
    async def test_what_mongodb_cannot_hold_is_the_caller_s_mistake(self, store: MongoStore) -> None:
        with pytest.raises(TooLarge):
            await store.create(Document(PARENT, {"text": "x" * 17_000_000}))
        with pytest.raises(BadRequest):
            await store.create(Document(PARENT, {"n": 2**64}))
        with pytest.raises(BadRequest):
            await store.create(Document(PARENT, {"text": "\ud800"}))
        assert await store.get(PARENT) is None

    async def test_a_tag_cannot_hide_a_field_of_the_key(self, store: MongoStore) -> None:
        with pytest.raises(ValueError, match="namespace"):
            await store.create(Document({"namespace": "x"}, {}, tags={"namespace": "y"}))

    async def test_a_database_of_a_newer_program_is_refused(
        self, mongodb_url: str, raw: AsyncDatabase[dict[str, Any]]
    ) -> None:
        await raw.meta.insert_one({"_id": "store", "version": 99})  # type: ignore[dict-item]
        with pytest.raises(NewerDatabase, match="newer EMCO"):
            await opened(mongodb_url)

    async def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        with pytest.raises(api.StoreUnavailable):
            await MongoStore.connect("mongodb://127.0.0.1:1/?timeoutMS=300")

    @pytest.mark.parametrize("uri", ["mongodb://u:canary@host:port/", "mongodb://u:canary@[::1/", "m://"])
    async def test_a_uri_that_is_none_is_refused_without_showing_its_password(self, uri: str) -> None:
        with pytest.raises(BadRequest) as caught:
            await MongoStore.connect(uri)
        assert "canary" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from("$\\\x000.a")), inner),
    max_leaves=10,
)


@given(JSON)
def test_every_field_name_survives_the_escape_and_none_is_left_that_mongodb_refuses(value: Any) -> None:
    stored = escaped(value)
    assert unescaped(stored) == value
    assert not any(name.startswith("$") or "\x00" in name for name in names_in(stored))


def names_in(value: Any) -> list[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = list(value) if isinstance(value, dict) else []
    return own + [name for part in inner for name in names_in(part)]


def as_version_1(stored: dict[str, Any], order: int) -> dict[str, Any]:
    """A document of ours as the first version of the layout had it."""
    own = {name: value for name, value in stored["emco"].items() if name not in ("kind", "holds")}
    targets = [path_of(reference["key"]) for reference in stored["references"]]
    return {**stored, "emco": {**own, "targets": targets, "order": order, "claims": []}}


async def test_a_database_of_version_1_is_brought_up_to_date(
    mongodb_url: str, raw: AsyncDatabase[dict[str, Any]]
) -> None:
    first = await opened(mongodb_url)
    digest = await first.put_blob(b"chart")
    documents = [
        Document(PARENT, {"n": 1}),
        Document(CHILD, {"n": 2}),
        Document({"r": "1"}, {"n": 3}, tags={"content": {"digest": digest}}, references=(CHILD,)),
        Document({"r": "2"}, {"n": 4}),
    ]
    for document in documents:
        await first.create(document)
    await first.close()
    for order, stored in enumerate(await raw.resources.find().to_list()):
        await raw.resources.replace_one({"_id": stored["_id"]}, as_version_1(stored, order))
    await raw.resources.update_one({"r": "2"}, {"$set": {"emco.pending": ObjectId()}})
    await raw.resources.insert_one({"external": "x", "keyId": "{external}", "data": {}, "references": []})
    await raw.resources.create_index([("emco.targets", 1)])
    await raw.meta.update_one({"_id": "store"}, {"$set": {"version": 1}})

    one, two = await asyncio.gather(opened(mongodb_url), opened(mongodb_url))
    assert [found.body["n"] for found in await one.list(("r",), {})] == [3]
    with pytest.raises(api.HasChildren):
        await one.delete(PARENT)
    with pytest.raises(api.IsReferenced):
        await two.delete(CHILD)
    await one.delete_blob(digest)
    assert await one.get_blob(digest) == b"chart"
    await one.create(Document({"r": "2"}, {"n": 5}))
    assert [found.body["n"] for found in await two.list(("r",), {})] == [3, 5]
    for key in ({"r": "1"}, CHILD, PARENT):
        await two.delete(key)
    assert "emco.targets_1" not in await raw.resources.index_information()
    assert await raw.meta.find_one({"_id": "store"}) == {"_id": "store", "version": 2}
    await asyncio.gather(one.close(), two.close())


async def test_several_processes_may_make_the_same_new_database_at_once(mongodb_url: str) -> None:
    for store in await asyncio.gather(*[opened(mongodb_url) for _ in range(4)]):
        await store.close()


@pytest.mark.robustness(61)
async def test_the_sweep_after_a_jump_of_the_clock_takes_nothing_that_has_a_name_and_what_it_takes_is_not_named(
    mongodb_url: str, store: MongoStore, raw: AsyncDatabase[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later() -> None:
        made = await MongoStore.connect(
            mongodb_url, mongodb_url.rsplit("/", 1)[1], clock=lambda: time.time() + 2 * ABANDONED_AFTER
        )
        await made.close()

    named = await store.put_blob(b"named")
    header = await raw.blobs.find_one({"_id": named})
    assert header is not None
    await raw.uploads.insert_one({"_id": header["upload"], "started": time.time()})  # as if killed just before the end
    await later()
    assert await store.get_blob(named) == b"named"
    assert await raw.uploads.count_documents({}) == 0

    add = Blobs._add

    async def slow(self: Blobs, content: bytes, *, upload: ObjectId, first: int) -> None:
        await add(self, content, upload=upload, first=first)
        await later()

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "_add", slow)
        with pytest.raises(api.StoreUnavailable, match="send it again"):
            await store.put_blob(b"late")
    assert await raw.chunks.count_documents({}) == 1
    assert await store.get_blob(await store.put_blob(b"late")) == b"late"
