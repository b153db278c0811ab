"""What of the context bus is EMCO's, and what of it shows that work was handed over. Pure."""

from __future__ import annotations

from emco_common.appcontext import keys
from emco_common.contextbus.api import Entry
from emco_rsync.events.queue import LIVE
from emco_rsync.reach.sameness import RECORDS

KEPT = (keys.ACTIVE, keys.CONTEXTS, LIVE, RECORDS)
"""The prefixes below which lies what outlives every process."""
OF_PROCESSES = ("/dcm/", "/ncm/", "/orchestrator/", "/rsync/")
"""The prefixes below which processes say, under a lease, that they live; these go with them."""


def lasts(entry: Entry) -> bool:
    """Whether an entry outlives the process that wrote it."""
    return not entry.lease


def tells_of_handing_over(key: str) -> bool:
    """Whether a key is written when a context comes, goes, or is handed to rsync; reports of clusters do not count."""
    if key.startswith(keys.ACTIVE):
        return True
    return key.startswith(keys.CONTEXTS) and (key.endswith(f"/{keys.QUEUE}") or key.count("/") == 3)
