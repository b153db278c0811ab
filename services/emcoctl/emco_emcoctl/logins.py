"""Who is logged in where, kept between runs: one entry for each server, readable by its owner only.

A token is given to the server that it was obtained for, and to no other.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from emco_emcoctl.errors import ConfigError


@dataclass(frozen=True)
class Login:
    """``expires`` counts seconds since 1970; ``claim`` is where the grants are, ``""`` where that is not known."""

    server: str
    issuer: str
    client: str
    access_token: str
    refresh_token: str
    expires: float
    claim: str = ""
    ca_file: str = ""


class Logins:
    """The file below the user's cache folder. Every method raises ``ConfigError`` where it cannot be used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else "")
        self._folder = Path(home) / "emco" if home else None

    @property
    def path(self) -> Path:
        if self._folder is None:
            raise ConfigError("there is no home directory to keep a login in; set XDG_CACHE_HOME")
        return self._folder / "logins.json"

    def of(self, server: str) -> Login | None:
        return self._read().get(server) if self._folder is not None else None

    def put(self, login: Login) -> None:
        self._write({**self._read(), login.server: login})

    def forget(self, server: str) -> None:
        self._write({name: login for name, login in self._read().items() if name != server})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time: of two that renew, the second would find its token used up."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{self.path.parent} cannot be used: {error.strerror}") from error
        with os.fdopen(descriptor, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Login]:
        known = {field.name for field in fields(Login)}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            logins = [Login(**{key: value for key, value in entry.items() if key in known}) for entry in found]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{self.path} cannot be read ({error}); delete it and log in again") from error
        return {login.server: login for login in logins}

    def _write(self, logins: Mapping[str, Login]) -> None:
        text = json.dumps([asdict(login) for login in logins.values()], indent=1)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent)  # which makes it the owner's only
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from error
