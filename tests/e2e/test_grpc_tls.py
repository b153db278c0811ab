"""EMCO with mutual TLS between its services: deployments, streams, exchange of certificates, and who is refused."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from cryptography import x509

from emco_allinone.catalogue import CATALOGUE
from emco_simcluster import SimCluster
from tests.e2e.test_production import ByOwner
from tests.support.certificates import Authority, KeyPair
from tests.support.etcd import EtcdServer, etcd_programs
from tests.support.grpctls import NAMES, Pki
from tests.support.process import Command
from tests.support.program import free_ports
from tests.support.shop import Shop
from tests.support.stores import ONE_SERVER
from tests.support.suite import running_suite

IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
SERVICES = [entry.name for entry in CATALOGUE]
OURS, THEIRS = Authority.new("ours"), Authority.new("theirs")
DEADLINE = 60.0


def issued(name: str = "emco", authority: Authority = OURS) -> KeyPair:
    return authority.issue(name, hosts=NAMES, ends_in=timedelta(days=90))


@asynccontextmanager
async def watching(
    anchor: str, port: int, folder: Path, keys: Mapping[str, object], *, service: str = "orchestrator"
) -> AsyncIterator[Command]:
    """``emcoctl watch`` as a program."""
    config = folder / "emco.yaml"
    config.write_text(json.dumps({service: {"host": "127.0.0.1", "statusPort": port, **keys}}))
    command = Command(
        *("--config", str(config), "watch", f"{anchor}/status", "status=deployed"),
        log=folder / "watch.log",
        module="emco_emcoctl",
        environment={"HOME": str(folder)},
    )
    await command.start()
    try:
        yield command
    finally:
        await command.end(signal.SIGINT)


async def shows(command: Command, values: list[str]) -> None:
    """All that it has shown, as soon as it is so much."""
    async with asyncio.timeout(DEADLINE):
        while len(seen := _values(command)) < len(values):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert seen == values, command.output


def _values(command: Command) -> list[str]:
    return [json.loads(line)["statusValue"] for line in command.output.splitlines() if line.startswith("{")]


async def shown_by(port: int, pki: Pki) -> str:
    """The name in the certificate that a server shows now."""
    context = ssl.create_default_context(cafile=str(pki.folder / "ca.crt"))
    context.load_cert_chain(pki.folder / "tls.crt", pki.folder / "tls.key")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    return found.subject.rfc4514_string()


def keys_of(pki: Pki, mode: str) -> dict[str, object]:
    """Of emcoctl."""
    if mode == "off":
        return {}
    files = {"statusCaFile": "ca.crt"}
    if mode == "mtls":
        files |= {"statusCertFile": "tls.crt", "statusKeyFile": "tls.key"}
    return {"statusTls": True, **{key: str(pki.folder / name) for key, name in files.items()}}


@pytest.mark.parametrize("mode", ["off", "tls", "mtls"])
async def test_a_deployment_lives_and_is_watched(mode: str, tmp_path: Path) -> None:
    pki = Pki.made(tmp_path / "pki", OURS, issued())
    async with (
        SimCluster("edge", ready_after=0.02) as cluster,
        running_suite(tmp_path / "data", environment=pki.environment(mode), status_window=0.05) as suite,
    ):
        services = suite.suite.services
        shop = Shop(suite.client, rsync_port=services["rsync"].grpc_port)
        await shop.onboard({"edge": cluster.kubeconfig})
        group = await shop.group()
        port = services["orchestrator"].grpc_port
        async with watching(group.removeprefix("/v2/"), port, tmp_path, keys_of(pki, mode)) as watch:
            await shows(watch, ["NOT_DEPLOYED"])
            await shop.post(f"{group}/instantiate", expect=202)
            await shop.ready(group)
            await shows(watch, ["NOT_DEPLOYED", "DEPLOYED"])
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)


@dataclass
class Installation:
    """Each service a process of its own, with mutual TLS; all read the same files."""

    services: Mapping[str, Command]
    http: Mapping[str, int]
    grpc: Mapping[str, int]
    settings: Mapping[str, str]
    pki: Pki
    folder: Path

    def serve(self, name: str, label: str, **settings: str) -> Command:
        """Another process of a service; not started yet."""
        environment = {**self.settings, "EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0", **settings}
        return Command("serve", name, log=self.folder / f"{label}.log", environment=environment, folder=self.folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emco(mongodb_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    folder = tmp_path_factory.mktemp("mtls")
    etcd = EtcdServer(etcd_programs())
    ports = free_ports(2 * len(SERVICES))
    http, grpc = dict(zip(SERVICES, ports, strict=False)), dict(zip(SERVICES, ports[len(SERVICES) :], strict=True))
    pki = Pki.made(folder / "pki", OURS, issued())
    address, _, options = mongodb_server.partition("?")
    settings = {
        "EMCO_DATABASE_URL": f"{address.rstrip('/')}/mtls_{ports[0]}" + (f"?{options}" if options else ""),
        "EMCO_BUS_URL": f"etcd://{','.join(etcd.endpoints)}",
        "EMCO_DATA_KEY": "a key of this test",
        "EMCO_STATUS_WINDOW": "0.05",
        **pki.environment("mtls"),
    }
    services = {
        name: Command(
            *("serve", name),
            log=folder / f"{name}.log",
            environment=settings | {"EMCO_HTTP_PORT": str(http[name]), "EMCO_GRPC_PORT": str(grpc[name])},
            folder=folder,
        )
        for name in SERVICES
    }
    async with AsyncExitStack() as stack:
        stack.callback(etcd.close)
        etcd.start()
        for service in services.values():
            stack.push_async_callback(service.end, signal.SIGKILL)
            await service.start()
        for name, service in services.items():
            await service.says(f"{name} is up")
        yield Installation(services, http, grpc, settings, pki, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(emco: Installation) -> AsyncIterator[Shop]:
    async with (
        SimCluster("edge", ready_after=0.02) as cluster,
        httpx.AsyncClient(base_url="http://127.0.0.1", transport=ByOwner(emco.http), timeout=30) as client,
    ):
        shop = Shop(client, rsync_port=emco.grpc["rsync"])
        await shop.onboard({"edge": cluster.kubeconfig})
        yield shop


@ONE_SERVER
@IN_ONE_LOOP
async def test_certificates_are_exchanged_and_nothing_is_restarted(emco: Installation, shop: Shop) -> None:
    """First everybody believes both authorities, then the certificates are others, then the old authority goes."""
    group = await shop.group("exchanged")
    emco.pki.put("ca.crt", OURS.certificate + THEIRS.certificate)
    keys = keys_of(emco.pki, "mtls")
    async with watching(group.removeprefix("/v2/"), emco.grpc["orchestrator"], emco.folder, keys) as watch:
        await shows(watch, ["NOT_DEPLOYED"])
        await shop.post(f"{group}/instantiate", expect=202)
        await shop.ready(group)
        await shows(watch, ["NOT_DEPLOYED", "DEPLOYED"])

        emco.pki.exchange(issued("renewed", THEIRS))
        emco.pki.put("ca.crt", THEIRS.certificate)
        assert {
            name: await shown_by(emco.grpc[name], emco.pki) for name in ("rsync", "orchestrator", "dcm", "ncm")
        } == (dict.fromkeys(("rsync", "orchestrator", "dcm", "ncm"), "CN=renewed"))
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)
        await shows(watch, ["NOT_DEPLOYED", "DEPLOYED", "NOT_DEPLOYED"])
        assert "broke" not in watch.output
        assert "registering again" not in watch.output
    assert [service.runs for service in emco.services.values()] == [True] * len(SERVICES)


@ONE_SERVER
@IN_ONE_LOOP
async def test_whoever_asks_for_a_deployment_is_told_whose_certificate_is_not_trusted(
    emco: Installation, shop: Shop
) -> None:
    group = await shop.group("refused")
    [port] = free_ports(1)
    other = Pki.made(emco.folder / "other", Authority.new("nobody's"), issued())
    settings = {"EMCO_GRPC_CA_FILE": str(other.folder / "ca.crt"), "EMCO_HTTP_PORT": str(port)}
    suspicious = emco.serve("orchestrator", "suspicious", **settings)
    await suspicious.start()
    try:
        await suspicious.says("orchestrator is up")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = await client.post(f"{group}/instantiate")
    finally:
        await suspicious.end(signal.SIGKILL)
    assert answer.status_code == 503
    assert f"the certificate of 127.0.0.1:{emco.grpc['rsync']} is not trusted: unable to get" in answer.text
    await shop.post(f"{group}/instantiate", expect=202)
    await shop.ready(group)


@ONE_SERVER
@IN_ONE_LOOP
async def test_what_cannot_start_says_why_in_one_sentence(emco: Installation) -> None:
    over = Pki.made(emco.folder / "over", OURS, OURS.issue("emco", hosts=NAMES, ends_in=timedelta(hours=-1)))
    cases = {
        "setting grpc_key_file: /nowhere cannot be read": emco.serve("rsync", "1", EMCO_GRPC_KEY_FILE="/nowhere"),
        "setting grpc_ca_file: it is not set": emco.serve("clm", "2", EMCO_GRPC_CA_FILE=""),
        "setting grpc_cert_file: it is not set, and with grpc_tls=tls a server needs it": emco.serve(
            "rsync", "3", EMCO_GRPC_TLS="tls", EMCO_GRPC_CERT_FILE=""
        ),
        f"setting grpc_cert_file: the certificate in {over.folder}/tls.crt expired on": emco.serve(
            "dcm", "4", **over.environment("mtls")
        ),
    }
    ended = await asyncio.gather(*(command.run() for command in cases.values()))
    for reason, (code, output) in zip(cases, ended, strict=True):
        spoken = [line for line in output.splitlines() if not line.startswith("{")]
        assert (code, len(spoken)) == (1, 1), output
        assert spoken[0].startswith(f"emco: {reason}")


@ONE_SERVER
@IN_ONE_LOOP
async def test_no_key_is_in_a_log_and_no_line_is_of_somebody_else(emco: Installation, shop: Shop) -> None:
    """The last one: it looks at what the others have left behind."""
    secret = (emco.pki.folder / "tls.key").read_text().splitlines()[1]
    for log in emco.folder.glob("*.log"):
        text = log.read_text()
        assert secret not in text
        assert "PRIVATE KEY" not in text
        if log.stem in SERVICES:
            lines = [line for line in text.splitlines() if not line.startswith("{")]
            assert len(lines) == 1, lines
            assert lines[0].startswith(f"{log.stem} is up")
            assert "a key of this test" not in text
