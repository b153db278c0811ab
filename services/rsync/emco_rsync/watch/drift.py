"""What others have changed of an object that was applied, from the live object and what was recorded then: pure.

The API server keeps who owns which field (``managedFields``). Whoever changes or removes one of our fields takes it
from us, so our set shrinks; what others add, and every status, leaves it as it is. The digest is our set at the time of
the apply, one short code per field: enough to see later which fields are missing, without having kept the object.
"""

from __future__ import annotations

import base64
import hashlib
import json
from binascii import b2a_base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

Object = Mapping[str, Any]
Path = tuple[str, ...]
"""As in ``fieldsV1``: ``f:name``, ``k:{"name":"web"}``, ``v:"x"``."""

MANAGER = "emco-rsync"
"""The one field manager under which objects are applied, and created where the user may not patch."""
IGNORE_ANNOTATION = "emco/ignore-fields"
"""On an object: paths, separated by commas, that anybody may change."""
DELETED = "deleted"
MANAGERS_LEFT_ALONE = ("kube-controller-manager", "horizontal-pod-autoscaler", "vpa-*", "*injector*")

_VERSION = "v1:"
_WHOLE = _VERSION + "="
"""Of a set too large for a code per field there is one for all."""
_PIECES = ","
_CODE = 4
_SEPARATOR = "\0"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MAX_FIELDS = 1024
_MAX_GUESSES = 20_000
_MAX_DEPTH = 64
_MAX_NAMED = 5
_MAX_TEXT = 200
_SCALE = "scale"
_ITEM_KEYS = (
    ("name",),
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("ip",),
    ("key",),
    ("type",),
    ("uid",),
    ("topologyKey", "whenUnsatisfiable"),
    ("resourceName",),
)
"""By what the API server tells the items of a list apart, where it does."""
_KEY_DEFAULTS = {"protocol": "TCP"}


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Whose fields are left to them: of managers whose name matches, and whatever is set by way of ``scale``."""

    managers: Sequence[str] = field(default=MANAGERS_LEFT_ALONE)

    def owner(self, entry: Object) -> bool:
        """Is this entry of ``managedFields`` one of theirs?"""
        manager = str(entry.get("manager") or "")
        return entry.get("subresource") == _SCALE or any(fnmatchcase(manager, pattern) for pattern in self.managers)


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not ours any more; ``manager`` has it now, or ``""``: it was removed."""

    path: str
    manager: str = ""

    def __str__(self) -> str:
        return f"{self.path} changed by {self.manager}" if self.manager else f"{self.path} removed"


def digest_of(obj: Object) -> str:
    """What our manager owns of a live object, as it is recorded; ``""`` where the server does not say.

    Codes of fields, sorted, so that equal sets have equal digests and one field less is always another digest.
    """
    owned: set[str] = set()
    for entry in entries_of(obj):
        if _is_ours(entry):
            owned.update(_walk(_map(entry.get("fieldsV1"))))
    if not owned:
        return ""
    codes = sorted(map(_code, owned))
    if len(codes) > _MAX_FIELDS:
        return _WHOLE + base64.urlsafe_b64encode(hashlib.sha256(b"".join(codes)).digest()).decode()
    return _VERSION + b"".join(codes).decode()


def joined(digests: Iterable[str]) -> str:
    """One digest for a resource of several objects; ``""`` if none of them has one."""
    text = _PIECES.join(digests)
    return text if text.strip(_PIECES) else ""


def pieces(digest: str) -> list[str]:
    """What was joined."""
    return digest.split(_PIECES)


def differs(recorded: str, live: str) -> bool:
    """Has our manager lost fields since? A record of none, or by rules that are not known here, says nothing."""
    if recorded == live or not recorded.startswith(_VERSION):
        return False
    return recorded.startswith(_WHOLE) or bool(_lost(recorded, live))


def ownership_changes(
    obj: Object, recorded: str, *, leave_alone: LeaveAlone, manifest: Object | None = None
) -> tuple[Change, ...]:
    """Which of the fields recorded as ours are not any more, but for those that are left to their present owners.

    What was removed has no owner; it is named if ``manifest``, what was applied, has it, and else only counted.
    """
    live = digest_of(obj)
    if not differs(recorded, live):
        return ()
    if recorded.startswith(_WHOLE):
        return (Change("its fields", _newest(obj, leave_alone)),)
    lost, ignored = _lost(recorded, live), ignored_fields(obj)
    found: dict[str, Change] = {}
    spared = False
    for path, owner, left in (*_owned_by_others(obj, leave_alone), *((path, "", False) for path in _leaves(manifest))):
        code = _code(_SEPARATOR.join(path)).decode()
        if lost[code]:
            lost[code] -= 1
            text = words(path)
            if is_ignored(text, ignored):
                spared = True
            elif not left:
                found[text] = Change(text, owner)
    unnamed = lost.total()
    if unnamed and not found and not spared:
        return (Change("a field" if unnamed == 1 else f"{unnamed} fields"),)
    return tuple(sorted(_outermost(found), key=lambda change: change.path))


