"""What must hold of a store at any moment: nothing stands without its parent, nothing refers to what is not there.

References are taken from the document and, in case one was not recorded, once more from its body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emco_clm import resources as clm
from emco_common.resources.declaration import Resource
from emco_common.store.api import Document, DocumentStore
from emco_dcm import resources as dcm
from emco_ncm import resources as ncm
from emco_orchestrator import resources as orchestrator


def _declared(module: Any) -> Iterable[Resource]:
    return [value for value in vars(module).values() if isinstance(value, Resource)]


RESOURCES: Mapping[str, Resource] = {
    resource.kind: resource for module in (clm, dcm, ncm, orchestrator) for resource in _declared(module)
}
"""Every kind of document that a core service keeps, by its kind."""


async def broken(store: DocumentStore) -> Sequence[str]:
    """Documents without their parent, and references into nothing, in words."""
    documents = [one for resource in RESOURCES.values() for one in await store.list(resource.key_names, {})]
    there = {frozenset(document.key.items()) for document in documents}
    return [fault for document in documents for fault in _faults(document, there)]


def _faults(document: Document, there: set[frozenset[tuple[str, str]]]) -> Iterable[str]:
    resource = RESOURCES["{" + ",".join(sorted(document.key)) + "}"]
    parent = resource.ancestor(document.key)
    if parent is not None and frozenset(parent.items()) not in there:
        yield f"{resource.title} {dict(document.key)} stands without its parent"
    declared = [key for reference in resource.references for key in reference.pick(document.body, document.key)]
    for reference in (*document.references, *declared):
        if frozenset(reference.items()) not in there:
            yield f"{resource.title} {dict(document.key)} refers to {dict(reference)}, which is not there"
