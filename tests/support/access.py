"""Who there can be, and what each may do, said once more and in other words than the rules do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import httpx

from tests.support.routes import Operation

EVERYBODY: tuple[tuple[str, ...], ...] = (
    (),
    ("Admin",),
    ("Viewer",),
    ("alpha:User",),
    ("alpha:Viewer",),
    ("beta:User",),
    ("alpha:User", "beta:Viewer"),
    ("admin", "User", "alpha"),
)
"""By the grants they hold; the last holds what sounds like some."""


def expected(grants: tuple[str, ...], method: str, path: str) -> bool:
    """Whether somebody with these grants gets to ``path``, asking for no form of an answer in particular."""
    words = path.split("/")[2:]
    reading = method in ("GET", "HEAD")
    a_cluster = len(words) == 4 and words[0] == "cluster-providers" and words[2] == "clusters"
    secret = words[-1] == "kubeconfig" or "cluster-sync-objects" in words or a_cluster
    of_project = words[1] if words[0] == "projects" and len(words) > 1 else ""
    return (
        "Admin" in grants
        or ("Viewer" in grants and reading and not secret)
        or (f"{of_project}:User" in grants and (reading or len(words) > 2))
        or (f"{of_project}:Viewer" in grants and reading and not secret)
    )


async def got_wrong(
    client: httpx.AsyncClient, every: Iterable[Operation], tokens: Mapping[tuple[str, ...], str]
) -> list[str]:
    """Each operation of ``every`` asked for with each of the tokens (by grants; ``""`` for none), in two projects.

    Answers those where somebody got through, or did not, against what is expected.
    """
    wrong: list[str] = []
    for grants, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for one in every:
            for path in sorted({one.path(project=project) for project in ("alpha", "beta")}):
                answer = await client.request(one.method, path, headers=headers)
                refused = answer.status_code in (401, 403)
                if refused == expected(grants, one.method, path):
                    wrong.append(f"{'+'.join(grants) or 'nobody'}: {one.method} {path}: {answer.status_code}")
    return wrong
