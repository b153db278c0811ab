"""What a grant allows: the role model of spec deployment 6.1, as rules over methods and paths. Pure.

=====================  ==========================================================================================
``Admin``              everything
``Viewer``             reading everything but credentials
``<project>:User``     every method below the project; reading the project itself
``<project>:Viewer``   reading the project and what is below it, but no credentials
=====================  ==========================================================================================

Nothing else is given. The Istio policies and Envoy's RBAC filter are written from the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emco_common.access.patterns import Pattern

ADMIN, VIEWER, USER = "Admin", "Viewer", "User"
READING = ("GET", "HEAD")
JSON_TYPE = "application/json"
_PROJECT = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
"""The name of a project, as the orchestrator takes it; so no name is a pattern or leads out of its path."""

CLUSTER = Pattern("/v2/cluster-providers/*/clusters/*")
"""Its kubeconfig is answered to who asks for another form than JSON."""
CREDENTIALS = (
    Pattern("/v2/cluster-providers/*/cluster-sync-objects/**"),
    Pattern("/v2/projects/*/logical-clouds/*/kubeconfig"),
    Pattern("/v2/projects/*/logical-clouds/*/cluster-references/*/kubeconfig"),
)
"""What is read here lets its reader act: tokens of repositories and agents, kubeconfigs."""


@dataclass(frozen=True)
class Rule:
    """Allows ``methods`` (none named: all) on ``paths`` but not on ``excluded``.

    ``as_json``: only where the header ``Accept`` is just that of JSON.
    """

    paths: tuple[Pattern, ...]
    methods: tuple[str, ...] = ()
    excluded: tuple[Pattern, ...] = ()
    as_json: bool = False

    def allows(self, method: str, path: Sequence[str], accept: str) -> bool:
        """``path`` in segments, ``accept`` as it was sent."""
        return (
            (not self.methods or method in self.methods)
            and any(pattern.matches(path) for pattern in self.paths)
            and not any(pattern.matches(path) for pattern in self.excluded)
            and (not self.as_json or accept == JSON_TYPE)
        )


@lru_cache(maxsize=1024)  # asked for at every request; grants come from tokens that hold
def rules_of(grant: str) -> tuple[Rule, ...]:
    """What one grant allows; nothing for a text that is none."""
    if grant == ADMIN:
        return (Rule((_EVERYTHING,)),)
    if grant == VIEWER:
        return (
            Rule((_EVERYTHING,), READING, (*CREDENTIALS, CLUSTER)),
            Rule((CLUSTER,), READING, as_json=True),
        )
    project, _, role = grant.rpartition(":")
    if _PROJECT.fullmatch(project) is None:
        return ()
    itself, below = Pattern(f"/v2/projects/{project}"), Pattern(f"/v2/projects/{project}/**")
    if role == USER:
        return (Rule((below,), excluded=(itself,)), Rule((itself,), READING))
    if role == VIEWER:
        return (Rule((below,), READING, _credentials_of(project)),)
    return ()


def grants_of_projects(projects: Iterable[str]) -> tuple[str, ...]:
    """Every grant there is where these projects are; raises ``ValueError`` for a name that no project has.

    What is enforced by a table of its own, as a mesh's is, must be told the projects.
    """
    named = list(dict.fromkeys(projects))
    if wrong := next((name for name in named if _PROJECT.fullmatch(name) is None), None):
        raise ValueError(f"{wrong!r} is no name of a project")
    return (ADMIN, VIEWER, *(f"{name}:{role}" for name in named for role in (USER, VIEWER)))


def is_allowed(grants: Iterable[str], method: str, path: Sequence[str] | None, *, accept: str = "") -> bool:
    """Whether one of the grants allows it. A path that can be read in two ways (``None``) is allowed to nobody."""
    if path is None:
        return False
    return any(rule.allows(method, path, accept) for grant in grants for rule in rules_of(grant))


def claimed(claims: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The texts under the claim ``where``, which is a name or a path with dots; a text counts as a list of one."""
    found: Any = claims.get(where)
    if found is None:
        found = claims
        for name in where.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return (found,)
    return tuple(text for text in found if isinstance(text, str)) if isinstance(found, list) else ()


def _credentials_of(project: str) -> tuple[Pattern, ...]:
    """``CREDENTIALS`` as they are spelt below one project."""
    lead, own = "/v2/projects/*/", f"/v2/projects/{project}/"
    return tuple(Pattern(p.text.replace(lead, own, 1)) for p in CREDENTIALS if p.text.startswith(lead))


_EVERYTHING = Pattern("/**")
