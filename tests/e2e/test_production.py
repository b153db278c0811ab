"""Each service as a process of its own, on etcd and a MongoDB-wire server, as in production."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from emco_allinone.catalogue import CATALOGUE
from emco_common.access.patterns import segments_of
from emco_common.access.routes import RouteTable, routes_to
from emco_simcluster import SimCluster
from tests.support.etcd import EtcdServer, etcd_programs
from tests.support.observed import described, labels_of
from tests.support.process import Command
from tests.support.program import free_ports
from tests.support.shop import Shop, objects_of
from tests.support.stores import ONE_SERVER

pytestmark = ONE_SERVER
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
NAMES = [entry.name for entry in CATALOGUE]
SETTLED = 30.0


@dataclass
class Installation:
    """The services with their ports, and what all of them are told."""

    services: Mapping[str, Command]
    ports: Mapping[str, int]
    rsync_port: int
    settings: Mapping[str, str]
    folder: Path

    async def ready(self, name: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ports[name]}", timeout=10) as client:
            return await client.get("/readyz")

    async def until_ready(self, code: int) -> list[httpx.Response]:
        """The answers of all services once each has this status code."""
        async with asyncio.timeout(SETTLED):
            while True:
                answers = await asyncio.gather(*(self.ready(name) for name in NAMES))
                if {answer.status_code for answer in answers} == {code}:
                    return answers
                await asyncio.sleep(0.05)

    def serve(self, name: str, **settings: str) -> Command:
        """Another process of a service; not started yet."""
        environment = {**self.settings, "EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0", **settings}
        log = self.folder / f"{name}-{uuid.uuid4()}.log"
        return Command("serve", name, log=log, environment=environment, folder=self.folder)


class ByOwner(httpx.AsyncBaseTransport):
    """Sends each request to the service that owns its path; in production a gateway does this."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self._table = RouteTable(routes_to(ports))
        self._sender = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        owner = self._table.find(segments_of(request.url.path) or ())
        assert owner is not None, f"no service answers {request.url.path}"
        request.url = request.url.copy_with(port=self._ports[owner.service])
        return await self._sender.handle_async_request(request)

    async def aclose(self) -> None:
        await self._sender.aclose()


