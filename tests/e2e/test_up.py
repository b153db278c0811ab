"""``emco up`` as a program: where it listens, what survives a restart, how it stops, and whom it refuses."""

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from emco_allinone.catalogue import CATALOGUE
from emco_simcluster import SimCluster
from emco_simcluster.faults import Rule
from tests.support.process import Command, EmcoProcess
from tests.support.program import free_ports
from tests.support.shop import GROUPS, Shop, objects_of

pytestmark = pytest.mark.xdist_group("up")  # they share one running suite
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
HTTP_PORTS = {"orchestrator": 9015, "clm": 9061, "dcm": 9077, "ncm": 9081, "rsync": 9023}
GRPC_PORTS = {"orchestrator": 9016, "dcm": 9078, "ncm": 9082, "rsync": 9031}
SHOP = sorted(
    [*(("ConfigMap", f"g-config-{index}") for index in range(4)), ("Deployment", "g-web"), ("Service", "g-web")]
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[SimCluster]:
    async with SimCluster("edge", ready_after=0.02) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emco(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmcoProcess]:
    ports = {
        f"EMCO_{name.upper()}_HTTP_PORT": str(port)
        for name, port in zip(HTTP_PORTS, free_ports(len(HTTP_PORTS)), strict=True)
    }
    process = EmcoProcess(tmp_path_factory.mktemp("up") / "a folder called %41 & co", ports)
    await process.start()
    yield process
    await process.stop(signal.SIGKILL)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(emco: EmcoProcess, cluster: SimCluster) -> AsyncIterator[Shop]:
    """The application, onboarded and not deployed."""
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync)
        await shop.onboard({"edge": cluster.kubeconfig})
        await shop.group("g")
        yield shop


def test_services_listen_where_they_always_have_unless_told_otherwise() -> None:
    settings = {entry.name: entry.settings.load(entry.name, {}) for entry in CATALOGUE}
    moved = {
        entry.name: entry.settings.load(entry.name, {f"EMCO_{entry.name.upper()}_HTTP_PORT": "7"})
        for entry in CATALOGUE
    }

    assert {name: found.http_port for name, found in settings.items()} == HTTP_PORTS
    assert {name: settings[name].grpc_port for name in GRPC_PORTS} == GRPC_PORTS
    assert {found.http_port for found in moved.values()} == {7}


@IN_ONE_LOOP
async def test_it_prints_every_address_and_each_answers(emco: EmcoProcess) -> None:
    output = await emco.command.says("EMCO is up")

    assert f"http://127.0.0.1:{emco.ingress}/v2/projects" in output
    for service, port in _addresses(emco).items():
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/readyz")).json()["checks"] == {"store": "ok", "bus": "ok"}, service
            assert (await client.get("/openapi.json")).json()["info"]["title"] == f"EMCO {service}"
    assert f"gRPC {emco.rsync}" in output


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/v2/cluster-providers/acme/clusters", "clm"),
        ("/v2/clm-controllers", "clm"),
        ("/v2/projects/p/logical-clouds", "dcm"),
        ("/v2/projects/p/logical-clouds/lc/cluster-references", "dcm"),
        ("/v2/projects/p", "orchestrator"),
        ("/v2/controllers", "orchestrator"),
        (GROUPS, "orchestrator"),
    ],
)
@IN_ONE_LOOP
async def test_the_ingress_asks_the_service_that_owns_the_path(
    emco: EmcoProcess, shop: Shop, path: str, owner: str
) -> None:
    through = await shop.client.get(path)

    assert through.status_code == 200
    for service, port in _addresses(emco).items():
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            direct = await client.get(path)
        assert (direct.status_code, direct.text == through.text) == ((200, True) if service == owner else (404, False))


@IN_ONE_LOOP
async def test_the_ingress_has_no_page_for_other_paths(emco: EmcoProcess, shop: Shop) -> None:
    answer = await shop.client.get("/v3/projects")

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@IN_ONE_LOOP
async def test_a_second_one_on_the_same_data_is_refused_in_one_sentence(emco: EmcoProcess, tmp_path: Path) -> None:
    environment = {"EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0"}
    second = Command(
        "up", "--data", str(emco.data), "--ingress-port", "0", log=tmp_path / "log", environment=environment
    )

    code, output = await second.run()

    assert (code, output) == (1, f"emco: the context bus {emco.data}/bus.db is in use by another process\n")


@IN_ONE_LOOP
async def test_a_second_one_on_taken_ports_is_refused_in_one_sentence(emco: EmcoProcess, tmp_path: Path) -> None:
    taken = {"EMCO_CLM_HTTP_PORT": _addresses(emco)["clm"], "EMCO_RSYNC_GRPC_PORT": emco.rsync}
    for name, port in taken.items():
        environment = {"EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0", "EMCO_INGRESS_PORT": "0", name: str(port)}
        command = ("up", "--data", str(tmp_path / name), "--log-level", "error")
        second = Command(*command, log=tmp_path / f"{name}.log", environment=environment)

        code, output = await second.run()

        assert code == 1
        where = rf"127\.0\.0\.1:{port}"
        assert re.fullmatch(rf"emco: .*port {where} cannot be opened: Address already in use\n", output), output


@IN_ONE_LOOP
async def test_a_port_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    code, output = await Command("up", "--ingress-port", "65536", log=tmp_path / "log").run()

    assert code == 2
    assert "65535" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@IN_ONE_LOOP
async def test_stopped_while_it_deploys_it_ends_in_time_and_goes_on_after_the_restart(
    emco: EmcoProcess, shop: Shop, cluster: SimCluster, number: signal.Signals
) -> None:
    held = cluster.faults.add(Rule(verb="apply", resource="services", hang=True))
    await shop.post(f"{GROUPS}/g/instantiate", expect=202)
    await shop.until(f"{GROUPS}/g/status", lambda _: cluster.counts["apply", "services"] > 0)

    assert await emco.stop(number) == 0, emco.command.tail()
    assert emco.command.output.rstrip().endswith("}")
    cluster.faults.remove(held)
    await emco.start()

    await shop.ready(f"{GROUPS}/g")
    assert objects_of(cluster.objects()) == SHOP
    await shop.post(f"{GROUPS}/g/terminate", expect=202)
    await shop.gone(f"{GROUPS}/g")
    assert objects_of(cluster.objects()) == []
    cluster.counts.clear()


@IN_ONE_LOOP
async def test_what_was_deployed_is_still_ready_after_a_restart_and_nothing_is_applied_again(
    emco: EmcoProcess, shop: Shop, cluster: SimCluster
) -> None:
    await shop.post(f"{GROUPS}/g/instantiate", expect=202)
    before = await shop.ready(f"{GROUPS}/g")
    assert await emco.stop() == 0
    cluster.counts.clear()

    await emco.start()
    after = await shop.until(f"{GROUPS}/g/status", lambda _: cluster.counts["watch", "deployments"] > 0)

    assert after == before
    assert {verb for verb, _ in cluster.counts} <= {"get", "list", "watch"}, cluster.counts
    assert objects_of(cluster.objects()) == SHOP


def _addresses(emco: EmcoProcess) -> dict[str, int]:
    """The REST ports it printed last."""
    return {name: int(port) for name, port in re.findall(r"^  (\w+) +REST (\d+)", emco.command.output, re.MULTILINE)}
