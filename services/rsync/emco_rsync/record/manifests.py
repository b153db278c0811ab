"""The objects of one resource, as a context on the bus has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emco_common.appcontext import keys, values
from emco_common.appcontext.values import MalformedContext
from emco_common.contextbus.api import ContextBus
from emco_rsync.plan.manifests import BadManifest, Json, parse, prepare


def manifests_on(bus: ContextBus) -> Callable[[str, str, str, str, str], Awaitable[tuple[Json, ...]]]:
    """By context, app, cluster, resource and deployment label; none where they are not known (any more)."""

    async def read(context: str, app: str, cluster: str, resource: str, label: str) -> tuple[Json, ...]:
        entry = await bus.get(keys.resource(context, app, cluster, resource))
        if entry is None:
            return ()
        try:
            return tuple(prepare(obj, label=label) for obj in parse(values.decode_string(entry.key, entry.value)))
        except (BadManifest, MalformedContext):
            return ()

    return read