def describe(changes: Sequence[Change]) -> str:
    """In words, for who looks at the status; ``""`` if there is nothing to tell."""
    text = "; ".join(str(change) for change in changes[:_MAX_NAMED])
    more = len(changes) - _MAX_NAMED
    return f"{text}; and {more} more" if more > 0 else text


def ignored_fields(obj: Object) -> tuple[str, ...]:
    """What the object's annotation gives free for anybody."""
    annotations = _map(_map(obj.get("metadata")).get("annotations"))
    return tuple(path.strip() for path in str(annotations.get(IGNORE_ANNOTATION) or "").split(",") if path.strip())


def is_ignored(path: str, ignored: Iterable[str]) -> bool:
    """Is it one of these paths, or below one? ``spec.template.spec.containers`` speaks of all its items."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in ignored)


def words(path: Path) -> str:
    """``spec.template.spec.containers[name=web].image``."""
    text = ""
    for element in path:
        tag, _, rest = element.partition(":")
        if tag == "f":
            text += f".{rest}"
        elif tag == "k":
            text += f"[{_item(rest)}]"
        else:
            text += f"[{rest.strip(chr(34))}]"
    return _shown(text.lstrip("."))


def fields_of(entry: Object) -> Iterator[Path]:
    """Every field that an entry of ``managedFields`` owns, whole items of lists and maps among them."""
    return (tuple(path.split(_SEPARATOR)) for path in _walk(_map(entry.get("fieldsV1"))))


def _walk(fields: Object) -> list[str]:
    """The paths of a ``fieldsV1``, each as one text: this is done for whatever a cluster says."""
    found: list[str] = []
    nodes: list[tuple[str, int, Object]] = [("", 0, fields)]
    for start, depth, node in nodes:
        for name, inner in node.items():
            if name == ".":
                found.append(start[:-1])
            elif inner and isinstance(inner, dict) and depth < _MAX_DEPTH:
                nodes.append((f"{start}{name}{_SEPARATOR}", depth + 1, inner))
            else:
                found.append(start + name)
    return found


def _code(path: str) -> bytes:
    return b2a_base64(hashlib.blake2b(path.encode(), digest_size=3).digest(), newline=False).translate(_URL_SAFE)


def _codes(digest: str) -> Counter[str]:
    text = digest.removeprefix(_VERSION)
    return Counter(text[at : at + _CODE] for at in range(0, len(text), _CODE))


def _lost(recorded: str, live: str) -> Counter[str]:
    return _codes(recorded) - _codes(live)


def _owned_by_others(obj: Object, leave_alone: LeaveAlone) -> list[tuple[Path, str, bool]]:
    """Path, manager, and whether it is left to that one; a field that is shared with such a one is."""
    others = (entry for entry in entries_of(obj) if not _is_ours(entry) and entry.get("subresource") != "status")
    return [
        (path, _shown(str(entry.get("manager") or "somebody")), leave_alone.owner(entry))
        for entry in sorted(others, key=leave_alone.owner, reverse=True)
        for path in fields_of(entry)
    ]


def _leaves(manifest: Object | None) -> Iterator[Path]:
    """Every field of a manifest by all the paths it may go by: how items of lists are told apart, the server knows."""
    return islice(_fields(manifest, ()), _MAX_GUESSES)


def _fields(value: object, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _fields(inner, (*path, f"f:{name}"))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                for keys in _ITEM_KEYS:
                    if keys[0] in item:
                        known = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
                        yield from _fields(item, (*path, f"k:{_dump(known)}"))
            else:
                yield (*path, f"v:{_dump(item)}")


def _outermost(found: Mapping[str, Change]) -> Iterator[Change]:
    """A removed item is told once, not with everything in it."""
    removed = [path for path, change in found.items() if not change.manager]
    for path, change in found.items():
        if not any(path != other and is_ignored(path, [other]) for other in removed):
            yield change


def _newest(obj: Object, leave_alone: LeaveAlone) -> str:
    others = [e for e in entries_of(obj) if not _is_ours(e) and not e.get("subresource") and not leave_alone.owner(e)]
    newest = max(others, key=lambda entry: str(entry.get("time") or ""), default=None)
    return _shown(str(newest.get("manager") or "")) if newest else ""


def _is_ours(entry: Object) -> bool:
    return entry.get("manager") == MANAGER and not entry.get("subresource")


def entries_of(obj: Object) -> list[Object]:
    """Who owns what of a live object, as the server says it."""
    entries = _map(obj.get("metadata")).get("managedFields")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _item(text: str) -> str:
    try:
        keys = json.loads(text)
    except ValueError:
        return text
    return ",".join(f"{key}={value}" for key, value in keys.items()) if isinstance(keys, dict) else text


def _shown(text: str) -> str:
    """Names come from clusters: printable and short."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_MAX_TEXT])


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _map(value: object) -> Object:
    return value if isinstance(value, dict) else {}
