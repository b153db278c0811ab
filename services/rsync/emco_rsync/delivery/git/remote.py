"""Where a repository is and as whom it is used, from the sync object that describes it (rsync 14.1): pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from emco_common.errors import Conflict

REQUIRED = ("userName", "gitToken", "repoName", "branch", "url")
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9._/+-]*(?<![./])")
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]+")
_MAX_URL = 1000


class BadRemote(Conflict):
    """The sync object does not describe a repository that can be used."""


@dataclass(frozen=True, slots=True)
class Remote:
    """``ca`` is PEM, empty for the authorities of the system. ``per_app``: each app has a status branch (14.6)."""

    url: str
    branch: str
    user: str
    token: str = field(repr=False)
    email: str = ""
    ca: str = field(default="", repr=False)
    per_app: bool = False

    @property
    def server(self) -> str:
        """For messages."""
        return f"repository {self.url}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.token, self.basic

    @property
    def basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.token}".encode()).decode()

    @property
    def digest(self) -> str:
        parts = (self.url, self.branch, self.user, self.token, self.email, self.ca, str(self.per_app))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def remote_of(pairs: Mapping[str, str], *, allow_http: bool = False) -> Remote:
    """``BadRemote`` names what is missing or wrong, and never quotes a credential."""
    if not all(pairs.get(name) for name in REQUIRED):
        missing = ", ".join(name for name in REQUIRED if not pairs.get(name))
        raise BadRemote(f"Missing Information for Git: {missing}")
    branch = pairs["branch"]
    if not is_branch(branch):
        raise BadRemote("branch of the sync object is not the name of a Git branch")
    if any(ord(sign) < 33 for sign in pairs["userName"] + pairs["gitToken"]) or ":" in pairs["userName"]:
        raise BadRemote("userName or gitToken of the sync object holds blanks or control characters, or a colon")
    return Remote(
        url=_checked(pairs["url"], allow_http=allow_http),
        branch=branch,
        user=pairs["userName"],
        token=pairs["gitToken"],
        email=pairs.get("email", ""),
        ca=pairs.get("caCert", ""),
        per_app=pairs.get("gitType", "").lower() == "github",
    )


def is_branch(name: str) -> bool:
    return len(name) <= 250 and _BRANCH.fullmatch(name) is not None


def _checked(url: str, *, allow_http: bool) -> str:
    schemes = ("https", "http") if allow_http else ("https",)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadRemote("url of the sync object is not a URL") from None
    if parts.scheme not in schemes or len(url) > _MAX_URL or any(not 32 < ord(sign) < 127 for sign in url):
        raise BadRemote(f"url of the sync object must be an {' or '.join(schemes)} URL without blanks")
    if "@" in parts.netloc:
        raise BadRemote("url of the sync object must not name a user; userName and gitToken do")
    if not parts.hostname or not _HOST.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise BadRemote("url of the sync object must have a host, and neither query nor fragment")
    return url
