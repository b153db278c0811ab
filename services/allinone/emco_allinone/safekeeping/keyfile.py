"""What lies in the data folder of ``emco up``: store, bus, and the key that seals its secrets.

``data.key`` holds the key; while a rotation is not finished, ``data.key.retired`` holds the older ones, one a line. In
the environment ``EMCO_DATA_KEY``, or ``EMCO_DATA_KEY_FILE``, takes the place of both.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

KEY, RETIRED = "data.key", "data.key.retired"


def urls(data: Path) -> dict[str, Any]:
    """Where store and bus are, as settings."""
    folder = quote(str(data.absolute()))
    return {"database_url": f"sqlite://{folder}/store.db", "bus_url": f"embedded://{folder}/bus.db"}


def is_elsewhere(environment: Mapping[str, str]) -> bool:
    """Whether the environment says what the key is."""
    return bool(environment.get("EMCO_DATA_KEY") or environment.get("EMCO_DATA_KEY_FILE"))


def ensure(data: Path, environment: Mapping[str, str]) -> None:
    """Make the key at first use, readable by its owner only."""
    if not is_elsewhere(environment) and not (data / KEY).exists():
        _write(data / KEY, _new(), new=True)


def data_keys(data: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The keys, as settings; nothing where there is none, or where the environment says it."""
    if is_elsewhere(environment) or not (data / KEY).exists():
        return {}
    return {"data_key": (data / KEY).read_text().strip(), "retired_data_keys": tuple(_retired(data))}


def begin_rotation(data: Path) -> None:
    """Retire the key and make a new one, unless that was done and the rotation not finished.

    The old key is written down before the new one takes its place, so being cut off in between loses neither.
    """
    present, retired = (data / KEY).read_text().strip(), _retired(data)
    if retired and present not in retired:
        return
    if not retired:
        _write(data / RETIRED, present)
    _write(data / KEY, _new())


def end_rotation(data: Path) -> None:
    """Nothing is sealed with the older keys any more."""
    (data / RETIRED).unlink(missing_ok=True)


def _retired(data: Path) -> list[str]:
    path = data / RETIRED
    return path.read_text().splitlines() if path.exists() else []


def _new() -> str:
    return secrets.token_urlsafe(32)


def _write(path: Path, text: str, *, new: bool = False) -> None:
    """Whole or not at all, and on the disk; with ``new`` unless another process was quicker."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        error.filename = str(path)  # which tells more than a name that nobody knows
        raise
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if new:
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    else:
        part.replace(path)
