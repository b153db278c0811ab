"""A running ncm, spoken to without a socket, on the embedded store and bus, with a stand-in for rsync.

The stand-in notes what it is asked and, like rsync, writes the status of a context; what rsync itself does is tested
with rsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from emco_common.appcontext import AppContext, AppContextStore, ContextState, keys, values
from emco_common.lifecycle import STATE_TAG, Action, State, StateInfo
from emco_common.runtime import Deps, Service, open_deps
from emco_common.store.api import Document
from emco_ncm.app import create_service
from emco_ncm.settings import NcmSettings
from tests.fakes.rsync import FakeRsync, fake_rsync

C = "/v2/cluster-providers/p/clusters/c"
KEY = {"clusterProvider": "p", "cluster": "c"}
_STATES = {
    "install": ContextState.INSTANTIATED,
    "uninstall": ContextState.TERMINATED,
    "update": ContextState.INSTANTIATED,
}


def network(name: str = "blue", **spec: Any) -> dict[str, Any]:
    subnets = [{"name": "blue4", "subnet": "10.71.0.0/24", "gateway": "10.71.0.1/24"}]
    return {"metadata": {"name": name}, "spec": {"cniType": "ovn4nfv", "ipv4Subnets": subnets} | spec}


def provider_network(name: str = "uplink", *, vlan: Any = None, **spec: Any) -> dict[str, Any]:
    whole = {
        "vlanID": "300",
        "providerInterfaceName": "ens5",
        "logicalInterfaceName": "ens5.300",
        "vlanNodeSelector": "specific",
        "nodeLabelList": ["kubernetes.io/os=linux"],
    }
    return network(name, **({"providerNetType": "VLAN", "vlan": whole if vlan is None else whole | vlan} | spec))


@dataclass
class Ncm:
    """``statuses`` is what rsync makes of an operation; take one out and the context stays as it is."""

    service: Service
    deps: Deps
    rsync: FakeRsync
    settings: NcmSettings
    client: httpx.AsyncClient = field(init=False)
    background: list[asyncio.Future[None]] = field(init=False)
    statuses: dict[str, str] = field(default_factory=lambda: dict(_STATES))

    @property
    def contexts(self) -> AppContextStore:
        return AppContextStore(self.deps.bus)

    async def post(self, path: str, body: Any = None, *, expect: int = 201) -> Any:
        answer = self._checked(await self.client.post(f"{C}{path}", json=body), expect)
        return answer.json() if expect < 300 and answer.content else answer.text.removesuffix("\n")

    async def put(self, path: str, body: Any = None, *, expect: int = 201) -> Any:
        answer = self._checked(await self.client.put(f"{C}{path}", json=body), expect)
        return answer.json() if expect < 300 else answer.text.removesuffix("\n")

    async def get(self, path: str, *, expect: int = 200) -> Any:
        answer = self._checked(await self.client.get(f"{C}{path}"), expect)
        return answer.json() if expect == 200 else answer.text.removesuffix("\n")

    async def delete(self, path: str, *, expect: int = 204) -> str:
        return self._checked(await self.client.delete(f"{C}{path}"), expect).text.removesuffix("\n")

    async def act(self, verb: str, *, expect: int = 204) -> str:
        return str(await self.post(f"/{verb}", expect=expect))

    async def applied(self) -> str:
        """Apply; answers the context."""
        await self.act("apply")
        return (await self.info()).instance

    async def info(self) -> StateInfo:
        document = await self.deps.store.get(KEY)
        assert document is not None
        return StateInfo.from_json(document.tags[STATE_TAG])

    async def set_state(self, state: State, *, status: str | None = None) -> None:
        """Put the cluster where earlier calls might have brought it; ``status`` is that of its context."""
        document = await self.deps.store.get(KEY)
        assert document is not None
        actions = [Action(State.CREATED)]
        if state is not State.CREATED:
            actions.append(Action(state, "4711"))
            if not await self.contexts.exists("4711"):
                await self.contexts.write_new(AppContext("4711"))
            if status is not None:
                await self.set_status("4711", status)
        info = StateInfo(actions[-1].instance, tuple(actions))
        await self.deps.store.replace(replace(document, tags={**document.tags, STATE_TAG: info.as_json()}))

    async def set_status(self, instance: str, status: str) -> None:
        await self.deps.bus.put(keys.status(instance), values.encode_state(status))

    async def contexts_on_the_bus(self) -> set[str]:
        ids = await self.contexts.ids()
        return {*ids.complete, *ids.incomplete}

    async def restart(self) -> None:
        """A new life of the process on the same data, after the old one ended."""
        await self.stop()
        self.service = create_service(self.settings, self.deps)
        self.start()

    def start(self) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.service.app), base_url="http://ncm")
        self.background = [asyncio.ensure_future(work()) for work in self.service.background]

    async def stop(self) -> None:
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.client.aclose()

    async def take(self, operation: str, context: str) -> None:
        """What the stand-in does inside a call."""
        status = self.statuses.get(operation)
        if status is not None:
            await self.set_status(context.rpartition(">")[2], status)

    def _checked(self, answer: httpx.Response, expect: int) -> httpx.Response:
        assert answer.status_code == expect, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
        return answer


@pytest.fixture
async def ncm(tmp_path: Path) -> AsyncIterator[Ncm]:
    settings = NcmSettings(
        database_url=SecretStr(f"sqlite://{tmp_path}/store.db"),
        bus_url=SecretStr(f"embedded://{tmp_path}/bus.db"),
        data_key=SecretStr("test key"),
        grpc_connect_timeout=2,
        rsync_timeout=5,
    )
    async with open_deps(settings) as deps, fake_rsync() as rsync:
        await rsync.register(deps.store)
        await deps.store.create(Document(key={"clusterProvider": "p"}, body={"metadata": {"name": "p"}}))
        state = StateInfo.created(deps.clock()).as_json()
        await deps.store.create(
            Document(key=KEY, body={"metadata": {"name": "c"}, "spec": {}}, tags={STATE_TAG: state})
        )
        made = Ncm(create_service(settings, deps), deps, rsync, settings)
        rsync.then = made.take
        made.start()
        yield made
        await made.stop()
