"""What is the same on all clusters of an app is kept once: its objects' addresses, and what is reported of them."""

from __future__ import annotations

from collections.abc import Iterable

from emco_common.kube import Kind

ObjectKey = tuple[Kind, str, str]
"""Kind, namespace (empty for cluster-scoped objects), name."""


class Alike:
    """Of one app. Bounded by the objects that it brings, whatever clusters show."""

    __slots__ = ("_keys", "_texts")

    def __init__(self, keys: Iterable[ObjectKey] = ()) -> None:
        self._keys = {key: key for key in keys}
        self._texts: dict[ObjectKey, bytes] = {}

    def key(self, key: ObjectKey) -> ObjectKey:
        """The same one, as others have it already."""
        return self._keys.get(key, key)

    def text(self, key: ObjectKey, text: bytes) -> bytes:
        """An equal one, if it was the last that somebody had of the object."""
        known = self._texts.get(key)
        if known == text:
            return known
        if key in self._keys:
            self._texts[key] = text
        return text


NOTHING_ALIKE = Alike()
