"""One app on one cluster that is watched over, and what is known of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from emco_rsync.reach.links import Link
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.cluster import ClusterWatch
from emco_rsync.watch.inspection import Docket
from emco_rsync.watch.observe import Expected

Place = tuple[str, str]
"""Deployment label and cluster."""


@dataclass(slots=True)
class Followed:
    """``heal``: the deployment wants what others change to be brought back. ``told`` is kept by the recorder,
    ``bundle`` by ``Monitor``: what the cluster's monitor was asked for."""

    status_context: str
    expected: Expected
    recorder: Recorder
    watch: ClusterWatch
    own: Link
    stack: AsyncExitStack
    heal: bool = False
    complete: bool = False
    ready: bool = False
    bundle: str = ""
    told_at: float = float("-inf")
    looked_at: float = float("-inf")
    told: dict[str, object] = field(default_factory=dict)
    docket: Docket = field(default_factory=Docket)

    @property
    def place(self) -> Place:
        return self.expected.label, self.expected.cluster
