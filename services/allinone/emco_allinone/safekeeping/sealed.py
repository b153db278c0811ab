"""Which documents hold something sealed, and how it is written anew: one table, for backup and rotation. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emco_common import cloudconfig, syncobjects
from emco_common.secrets import SealedChange, sealed_with
from emco_common.store.api import Document, kind_of
from emco_dcm import privatekey

SEALED: Mapping[str, Callable[[Document, SealedChange], Document]] = {
    kind_of(cloudconfig.KEY_NAMES): cloudconfig.with_sealed,
    kind_of(syncobjects.KEY_NAMES): syncobjects.with_sealed,
    kind_of(("project", "logicalCloud")): privatekey.with_sealed,
}
"""By kind of document."""


def with_sealed(document: Document, change: SealedChange) -> Document:
    """The document with all that is sealed in it written anew."""
    of_its_kind = SEALED.get(kind_of(document.key))
    return document if of_its_kind is None else of_its_kind(document, change)


def data_keys_of(document: Document) -> set[str]:
    """The ids of the data keys that something in it is sealed with; ``""`` for values of the original."""
    found: set[str] = set()

    def look(sealed: str, _record: str) -> str:
        found.add(sealed_with(sealed))
        return sealed

    with_sealed(document, look)
    return found
