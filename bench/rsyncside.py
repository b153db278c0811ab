"""rsync in a process of its own, with whoever asks it: ``python -m bench.rsyncside <folder> [<bus URL>]``.

Contexts are written and work is asked for over gRPC as the orchestrator does. What is done is seen on the bus: the
context's status is written with, or after, the last acknowledgement.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import workload
from bench.child import processor_seconds, serve
from emco_common.appcontext import keys, values
from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.states import ContextState
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.log import configure_logging
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc, updateapp_pb2, updateapp_pb2_grpc
from emco_common.runtime import Deps, Service, open_deps
from emco_rsync.app import create_service
from emco_rsync.settings import RsyncSettings

DONE = frozenset({ContextState.INSTANTIATED, ContextState.UPDATED, ContextState.TERMINATED})
FAILED = frozenset({ContextState.INSTANTIATE_FAILED, ContextState.UPDATE_FAILED, ContextState.TERMINATE_FAILED})


class Side:
    def __init__(self, deps: Deps, service: Service) -> None:
        self._deps = deps
        self._service = service
        self._contexts = AppContextStore(deps.bus)

    async def register(self, fleet: dict[str, str]) -> None:
        records = CloudConfigs(self._deps.store, self._deps.sealer)
        for name, kubeconfig in fleet.items():
            await records.put(Access("p", name, "0", "default", kubeconfig=kubeconfig.encode()))

    async def write(
        self,
        id: str,
        apps: dict[str, list[dict[str, Any]]],
        clusters: list[str],
        status_context: str = "",
        heal: bool = False,
    ) -> None:
        found = {app: workload.manifests(objects) for app, objects in apps.items()}
        made = workload.context(id, found, clusters, status_context=status_context)
        await self._contexts.write_new(replace(made, options=replace(made.options, heal=heal)))

    async def install(self, id: str) -> dict[str, float]:
        """Seconds from the call to the status that says that all was acknowledged, and those of the processor."""
        return await self._measured(id, lambda: self._install(id))

    async def begin(self, id: str) -> None:
        """Have it installed, and do not wait for the end."""
        await self._install(id)

    async def update(self, old: str, new: str) -> dict[str, float]:
        return await self._measured(new, lambda: self._update(old, new))

    async def drift(self, id: str, patience: float) -> float | None:
        """When the bus first told that something of the deployment has drifted, by the clock that processes share."""
        context = await self._contexts.status_context_id(id)
        try:
            async with asyncio.timeout(patience), aclosing(self._deps.bus.watch(keys.root(context))) as watch:
                async for events in watch:
                    for event in events:
                        if event.entry.key.endswith(f"/{keys.DRIFT}") and values.decode(
                            event.entry.key, event.entry.value
                        ):
                            return time.perf_counter()
        except TimeoutError:
            return None
        return None

    async def uninstall(self, id: str) -> dict[str, float]:
        return await self._measured(id, lambda: self._uninstall(id), failed=frozenset({ContextState.TERMINATE_FAILED}))

    async def arrive(self, ids: list[str], rate: float) -> dict[str, Any]:
        """The contexts come at so many a second; how long each took from its acceptance to its end."""
        began, used = time.perf_counter(), processor_seconds()
        lag = asyncio.create_task(_lag())

        async def one(number: int, identity: str) -> float:
            await asyncio.sleep(began + number / rate - time.perf_counter())
            return (await self.install(identity))["seconds"]

        spent = list(await asyncio.gather(*(one(number, identity) for number, identity in enumerate(ids))))
        lag.cancel()
        (longest,) = await asyncio.gather(lag, return_exceptions=True)
        took = time.perf_counter() - began
        return {"spent": spent, "processor": (processor_seconds() - used) / took, "lag": _seconds(longest)}

    async def _measured(
        self, identity: str, ask: Callable[[], Awaitable[None]], *, failed: frozenset[ContextState] = FAILED
    ) -> dict[str, float]:
        used, began = processor_seconds(), time.perf_counter()
        async with aclosing(self._deps.bus.watch(keys.status(identity))) as watch:
            await anext(watch)
            asked = time.perf_counter()
            await ask()
            accepted = time.perf_counter()
            async for events in watch:
                states = [values.decode_state(event.entry.key, event.entry.value) for event in events]
                if found := failed.intersection(states):
                    raise RuntimeError(f"{identity}: {found} {await self._contexts.get_reason(identity)}")
                if DONE.intersection(states):
                    break
        end = time.perf_counter()
        return {
            "seconds": end - asked,
            "accepted": accepted - asked,
            "watched": asked - began,
            "processor": processor_seconds() - used,
        }

    async def _channel(self) -> Any:
        return await self._deps.channels.ready("127.0.0.1", self._service.grpc_port)

    async def _install(self, identity: str) -> None:
        stub = installapp_pb2_grpc.installappStub(await self._channel())
        await stub.InstallApp(installapp_pb2.InstallAppRequest(app_context=identity), timeout=60)

    async def _uninstall(self, identity: str) -> None:
        stub = installapp_pb2_grpc.installappStub(await self._channel())
        await stub.UninstallApp(installapp_pb2.UninstallAppRequest(app_context=identity), timeout=60)

    async def _update(self, old: str, new: str) -> None:
        stub = updateapp_pb2_grpc.updateappStub(await self._channel())
        request = updateapp_pb2.UpdateAppRequest(update_from_appContext=old, update_to_appContext=new)
        await stub.UpdateApp(request, timeout=60)


async def _lag(step: float = 0.005) -> float:
    """The longest time in seconds that the loop kept something waiting, until cancelled."""
    longest = 0.0
    try:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(step)
            longest = max(longest, time.perf_counter() - began - step)
    except asyncio.CancelledError:
        return longest


def _seconds(found: object) -> float:
    return found if isinstance(found, float) else 0.0


async def main(folder: Path, bus: str) -> None:
    configure_logging("error")
    settings = RsyncSettings.load(
        "rsync",
        {},
        database_url=f"sqlite:///{folder}/store.db",
        bus_url=bus or f"embedded://{folder}/bus.db",
        data_key="bench",
        http_port=0,
        grpc_port=0,
    )
    async with open_deps(settings) as deps:
        service = create_service(settings, deps)
        await service.start()
        side = Side(deps, service)
        try:
            await serve(
                {
                    "register": side.register,
                    "write": side.write,
                    "install": side.install,
                    "begin": side.begin,
                    "update": side.update,
                    "uninstall": side.uninstall,
                    "drift": side.drift,
                    "arrive": side.arrive,
                }
            )
        finally:
            await service.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).absolute(), *sys.argv[2:3] or [""]))
