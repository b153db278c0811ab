"""Conditional requests (RFC 9110, 13): what a client says of the state it knows. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emco_common.errors import BadRequest

_TAG = re.compile(r'\s*(?:W/)?(?:"([\x21\x23-\x7e\x80-\xff]*)"|([\w.-]+))\s*')


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags of one header; ``anything`` is ``*``: any state, but there must be one.

    Weak tags count as strong ones: proxies weaken a tag when they compress an answer, and state is what it names here.
    """

    names: frozenset[str] = frozenset()
    anything: bool = False

    def hold(self, present: str | None) -> bool:
        """Whether ``present``, the tag of the state as it is, is among them; ``None`` for no state at all."""
        return present is not None and (self.anything or present in self.names)


@dataclass(frozen=True, slots=True)
class Conditions:
    match: Tags | None = None
    none_match: Tags | None = None

    def __bool__(self) -> bool:
        return self.match is not None or self.none_match is not None


NO_CONDITIONS = Conditions()


def parse_tags(header: str, *, name: str) -> Tags | None:
    """``None`` for an empty header. Raises ``BadRequest`` for what is neither ``*`` nor a list of entity tags."""
    if not header.strip():
        return None
    if header.strip() == "*":
        return Tags(anything=True)
    found: set[str] = set()
    for part in header.split(","):
        match = _TAG.fullmatch(part)
        if match is None:
            raise BadRequest(f"{name} {header[:64]} is no ETag of this service; send the ETag of your last GET")
        found.add(match[1] if match[1] is not None else match[2])
    return Tags(frozenset(found))
