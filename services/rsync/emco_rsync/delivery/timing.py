"""How often a cluster looks at its repository, from the pairs of the resource object (rsync 14.2): pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emco_common.errors import Conflict

DEFAULT_SECONDS = 60
_LONGEST = 7 * 24 * 3600


class BadResourceObject(Conflict):
    """The sync object does not say what it must."""


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds."""

    timeout: int
    sync: int
    retry: int


def timing_of(options: Mapping[str, str]) -> Timing:
    """``BadResourceObject`` names the key whose value is no number of seconds."""
    return Timing(*(_seconds(options, name) for name in ("timeOut", "syncInterval", "retryInterval")))


def _seconds(options: Mapping[str, str], name: str) -> int:
    text = options.get(name, "")
    if not text:
        return DEFAULT_SECONDS
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) <= _LONGEST:
        raise BadResourceObject(f"{name} of the resource object must be a number of seconds, at most {_LONGEST}")
    return int(text)
