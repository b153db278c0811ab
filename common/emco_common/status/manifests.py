"""From the text of a resource to what a status says of it: identity, and the object itself for details. Pure.

A text that cannot be read as one object still has a name and a kind, those of its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emco_common.kubeyaml import BadYaml, load
from emco_common.status.model import GroupVersionKind

_SECRET_FIELDS = ("data", "stringData")


class Manifests:
    """Reads each distinct text once, since clusters mostly get the same. For the time of one query."""

    def __init__(self) -> None:
        self._objects: dict[str, Mapping[str, Any]] = {}

    def identity(self, key_name: str, text: str) -> tuple[GroupVersionKind, str]:
        """Group, version, kind and name of the resource stored as ``<name>+<kind>``."""
        name, _, kind = key_name.rpartition("+")
        stored = self.read(text)
        metadata = stored.get("metadata")
        own = metadata.get("name") if isinstance(metadata, Mapping) else None
        return gvk_of(stored, kind), own if isinstance(own, str) and own else name

    def read(self, text: str) -> Mapping[str, Any]:
        """The object, without the contents of a Secret; empty if there is none."""
        known = self._objects.get(text)
        if known is None:
            known = self._objects[text] = without_secrets(_object(text))
        return known


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
