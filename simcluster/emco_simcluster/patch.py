"""The three patch formats besides apply: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch. Pure."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from emco_simcluster.shapes import Shape

Json = dict[str, Any]

_RETAIN, _ORDER, _DELETE_VALUES = "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/"


class PatchError(ValueError):
    """The patch does not fit the object, or is no patch."""


class MergeKeyMissing(PatchError):
    """An element of a keyed list does not name its key."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, maps merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises ``PatchError`` where an operation does not fit or a test fails; nothing is changed then."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchError("an operation names op and path")
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: Json) -> Any:
    op, path = operation.get("op"), _pointer(operation["path"])
    if op in ("add", "replace", "test") and "value" not in operation:
        raise PatchError(f"operation {op} lacks a value")
    if op == "add":
        return _put(document, path, copy.deepcopy(operation["value"]), insert=True)
    if op == "remove":
        return _without(document, path)[0]
    if op == "replace":
        _at(document, path)
        return _put(document, path, copy.deepcopy(operation["value"]), insert=False)
    if op == "test":
        if _at(document, path) != operation["value"]:
            raise PatchError(f"testing value {operation['path']} failed: test failed")
        return document
    if op in ("move", "copy"):
        source = _pointer(str(operation.get("from", "")))
        if op == "move":
            document, value = _without(document, source)
        else:
            value = copy.deepcopy(_at(document, source))
        return _put(document, path, value, insert=True)
    raise PatchError(f"unexpected kind: {op}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise PatchError(f"not a JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(items: list[Any], part: str, *, end: int) -> int:
    if part == "-":
        return len(items)
    if not part.isascii() or not part.isdigit() or int(part) > end:
        raise PatchError(f"no such element: {part}")
    return int(part)


def _at(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part != "-":
            document = document[_index(document, part, end=len(document) - 1)]
        else:
            raise PatchError(f"the path /{'/'.join(path)} does not exist")
    return document


def _put(document: Any, path: Sequence[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    holder, last = _at(document, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list) and insert:
        holder.insert(_index(holder, last, end=len(holder)), value)
    elif isinstance(holder, list):
        holder[_index(holder, last, end=len(holder) - 1)] = value
    else:
        raise PatchError(f"the path /{'/'.join(path)} does not exist")
    return document


def _without(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    value = _at(document, path)
    if not path:
        return None, value
    holder = _at(document, path[:-1])
    if isinstance(holder, dict):
        del holder[path[-1]]
    else:
        del holder[_index(holder, path[-1], end=len(holder) - 1)]
    return document, value


def strategic_merge(target: Any, patch: Any, shape: Shape) -> Any:
    """Strategic merge patch: like a merge patch, but lists with a merge key merge by element.

    Understands ``$patch: delete | replace | merge``, ``$retainKeys``, ``$setElementOrder`` and
    ``$deleteFromPrimitiveList``, which are what kubectl sends.
    """
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unrecognized type of patch directive: {directive}")
    result = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        result = {k: v for k, v in result.items() if k in patch[_RETAIN]}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        below = shape.member(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _strategic_list(result.get(name), value, below)
        else:
            result[name] = strategic_merge(result.get(name), value, below)
    for name, value in patch.items():
        if name.startswith(_DELETE_VALUES):
            field = name.removeprefix(_DELETE_VALUES)
            result[field] = [v for v in result.get(field) or () if v not in value]
    for name, value in patch.items():
        if name.startswith(_ORDER):
            field = name.removeprefix(_ORDER)
            if isinstance(result.get(field), list):
                result[field] = _ordered(result[field], value, shape.member(field))
    return result


def _strategic_list(target: Any, patch: list[Any], shape: Shape) -> list[Any]:
    current = list(target) if isinstance(target, list) else []
    if any(isinstance(i, dict) and i.get("$patch") == "replace" for i in patch):
        return [i for i in patch if not (isinstance(i, dict) and i.get("$patch") == "replace")]
    if shape.unique:
        return current + [v for v in patch if v not in current]
    if not shape.keys:
        return patch
    key = shape.keys[0]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise MergeKeyMissing(f"map: {item} does not contain declared merge key: {key}")
        same = [i for i, known in enumerate(current) if known.get(key) == item[key]]
        if item.get("$patch") == "delete":
            current = [known for i, known in enumerate(current) if i not in same]
        elif same:
            current[same[0]] = strategic_merge(current[same[0]], item, shape.element)
        else:
            current.append(strategic_merge({}, item, shape.element))
    return current


def _ordered(items: list[Any], order: list[Any], shape: Shape) -> list[Any]:
    """Elements named in ``order`` first, in that order; the others keep their places behind."""
    key = shape.keys[0] if shape.keys else None

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = {repr(name(o)): i for i, o in enumerate(order)}
    return sorted(items, key=lambda item: wanted.get(repr(name(item)), len(wanted)))
