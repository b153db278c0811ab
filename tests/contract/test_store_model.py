"""Any sequence of writes leaves a store as a plain dictionary would be, with every promise of integrity kept."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emco_common.errors import EmcoError
from emco_common.store import api
from emco_common.store.api import Document, DocumentStore, Key

RUNS = itertools.count()
CHAINS = (("a",), ("a", "b"), ("a", "b", "c"), ("a", "x"), ("x",))
NAMES = st.sampled_from(["1", "2"])


def keys() -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from(CHAINS).flatmap(lambda chain: st.fixed_dictionaries(dict.fromkeys(chain, NAMES)))


@dataclass(frozen=True)
class Step:
    action: str
    key: dict[str, str]
    with_parent: bool
    references: list[dict[str, str]]
    alias: dict[str, str]
    expected: int | None


STEPS = st.builds(
    Step,
    action=st.sampled_from(["create", "create", "create", "replace", "delete"]),
    key=keys(),
    with_parent=st.booleans(),
    references=st.lists(keys(), max_size=1),
    alias=st.just({}) | st.fixed_dictionaries({"c": NAMES}),
    expected=st.none() | st.integers(1, 2),
)


def parent_of(key: Key) -> Key | None:
    return dict(list(key.items())[:-1]) if len(key) > 1 else None


def same(one: Key, other: Key) -> bool:
    return dict(one) == dict(other)


@dataclass
class Model:
    """What a store ought to hold, and what it ought to answer."""

    documents: list[Document] = field(default_factory=list)

    def find(self, key: Key) -> Document | None:
        return next((document for document in self.documents if same(document.key, key)), None)

    def create(self, new: Document, parent: Key | None) -> None:
        if self.find(new.key):
            raise api.AlreadyExists
        if parent is not None and not self.find(parent):
            raise api.ParentMissing
        self.require(new)
        self.documents.append(new)

    def replace(self, new: Document, expected: int | None) -> None:
        old = self.find(new.key)
        if old is None:
            raise api.DocumentMissing
        self.require(new)
        if expected not in (None, old.revision):
            raise api.StaleRevision
        place = self.documents.index(old)
        self.documents[place] = Document(
            new.key, new.body, references=new.references, alias=new.alias, revision=old.revision + 1
        )

    def delete(self, key: Key, expected: int | None) -> None:
        old = self.find(key)
        if old is None:
            raise api.DocumentMissing
        others = [document for document in self.documents if document is not old]
        for document in others:
            if key.items() <= {**document.alias, **document.key}.items():
                raise api.HasChildren(child=document.key)
        if any(same(key, reference) for document in others for reference in document.references):
            raise api.IsReferenced(by={})
        if expected not in (None, old.revision):
            raise api.StaleRevision
        self.documents.remove(old)

    def require(self, new: Document) -> None:
        for reference in new.references:
            if not self.find(reference):
                raise api.ReferenceMissing(reference)

    def list(self, kind: str, within: Key) -> list[Document]:
        return [
            document
            for document in self.documents
            if api.kind_of(document.key) == kind and within.items() <= {**document.alias, **document.key}.items()
        ]


async def answer(call: Any) -> type[EmcoError] | None:
    try:
        result = call()
        if result is not None:
            await result
    except EmcoError as error:
        return type(error)
    return None


def perform(step: Step, number: int, within: Key, store: DocumentStore, model: Model) -> tuple[Any, Any]:
    key = {**within, **step.key}
    alias = {name: value for name, value in step.alias.items() if name not in key}
    references = tuple({**within, **reference} for reference in step.references)
    new = Document(key, {"n": number}, references=references, alias=alias, revision=1)
    if step.action == "create":
        parent = parent_of(key) if step.with_parent and len(step.key) > 1 else None
        return lambda: store.create(new, parent=parent), lambda: model.create(new, parent)
    if step.action == "replace":
        return lambda: store.replace(new, expected=step.expected), lambda: model.replace(new, step.expected)
    return lambda: store.delete(key, expected=step.expected), lambda: model.delete(key, step.expected)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
async def test_a_store_answers_and_holds_what_its_model_does(store: DocumentStore, steps: list[Step]) -> None:
    within = {"run": str(next(RUNS))}
    model = Model()
    for number, step in enumerate(steps):
        really, ideally = perform(step, number, within, store, model)
        assert await answer(really) == await answer(ideally), step
    for chain in CHAINS:
        for narrowed in (within, {**within, "a": "1"}, {**within, "a": "1", "c": "2"}):
            found = list(await store.list(("run", *chain), narrowed))
            assert found == model.list(api.kind_of(("run", *chain)), narrowed)
