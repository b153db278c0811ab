"""What every document store promises (``emco_common.store.api``), over each adapter."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from contextlib import aclosing
from typing import Any

import pytest

from emco_common.errors import BadRequest
from emco_common.store import api
from emco_common.store.api import Document, DocumentStore, Key, kind_of
from emco_common.store.factory import open_store
from tests.support.stores import Backend

PROVIDER = {"clusterProvider": "edge"}
COMPOSITE = {"project": "p", "compositeApp": "c", "compositeAppVersion": "v1"}
PROFILE_NAMES = (*COMPOSITE, "compositeProfile", "appProfile")


def document(key: Key, *references: Key, alias: Key | None = None, **spec: Any) -> Document:
    body = {"metadata": {"name": list(key.values())[-1], "description": ""}, "spec": spec}
    return Document(dict(key), body, references=references, alias=alias or {})


async def stored(store: DocumentStore, *keys: Key) -> None:
    for key in keys:
        await store.create(document(key))


async def names(store: DocumentStore, kind: tuple[str, ...], within: Key) -> list[str]:
    return [found.key[kind[-1]] for found in await store.list(kind, within)]


class TestReadingAndWriting:
    async def test_what_was_created_is_read_back_whole_with_revision_1(self, store: DocumentStore) -> None:
        await stored(store, PROVIDER)
        new = Document(
            {**PROVIDER, "cluster": "c1"},
            {"metadata": {"name": "c1"}, "spec": {"n": 7, "x": 1.5, "yes": True, "none": None, "list": [{"a": []}]}},
            tags={"stateInfo": {"actions": [{"state": "Created"}]}, "namespace": "default"},
            references=(PROVIDER,),
            alias={"app": "a"},
        )
        answered = await store.create(new, parent=PROVIDER)
        read = await store.get(new.key)
        assert answered == read
        assert read == Document(new.key, new.body, new.tags, new.references, new.alias, revision=1)

    async def test_what_is_not_there_reads_as_nothing(self, store: DocumentStore) -> None:
        assert await store.get(PROVIDER) is None
        assert list(await store.list(("clusterProvider",), {})) == []

    async def test_an_empty_body_and_empty_tags_are_values(self, store: DocumentStore) -> None:
        await store.create(Document(PROVIDER, {}, tags={"meta": {}}))
        read = await store.get(PROVIDER)
        assert read is not None
        assert (read.body, read.tags) == ({}, {"meta": {}})

    async def test_creating_twice_is_refused_and_changes_nothing(self, store: DocumentStore) -> None:
        await store.create(document(PROVIDER, first=True))
        with pytest.raises(api.AlreadyExists):
            await store.create(document(PROVIDER, first=False))
        read = await store.get(PROVIDER)
        assert read is not None
        assert read.body["spec"] == {"first": True}

    async def test_a_body_changed_after_the_call_does_not_change_what_is_stored(self, store: DocumentStore) -> None:
        new = document(PROVIDER, kind="before")
        await store.create(new)
        new.body["spec"]["kind"] = "after"
        read = await store.get(PROVIDER)
        assert read is not None
        assert read.body["spec"] == {"kind": "before"}

    async def test_replacing_writes_everything_and_raises_the_revision(self, store: DocumentStore) -> None:
        await stored(store, {"app": "a"})
        await store.create(Document(PROVIDER, {"n": 1}, tags={"old": 1, "kept": 1}, alias={"x": "1"}))
        new = Document(PROVIDER, {"n": 2}, tags={"kept": 2}, references=({"app": "a"},), alias={"y": "2"})
        answered = await store.replace(new, expected=1)
        assert answered.revision == 2
        assert await store.get(PROVIDER) == answered
        assert (answered.body, answered.tags, dict(answered.alias)) == ({"n": 2}, {"kept": 2}, {"y": "2"})
        assert (await store.replace(new)).revision == 3

    async def test_replacing_what_is_not_there_is_refused(self, store: DocumentStore) -> None:
        with pytest.raises(api.DocumentMissing):
            await store.replace(document(PROVIDER))
        with pytest.raises(api.DocumentMissing):
            await store.replace(document(PROVIDER), expected=1)

    async def test_a_stale_revision_is_refused_on_replace_and_delete(self, store: DocumentStore) -> None:
        await stored(store, PROVIDER)
        await store.replace(document(PROVIDER, by="first"), expected=1)
        with pytest.raises(api.StaleRevision):
            await store.replace(document(PROVIDER, by="second"), expected=1)
        with pytest.raises(api.StaleRevision):
            await store.delete(PROVIDER, expected=1)
        read = await store.get(PROVIDER)
        assert read is not None
        assert read.body["spec"] == {"by": "first"}
        await store.delete(PROVIDER, expected=2)
        assert await store.get(PROVIDER) is None

    async def test_a_name_is_free_again_after_deletion(self, store: DocumentStore) -> None:
        await stored(store, PROVIDER)
        await store.delete(PROVIDER)
        assert (await store.create(document(PROVIDER))).revision == 1
        with pytest.raises(api.DocumentMissing):
            await store.delete({"clusterProvider": "other"})

    @pytest.mark.parametrize(
        "kv",
        [
            pytest.param({"limits.cpu": "4", "a.b": {"c.d": 1}, ".": 1, "..": 2}, id="dots"),
            pytest.param({"$set": {"$inc": 1}, "$": 1, "a$b": 2}, id="dollars"),
            pytest.param({"": "empty", " ": "blank"}, id="empty"),
            pytest.param({"größe": "✓ \U0001f600", "日本": ["語"], "a\x00b": "c\x00d"}, id="unicode and NUL"),
            pytest.param({"keyId": "x", "_id": 1, "data": {}, "references": [], "emco": {}}, id="names of the store"),
            pytest.param({"%": 1, "%2e": 2, "\\u002e": 3, "．": 4, "＄": 5}, id="names that look escaped"),
        ],
    )
    async def test_any_name_inside_a_body_or_a_tag_comes_back(self, store: DocumentStore, kv: dict[str, Any]) -> None:
        await store.create(Document(PROVIDER, kv, tags={"meta": [kv]}))
        await store.replace(Document(PROVIDER, {"spec": kv}, tags={"meta": kv}))
        read = await store.get(PROVIDER)
        assert read is not None
        assert (read.body, read.tags) == ({"spec": kv}, {"meta": kv})

    @pytest.mark.parametrize("name", ["Zürich ✓", 'quo"te', "back\\slash", "$where", "a.b", "", "x" * 300])
    async def test_any_text_can_be_a_name_in_a_key(self, store: DocumentStore, name: str) -> None:
        key = {"clusterProvider": name}
        child = {**key, "cluster": name}
        await stored(store, key)
        await store.create(document(child), parent=key)
        assert await names(store, ("clusterProvider", "cluster"), key) == [name]
        with pytest.raises(api.HasChildren) as refused:
            await store.delete(key)
        assert refused.value.child == child
        await store.delete(child)
        await store.delete(key)

    @pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 0.1, 1e300, 1.0, 10**15])
    async def test_numbers_keep_value_and_type(self, store: DocumentStore, value: float) -> None:
        await store.create(Document(PROVIDER, {"n": value}))
        read = await store.get(PROVIDER)
        assert read is not None
        assert read.body["n"] == value
        assert isinstance(read.body["n"], type(value))


class TestKinds:
    def test_a_kind_is_its_sorted_names(self) -> None:
        assert kind_of(COMPOSITE) == "{compositeApp,compositeAppVersion,project}"

    async def test_documents_of_different_kind_never_match_each_other(self, store: DocumentStore) -> None:
        """orchestrator-api, defects 1 and 2: a profile for app x is not app x."""
        app = {**COMPOSITE, "app": "x"}
        profile = {**COMPOSITE, "compositeProfile": "cp", "appProfile": "ap"}
        await store.create(document(profile, alias={"app": "x"}))
        assert await store.get(app) is None
        with pytest.raises(api.DocumentMissing):
            await store.delete(app)
        with pytest.raises(api.DocumentMissing):
            await store.replace(document(app))
        await store.create(document(app, is_app=True))
        assert await names(store, PROFILE_NAMES, COMPOSITE) == ["ap"]
        assert await names(store, (*COMPOSITE, "app"), COMPOSITE) == ["x"]

    async def test_a_parent_created_after_its_child_is_still_read_as_itself(self, store: DocumentStore) -> None:
        await stored(store, {**PROVIDER, "cluster": "c"}, PROVIDER)
        read = await store.get(PROVIDER)
        assert read is not None
        assert read.key == PROVIDER
        assert len(await store.list(("clusterProvider",), {})) == 1


class TestLists:
    KIND = ("clusterProvider", "cluster")

    async def test_a_list_has_creation_order_and_a_replacement_keeps_its_place(self, store: DocumentStore) -> None:
        await stored(store, *[{**PROVIDER, "cluster": name} for name in ("b", "a", "c")])
        await store.replace(document({**PROVIDER, "cluster": "b"}, changed=True))
        await store.delete({**PROVIDER, "cluster": "a"})
        await stored(store, {**PROVIDER, "cluster": "a"})
        assert await names(store, self.KIND, PROVIDER) == ["b", "c", "a"]

    async def test_a_list_holds_only_what_agrees_with_all_given_names(self, store: DocumentStore) -> None:
        labels = ("clusterProvider", "cluster", "clusterLabel")
        for provider in ("p", "q"):
            for cluster in ("c", "d"):
                await stored(store, dict(zip(labels, (provider, cluster, f"{provider}{cluster}"), strict=True)))
        assert await names(store, labels, {}) == ["pc", "pd", "qc", "qd"]
        assert await names(store, labels, {"cluster": "d"}) == ["pd", "qd"]
        assert await names(store, labels, {"clusterProvider": "q", "cluster": "c"}) == ["qc"]
        assert await names(store, labels, {"cluster": "x"}) == []
        assert await names(store, labels, {"other": "c"}) == []

    async def test_a_list_can_be_narrowed_by_alias(self, store: DocumentStore) -> None:
        for n, app in enumerate("xyx"):
            key = {**COMPOSITE, "compositeProfile": "cp", "appProfile": f"ap{n}"}
            await store.create(document(key, alias={"app": app}))
        assert await names(store, PROFILE_NAMES, {**COMPOSITE, "app": "x"}) == ["ap0", "ap2"]
        moved = {**COMPOSITE, "compositeProfile": "cp", "appProfile": "ap0"}
        await store.replace(document(moved, alias={"app": "y"}))
        assert await names(store, PROFILE_NAMES, {**COMPOSITE, "app": "x"}) == ["ap2"]
        assert await names(store, PROFILE_NAMES, {**COMPOSITE, "app": "y"}) == ["ap0", "ap1"]


class TestPieces:
    """A list read in pieces, each from the place where the one before ended."""

    KIND = ("clusterProvider", "cluster")

    @staticmethod
    def cluster(name: str) -> Key:
        return {**PROVIDER, "cluster": name}

    async def piece(self, store: DocumentStore, after: str | None, within: Key = PROVIDER) -> tuple[list[str], str]:
        documents = await store.list(self.KIND, within, limit=2, after=after)
        texts = await store.list_texts(self.KIND, within, limit=2, after=after)
        named = [document.body for document in documents]
        assert (json.loads(texts.text), texts.count) == (named, len(named))
        last = documents[-1].place if documents else None
        assert texts.next == (last if last and await store.list(self.KIND, within, after=last) else None)
        return [document.key["cluster"] for document in documents], documents[-1].place if documents else ""

    @pytest.mark.parametrize("within", [{}, PROVIDER], ids=["of a kind", "of a parent"])
    async def test_pieces_put_together_are_the_list(self, store: DocumentStore, within: Key) -> None:
        await stored(store, *[self.cluster(name) for name in "ebadc"], {"clusterProvider": "other", "cluster": "x"})
        seen, after = [], None
        while (found := await self.piece(store, after, within))[0]:
            seen += found[0]
            after = found[1]
        assert seen == [*"ebadc"] + ([] if within else ["x"])

    async def test_what_comes_and_goes_meanwhile_shifts_nothing(self, store: DocumentStore) -> None:
        await stored(store, *[self.cluster(name) for name in "abcdef"])
        first, after = await self.piece(store, None)
        for name in "abd":  # behind, at and before the place
            await store.delete(self.cluster(name))
        await store.replace(document(self.cluster("c"), changed=True))
        await stored(store, self.cluster("a"))
        second, after = await self.piece(store, after)
        third, _ = await self.piece(store, after)
        assert (first, second, third) == (["a", "b"], ["c", "e"], ["f", "a"])

    async def test_a_place_is_the_same_however_it_was_learned_and_never_given_twice(self, store: DocumentStore) -> None:
        created = await store.create(document(PROVIDER))
        replaced = await store.replace(document(PROVIDER, changed=True))
        read, text = await store.get(PROVIDER), await store.get_text(PROVIDER)
        assert read is not None
        assert text is not None
        assert created.place == replaced.place == read.place == text.place != ""
        await store.delete(PROVIDER)
        assert (await store.create(document(PROVIDER))).place != created.place

    async def test_no_documents_are_fine_and_none_can_be_asked_for(self, store: DocumentStore) -> None:
        await stored(store, self.cluster("a"))
        assert list(await store.list(self.KIND, PROVIDER, limit=0)) == []
        assert list(await store.list(self.KIND, {"clusterProvider": "other"}, limit=3)) == []

    @pytest.mark.parametrize("place", ["", "x", "-1", "1.", "1.x", "9" * 40, "1e3", "٣", "0.1.2"])
    async def test_what_is_no_place_is_refused(self, store: DocumentStore, place: str) -> None:
        with pytest.raises(api.BadPlace):
            await store.list(self.KIND, PROVIDER, after=place)
        with pytest.raises(api.BadPlace):
            await store.list_texts(self.KIND, PROVIDER, after=place)


class TestTexts:
    """Bodies as they lie."""

    @pytest.mark.parametrize(
        "body",
        [
            {"metadata": {"name": "größe ✓", "n": 2**62, "x": 1.5, "none": None}, "list": [{"a": []}, True]},
            {"$set": {"$inc": 1}, "\\a": {"\\": "\\"}, "a.b": "\\x"},
            {},
        ],
        ids=["ordinary", "names that a database minds", "empty"],
    )
    async def test_a_text_is_the_body(self, store: DocumentStore, body: dict[str, Any]) -> None:
        created = await store.create(Document(PROVIDER, body, tags={"secret": 1}))
        text = await store.get_text(PROVIDER)
        assert text is not None
        assert (json.loads(text.text), text.revision) == (body, 1)
        await store.replace(Document(PROVIDER, {"then": body}))
        listed = await store.list_texts(("clusterProvider",), {})
        assert (json.loads(listed.text), listed.count, listed.next) == ([{"then": body}], 1, None)
        read = await store.get_text(PROVIDER)
        assert read is not None
        assert (read.revision, read.place) == (2, created.place)

    async def test_what_is_not_there_has_none(self, store: DocumentStore) -> None:
        assert await store.get_text(PROVIDER) is None

    @pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800"], ids=["wide", "deep", "half a character"])
    async def test_what_cannot_be_kept_is_the_callers_mistake(self, store: DocumentStore, value: Any) -> None:
        with pytest.raises(BadRequest, match="cannot hold"):
            await store.create(Document(PROVIDER, {"n": value}))
        assert await store.get(PROVIDER) is None


class TestIntegrity:
    async def test_a_child_needs_its_parent(self, store: DocumentStore) -> None:
        child = {**PROVIDER, "cluster": "c"}
        with pytest.raises(api.ParentMissing):
            await store.create(document(child), parent=PROVIDER)
        assert await store.get(child) is None
        await stored(store, PROVIDER)
        await store.create(document(child), parent=PROVIDER)

    async def test_a_parent_stays_while_it_has_descendants_of_any_depth(self, store: DocumentStore) -> None:
        label = {**PROVIDER, "cluster": "c", "clusterLabel": "l"}
        await stored(store, PROVIDER, label)
        with pytest.raises(api.HasChildren):
            await store.delete(PROVIDER)
        await store.delete(label)
        await store.delete(PROVIDER)

    async def test_a_child_by_alias_holds_its_parent(self, store: DocumentStore) -> None:
        app = {**COMPOSITE, "app": "x"}
        profile = {**COMPOSITE, "compositeProfile": "cp", "appProfile": "ap"}
        await stored(store, app)
        await store.create(document(profile, app, alias={"app": "x"}))
        with pytest.raises(api.HasChildren):
            await store.delete(app)
        await store.replace(document(profile))
        await store.delete(app)

    async def test_namesakes_elsewhere_are_no_children(self, store: DocumentStore) -> None:
        await stored(store, {"a": "1", "b": "1"}, {"a": "2", "b": "1", "c": "1"}, {"a": "1", "b": "2", "c": "1"})
        await store.delete({"a": "1", "b": "1"})

    async def test_a_reference_needs_its_target(self, store: DocumentStore) -> None:
        with pytest.raises(api.ReferenceMissing) as caught:
            await store.create(document(PROVIDER, {"app": "a"}))
        assert caught.value.reference == {"app": "a"}
        assert await store.get(PROVIDER) is None
        await stored(store, PROVIDER)
        with pytest.raises(api.ReferenceMissing):
            await store.replace(document(PROVIDER, {"app": "a"}))
        read = await store.get(PROVIDER)
        assert read is not None
        assert (read.references, read.revision) == ((), 1)

    async def test_a_document_of_another_kind_is_no_target(self, store: DocumentStore) -> None:
        await stored(store, {"app": "a", "project": "p"})
        with pytest.raises(api.ReferenceMissing):
            await store.create(document(PROVIDER, {"app": "a"}))

    async def test_a_target_stays_while_it_is_referred_to(self, store: DocumentStore) -> None:
        await stored(store, {"app": "a"}, {"app": "b"})
        await store.create(document(PROVIDER, {"app": "a"}))
        with pytest.raises(api.IsReferenced) as caught:
            await store.delete({"app": "a"})
        assert caught.value.by == PROVIDER
        await store.replace(document(PROVIDER, {"app": "b"}))
        await store.delete({"app": "a"})
        with pytest.raises(api.IsReferenced):
            await store.delete({"app": "b"})
        await store.delete(PROVIDER)
        await store.delete({"app": "b"})

    async def test_a_document_may_refer_to_itself_and_still_be_deleted(self, store: DocumentStore) -> None:
        await stored(store, PROVIDER)
        await store.replace(document(PROVIDER, PROVIDER))
        await store.delete(PROVIDER)

    async def test_who_refers_to_a_document_is_found_by_kind_in_the_order_of_creation(
        self, store: DocumentStore
    ) -> None:
        other = {"clusterProvider": "other"}
        await stored(store, PROVIDER, other)
        for name, target in (("b", PROVIDER), ("a", PROVIDER), ("c", other)):
            await store.create(document({"app": name}, target))
        await store.create(document({"unit": "u"}, PROVIDER))
        await store.create(document({"clusterProvider": "edge", "cluster": "below"}))
        found = await store.referrers(("app",), PROVIDER)
        assert [(one.key, one.references) for one in found] == [
            ({"app": "b"}, (PROVIDER,)),
            ({"app": "a"}, (PROVIDER,)),
        ]
        await store.replace(document({"app": "b"}))
        await store.delete({"app": "a"})
        assert await store.referrers(("app",), PROVIDER) == []

    async def test_children_are_named_before_references_and_both_before_the_revision(
        self, store: DocumentStore
    ) -> None:
        child = {**PROVIDER, "cluster": "c"}
        await stored(store, PROVIDER, child)
        await store.create(document({"app": "a"}, PROVIDER))
        with pytest.raises(api.HasChildren):
            await store.delete(PROVIDER, expected=9)
        await store.delete(child)
        with pytest.raises(api.IsReferenced):
            await store.delete(PROVIDER, expected=9)
        await store.delete({"app": "a"})
        with pytest.raises(api.StaleRevision):
            await store.delete(PROVIDER, expected=9)


class TestBlobs:
    async def test_bytes_come_back_by_their_digest_and_are_kept_once(self, store: DocumentStore) -> None:
        for content in (b"", b"chart", bytes(range(256)) * 10):
            digest = await store.put_blob(content)
            assert digest == hashlib.sha256(content).hexdigest()
            assert await store.put_blob(content) == digest
            assert await store.get_blob(digest) == content

    async def test_seventeen_megabytes_come_back(self, store: DocumentStore) -> None:
        """orchestrator-api, defect 9: more than a MongoDB document can hold."""
        content = b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(17 * 2**15)) + b"rest"
        assert hashlib.sha256(await store.get_blob(await store.put_blob(content))).digest() == (
            hashlib.sha256(content).digest()
        )

    async def test_an_unknown_digest_is_missing_and_may_be_forgotten(self, store: DocumentStore) -> None:
        with pytest.raises(api.DocumentMissing):
            await store.get_blob("0" * 64)
        await store.delete_blob("0" * 64)

    async def test_a_blob_stays_while_a_document_names_it(self, store: DocumentStore) -> None:
        digest = await store.put_blob(b"chart")
        other = await store.put_blob(b"other")
        await store.create(Document(PROVIDER, {}, tags={"content": {"digest": digest}}))
        await store.delete_blob(digest)
        assert await store.get_blob(digest) == b"chart"
        await store.replace(Document(PROVIDER, {}, tags={"content": {"digest": other}}))
        await store.delete_blob(digest)
        with pytest.raises(api.DocumentMissing):
            await store.get_blob(digest)
        await store.delete(PROVIDER)
        await store.delete_blob(other)
        with pytest.raises(api.DocumentMissing):
            await store.get_blob(other)
        assert await store.put_blob(b"chart") == digest
        assert await store.get_blob(digest) == b"chart"

    async def test_a_document_cannot_name_bytes_that_are_not_there(self, store: DocumentStore) -> None:
        missing = Document(PROVIDER, {}, tags={"content": {"digest": "0" * 64}})
        with pytest.raises(api.BlobMissing):
            await store.create(missing)
        assert await store.get(PROVIDER) is None
        await stored(store, PROVIDER)
        with pytest.raises(api.BlobMissing):
            await store.replace(missing)

    async def test_many_puts_of_the_same_bytes_at_once_agree(self, store: DocumentStore) -> None:
        content = b"x" * 3_000_000
        digests = await asyncio.gather(*[store.put_blob(content) for _ in range(4)])
        assert len(set(digests)) == 1
        assert await store.get_blob(digests[0]) == content


class TestLife:
    async def test_everything_is_there_after_a_restart(self, backend: Backend) -> None:
        first = await backend.open()
        await stored(first, PROVIDER, {"app": "a"})
        await first.create(document({**PROVIDER, "cluster": "c"}, {"app": "a"}), parent=PROVIDER)
        digest = await first.put_blob(b"chart")
        await first.close()
        second = await backend.open()
        assert await names(second, ("clusterProvider", "cluster"), PROVIDER) == ["c"]
        assert await second.get_blob(digest) == b"chart"
        with pytest.raises(api.HasChildren):
            await second.delete(PROVIDER)
        with pytest.raises(api.IsReferenced):
            await second.delete({"app": "a"})

    async def test_two_stores_over_the_same_data_see_each_other_s_writes(self, backend: Backend) -> None:
        one, two = await backend.open(), await backend.open()
        await stored(one, PROVIDER)
        await two.replace(document(PROVIDER, by="two"), expected=1)
        with pytest.raises(api.StaleRevision):
            await one.replace(document(PROVIDER, by="one"), expected=1)

    async def test_ping_answers_until_the_store_is_closed(self, store: DocumentStore) -> None:
        await store.ping()
        await store.close()
        await store.close()
        with pytest.raises(api.StoreUnavailable):
            await store.ping()
        with pytest.raises(api.StoreUnavailable):
            await store.create(document(PROVIDER))
        with pytest.raises(api.StoreUnavailable):
            await store.get(PROVIDER)


class TestUrls:
    @pytest.mark.parametrize(
        "url", ["", "sqlite:", "sqlite:///", "sqlite://host/x", "mongodb:///x", "mysql://h/x", "//["]
    )
    async def test_a_url_that_names_no_store_is_refused(self, url: str) -> None:
        with pytest.raises(BadRequest):
            await open_store(url)

    def test_the_driver_of_mongodb_is_loaded_only_when_asked_for(self) -> None:
        probe = "import sys, emco_common.store.api, emco_common.store.factory; sys.exit('pymongo' in sys.modules)"
        subprocess.run([sys.executable, "-c", probe], check=True, timeout=30)


async def everything(store: DocumentStore) -> list[Document]:
    async with aclosing(store.snapshot()) as pieces:
        return [document async for piece in pieces for document in piece]


class TestAllOfIt:
    async def test_a_snapshot_has_every_document_of_every_kind_in_order_of_creation(self, store: DocumentStore) -> None:
        others = [{**PROVIDER, "cluster": f"c{number}"} for number in range(1_100)]
        await stored(store, PROVIDER, COMPOSITE, *others)
        last = await store.replace(document(COMPOSITE, PROVIDER, n=2))
        read = await everything(store)
        assert [found.key for found in read] == [PROVIDER, COMPOSITE, *others]
        assert read[1] == last

    async def test_what_is_written_after_its_first_piece_is_not_in_it(self, store: DocumentStore) -> None:
        await stored(store, *({"project": f"p{number}"} for number in range(600)))
        async with aclosing(store.snapshot()) as pieces:
            read = list(await anext(pieces))
            await stored(store, {"project": "late"})
            await store.delete({"project": "p599"})
            await store.replace(document({"project": "p598"}, changed=True))
            read += [found async for piece in pieces for found in piece]
        assert len(read) == 600
        assert "changed" not in read[598].body["spec"]

    async def test_a_snapshot_of_nothing_is_nothing(self, store: DocumentStore) -> None:
        assert await everything(store) == []

    async def test_no_snapshot_of_a_busy_store_shows_a_reference_to_what_is_not_in_it(self, backend: Backend) -> None:
        store, other = await backend.open(), await backend.open()
        await stored(store, PROVIDER, *({"project": f"p{number}"} for number in range(200)))

        async def changes() -> None:
            for number in range(60):
                target, holder = {**PROVIDER, "cluster": f"c{number}"}, {"project": f"p{number}"}
                await other.create(document(target), parent=PROVIDER)
                await other.replace(document(holder, target))
                await other.replace(document(holder))
                await other.delete(target)

        async with asyncio.TaskGroup() as group:
            busy = group.create_task(changes())
            while not busy.done():
                read = await everything(store)
                there = [found.key for found in read]
                assert [reference for found in read for reference in found.references if reference not in there] == []

    async def test_clearing_forgets_documents_and_blobs_and_gives_no_place_again(self, store: DocumentStore) -> None:
        digest = await store.put_blob(b"chart")
        await store.create(Document(PROVIDER, {}, tags={"content": {"digest": digest}}))
        await store.create(document({**PROVIDER, "cluster": "c"}, PROVIDER), parent=PROVIDER)
        before = [found.place for found in await everything(store)]
        await store.clear()
        assert await everything(store) == []
        with pytest.raises(api.DocumentMissing):
            await store.get_blob(digest)
        again = await store.create(document(PROVIDER))
        assert again.place not in before
        await store.delete(PROVIDER)
