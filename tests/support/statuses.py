"""Writes statuses as rsync's journal would have, where a test has no rsync."""

from __future__ import annotations

from collections.abc import Iterable

from emco_common.appcontext.status import StatusUpdate, encode_updates
from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.limits import batches

_BATCH_BYTES = 1 << 20


async def write_statuses(bus: ContextBus, context: str, updates: Iterable[StatusUpdate]) -> None:
    for batch in batches(encode_updates(context, updates), weight=_BATCH_BYTES):
        await bus.transact(batch)