@pytest.fixture(scope="module")
def own_etcd() -> Iterator[EtcdServer]:
    """A server that may be taken away."""
    server = EtcdServer(etcd_programs())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[SimCluster]:
    async with SimCluster("edge", ready_after=0.02) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emco(
    own_etcd: EtcdServer, mongodb_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    folder = tmp_path_factory.mktemp("production")
    rsync, *rest = free_ports(len(NAMES) + 1)
    ports = dict(zip(NAMES, rest, strict=True))
    address, _, options = mongodb_server.partition("?")
    settings = {
        "EMCO_DATABASE_URL": f"{address.rstrip('/')}/{folder.name}_{rsync}" + (f"?{options}" if options else ""),
        "EMCO_BUS_URL": f"etcd://{','.join(own_etcd.endpoints)}",
        "EMCO_DATA_KEY": "a key of this test",
    }
    own = {
        name: {"EMCO_HTTP_PORT": str(ports[name]), "EMCO_GRPC_PORT": str(rsync) if name == "rsync" else "0"}
        for name in NAMES
    }
    services = {
        name: Command("serve", name, log=folder / f"{name}.log", environment=settings | own[name], folder=folder)
        for name in NAMES
    }
    async with AsyncExitStack() as stack:
        for service in services.values():
            stack.push_async_callback(service.end, signal.SIGKILL)
            await service.start()
        for name, service in services.items():
            await service.says(f"{name} is up: REST 127.0.0.1:{ports[name]}")
        yield Installation(services, ports, rsync, settings, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(emco: Installation, cluster: SimCluster) -> AsyncIterator[Shop]:
    """The application, onboarded and not deployed."""
    transport = ByOwner(emco.ports)
    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync_port)
        await shop.onboard({"edge": cluster.kubeconfig})
        yield shop


@IN_ONE_LOOP
@pytest.mark.parametrize("name", NAMES)
async def test_a_service_tells_how_it_is(emco: Installation, name: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{emco.ports[name]}") as client:
        answers = {path: await client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert answers["/readyz"].json() == {"status": "ok", "checks": {"store": "ok", "bus": "ok"}}
    told = {metric for metric, line in described().items() if name in line.services or line.services == "every service"}
    assert told <= labels_of(answers["/metrics"].text).keys()
    assert answers["/openapi.json"].json()["info"]["title"] == f"EMCO {name}"


@IN_ONE_LOOP
async def test_what_cannot_start_says_why_in_one_sentence(emco: Installation) -> None:
    cases = {
        "data_key": emco.serve("clm", EMCO_DATA_KEY=""),
        "there is no service 'clam'; choose one of agent, clm, dcm, ingress, ncm, orchestrator, rsync": emco.serve(
            "clam"
        ),
        f"port 127.0.0.1:{emco.ports['dcm']} cannot be opened": emco.serve(
            "dcm", EMCO_HTTP_PORT=str(emco.ports["dcm"])
        ),
        f"port 127.0.0.1:{emco.rsync_port} cannot be opened": emco.serve("rsync", EMCO_GRPC_PORT=str(emco.rsync_port)),
        "The URI of the document store is wrong": emco.serve("clm", EMCO_DATABASE_URL="mongodb://127.0.0.1:many/x"),
        "The context bus is named by": emco.serve("clm", EMCO_BUS_URL="consul://127.0.0.1"),
        "setting http_port": emco.serve("clm", EMCO_HTTP_PORT="many"),
    }

    ended = await asyncio.gather(*(command.run() for command in cases.values()))

    for reason, (code, output) in zip(cases, ended, strict=True):
        spoken = [line for line in output.splitlines() if not line.startswith("{")]
        assert code == 1, reason
        assert len(spoken) == 1, output
        assert spoken[0].startswith("emco: ")
        assert reason in spoken[0]


@IN_ONE_LOOP
async def test_what_is_deployed_outlives_a_bus_that_goes_away(
    emco: Installation, shop: Shop, cluster: SimCluster, own_etcd: EtcdServer
) -> None:
    group = await shop.group("g")
    await shop.post(f"{group}/instantiate", expect=202)
    await shop.ready(group)
    assert len(objects_of(cluster.objects())) == 6

    own_etcd.kill()
    for answer in await emco.until_ready(503):
        assert answer.json()["checks"]["store"] == "ok"
        assert answer.json()["checks"]["bus"] != "ok"
    refused = await shop.client.get(f"{group}/status")
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True), refused.text
    own_etcd.start()
    await emco.until_ready(200)

    await shop.ready(group)
    await shop.post(f"{group}/terminate", expect=202)
    await shop.gone(group)
    assert objects_of(cluster.objects()) == []


@IN_ONE_LOOP
async def test_with_another_data_key_the_status_says_that_the_kubeconfig_cannot_be_opened(
    emco: Installation, shop: Shop, cluster: SimCluster
) -> None:
    assert await emco.services["rsync"].end() == 0
    ports = {"EMCO_HTTP_PORT": str(emco.ports["rsync"]), "EMCO_GRPC_PORT": str(emco.rsync_port)}
    wrong = emco.serve("rsync", **ports, EMCO_DATA_KEY="another key")
    await wrong.start()
    await wrong.says("rsync is up")
    group = await shop.group("sealed")
    await shop.post(f"{group}/instantiate", expect=202)

    told = await shop.until(f"{group}/status", lambda status: "data key" in str(status))

    assert "EMCO_RETIRED_DATA_KEYS" in str(told)
    assert objects_of(cluster.objects()) == []
    assert await wrong.end() == 0
    right = emco.serve(
        "rsync", **ports, EMCO_DATA_KEY="a newer key", EMCO_RETIRED_DATA_KEYS=emco.settings["EMCO_DATA_KEY"]
    )
    await right.start()
    try:
        await shop.ready(group)
    finally:
        await right.end(signal.SIGKILL)
