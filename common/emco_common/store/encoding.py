"""How a document becomes text that can be indexed: paths, tokens and targets. Pure; shared by all adapters.

All three are ASCII (JSON escapes), so any name the API lets through can be a database key.
"""

from __future__ import annotations

import json
from typing import Any

from emco_common.store.api import Document, Json, Key


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def path_of(key: Key) -> str:
    """The identity of a document: every name and value of its key. It implies the kind."""
    return compact(sorted(key.items()))


def token_of(name: str, value: str) -> str:
    """One name and value, as they are looked up by lists and by the search for children."""
    return compact([name, value])


def tokens_of(key: Key, *, alias: Key | None = None) -> list[str]:
    """What a document answers to: the tokens of its key and of its alias (where both have a name, the key wins)."""
    return sorted(token_of(name, value) for name, value in {**(alias or {}), **key}.items())


def blob_target(digest: str) -> str:
    return f"blob:{digest}"


def targets_of(document: Document) -> dict[str, Key | None]:
    """What must stay while this document stays: path of each reference, and the blob it names (whose key is None)."""
    targets: dict[str, Key | None] = {path_of(reference): reference for reference in document.references}
    digest = named_digest(document.tags)
    if digest is not None:
        targets[blob_target(digest)] = None
    return targets


def named_digest(tags: Json) -> str | None:
    content = tags.get("content")
    digest = content.get("digest") if isinstance(content, dict) else None
    return digest if isinstance(digest, str) else None
