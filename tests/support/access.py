"""Who there can be, and what each may do, said once more and in other words than the rules do."""

from __future__ import annotations

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
