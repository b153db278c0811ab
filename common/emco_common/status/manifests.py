"""From the text of a resource to what a status says of it: identity, and the object itself for details. Pure.

A text that cannot be read as one object still has a name and a kind, those of its key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from emco_common.kubeyaml import BadYaml, load
from emco_common.status.model import GroupVersionKind

_SECRET_FIELDS = ("data", "stringData")


class Manifests:
    """Reads each distinct text once, since clusters mostly get the same and queries come again.

    ``keep`` bounds the texts that are remembered, in characters; those not asked for longest go first.
    """

    def __init__(self, *, keep: int = 4 << 20) -> None:
        self._keep = keep
        self._kept = 0
        self._objects: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        # Large answers are computed in threads, several at a time.
        self._lock = threading.Lock()

    def identity(self, key_name: str, text: str) -> tuple[GroupVersionKind, str]:
        """Group, version, kind and name of the resource stored as ``<name>+<kind>``."""
        name, _, kind = key_name.rpartition("+")
        stored = self.read(text)
        metadata = stored.get("metadata")
        own = metadata.get("name") if isinstance(metadata, Mapping) else None
        return gvk_of(stored, kind), own if isinstance(own, str) and own else name

    def read(self, text: str) -> Mapping[str, Any]:
        """The object, without the contents of a Secret; empty if there is none."""
        with self._lock:
            known = self._objects.get(text)
            if known is not None:
                self._objects.move_to_end(text)
                return known
        read = without_secrets(_object(text))
        with self._lock:
            self._remember(text, read)
        return read

    def _remember(self, text: str, read: Mapping[str, Any]) -> None:
        if text not in self._objects:
            self._kept += len(text)
        self._objects[text] = read
        while self._kept > self._keep and len(self._objects) > 1:
            forgotten, _ = self._objects.popitem(last=False)
            self._kept -= len(forgotten)


def gvk_of(stored: Mapping[str, Any], kind: str = "") -> GroupVersionKind:
    """The kind of an object; ``kind`` where it does not say."""
    version = stored.get("apiVersion")
    group, _, version = (version if isinstance(version, str) else "").rpartition("/")
    own = stored.get("kind")
    return GroupVersionKind(group, version, own if isinstance(own, str) and own else kind)


def without_secrets(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    if stored.get("kind") != "Secret":
        return stored
    return {key: value for key, value in stored.items() if key not in _SECRET_FIELDS}


def _object(text: str) -> Mapping[str, Any]:
    try:
        loaded = load(text)
    except BadYaml:
        return {}
    return loaded if isinstance(loaded, dict) else {}
