"""Sets of fields: which paths of an object someone owns, in the coding of ``managedFields`` (fieldsV1).

Pure. A path is a tuple of elements as fieldsV1 writes them: ``f:spec`` a member, ``k:{"name":"web"}`` an element of a
keyed list, ``v:"x"`` an element of a set, ``i:0`` the place in any other list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from emco_simcluster.shapes import Shape

Json = dict[str, Any]
Path = tuple[str, ...]
FieldSet = frozenset[Path]


class DuplicateElement(ValueError):
    """Two elements of a keyed list have the same key. The text names the list and the key."""


def element_of(item: Any, shape: Shape) -> str:
    """The path element of a list element. A keyed list takes absent key members from the defaults of its schema."""
    if shape.unique:
        return "v:" + _compact(item)
    members = item if isinstance(item, dict) else {}
    pairs = (f'"{k}":{_compact(members.get(k, shape.key_defaults.get(k)))}' for k in shape.keys)
    return "k:{" + ",".join(pairs) + "}"


def elements(items: Sequence[Any], shape: Shape, *, path: Path = ()) -> dict[str, Any]:
    """The elements of a keyed list by path element, in their order. Raises ``DuplicateElement``."""
    found: dict[str, Any] = {}
    for item in items:
        element = element_of(item, shape)
        if element in found:
            raise DuplicateElement(f"{show(path)}: duplicate entries for key {show((element,))}")
        found[element] = item
    return found


def owned_by(value: Any, shape: Shape) -> FieldSet:
    """The fields a document names: what its applier owns."""
    found: set[Path] = set()
    _collect(value, shape, (), found)
    found.discard(())
    return frozenset(found)


def _collect(value: Any, shape: Shape, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and value and not shape.atomic:
        for name, child in value.items():
            below = (*path, "f:" + name)
            if isinstance(child, dict | list):
                _collect(child, shape.member(name), below, found)
            else:
                found.add(below)
    elif isinstance(value, list) and shape.keyed:
        for element, item in elements(value, shape, path=path).items():
            below = (*path, element)
            found.add(below)
            if isinstance(item, dict):
                _collect(item, shape.element, below, found)
    else:
        found.add(path)


def difference(old: Any, new: Any, shape: Shape) -> tuple[FieldSet, FieldSet]:
    """What a write changed: the fields added or modified, and the fields removed."""
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(old, new, shape, (), changed, removed)
    return frozenset(changed), frozenset(removed)


def _compare(old: Any, new: Any, shape: Shape, path: Path, changed: set[Path], removed: set[Path]) -> None:
    if old is new or (type(old) is type(new) and old == new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and not shape.atomic:
        pairs = [("f:" + n, old.get(n), new.get(n), n in old, n in new, shape.member(n)) for n in old.keys() | new]
    elif isinstance(old, list) and isinstance(new, list) and shape.keyed:
        before, after = _lenient(old, shape), _lenient(new, shape)
        pairs = [
            (e, before.get(e), after.get(e), e in before, e in after, shape.element) for e in before.keys() | after
        ]
    else:
        below: set[Path] = set()
        _everything(new, shape, path, changed)
        _everything(old, shape, path, below)
        removed |= below - changed
        return
    for element, before_value, after_value, was, stays, inner in pairs:
        where = (*path, element)
        if was and stays:
            _compare(before_value, after_value, inner, where, changed, removed)
        else:
            _everything(after_value if stays else before_value, inner, where, changed if stays else removed)


def _lenient(items: Sequence[Any], shape: Shape) -> dict[str, Any]:
    return {element_of(item, shape): item for item in items}


def _everything(value: Any, shape: Shape, path: Path, found: set[Path]) -> None:
    """All paths of a stored value, the containers too. Stored lists may hold duplicates."""
    found.add(path)
    if isinstance(value, dict) and not shape.atomic:
        for name, child in value.items():
            _everything(child, shape.member(name), (*path, "f:" + name), found)
    elif isinstance(value, list) and shape.keyed:
        for element, item in _lenient(value, shape).items():
            _everything(item, shape.element, (*path, element), found)


def encode(fields: Iterable[Path]) -> Json:
    """A field set as fieldsV1."""
    ordered = sorted(fields)
    tree: Json = {}
    nodes: list[Json] = []
    for path in ordered:
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        nodes.append(node)
    for node in nodes:
        if node and "." not in node:
            node["."] = {}
    return tree


def decode(tree: Json) -> FieldSet:
    """fieldsV1 as a field set."""
    found: list[Path] = []
    _decode(tree, (), found)
    return frozenset(found)


def _decode(tree: Json, path: Path, found: list[Path]) -> None:
    for element, below in tree.items():
        if element == ".":
            found.append(path)
        elif below:
            _decode(below, (*path, element), found)
        else:
            found.append((*path, element))


def show(path: Path) -> str:
    """A path as error messages write it: ``.spec.containers[name="web"].image``."""
    text = ""
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == "f":
            text += "." + rest
        elif sort == "i":
            text += f"[{rest}]"
        elif sort == "k":
            text += "[" + ",".join(f"{k}={_compact(v)}" for k, v in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text


_encode_other = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def _compact(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return _encode_other(value)
