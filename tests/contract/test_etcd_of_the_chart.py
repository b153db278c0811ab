"""A real etcd, started as the chart starts it, with the certificate that the chart makes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emco_common.contextbus.etcd import EtcdBus, Tls
from emco_common.contextbus.factory import open_bus
from emco_common.errors import EmcoError
from tests.support.controlplane import assets_or_skip
from tests.support.helm import Json, named, rendered
from tests.support.program import Nest, free_ports


@pytest.fixture(scope="module")
def at() -> Iterator[tuple[str, Path]]:
    """``host:port``, and the folder with the certificates."""
    documents = rendered()
    (container,) = named(documents, "StatefulSet", "emco-etcd")["spec"]["template"]["spec"]["containers"]
    ports = dict(zip(("2379", "2380", "2381"), free_ports(3), strict=True))
    with closing(Nest("emco-chart-etcd")) as nest:
        for name, content in named(documents, "Secret", "emco-etcd-tls")["data"].items():
            nest.write(name, base64.b64decode(content))
        program = nest.program(
            "etcd",
            [assets_or_skip() / "etcd", *(_here(argument, nest.folder, ports) for argument in container["args"])],
        )
        program.start()
        (port,) = {one["port"] for one in _probes(container)}
        assert port == "http-metrics"
        for probe in _probes(container):
            url = f"http://127.0.0.1:{ports['2381']}{probe['path']}"
            program.wait_until(lambda url=url: _answers(url), seconds=60)
        yield f"localhost:{ports['2379']}", nest.folder


def _probes(container: Json) -> list[Json]:
    return [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _here(argument: str, folder: Path, ports: dict[str, int]) -> str:
    """One machine has no pods: what is listened on is loopback, and files lie elsewhere."""
    text = (
        argument.replace("$(POD_NAME)", "emco-etcd-0").replace("/etc/etcd", str(folder)).replace("/data", str(folder))
    )
    for port, free in ports.items():
        text = text.replace(f"//0.0.0.0:{port}", f"//127.0.0.1:{free}")
    return text


async def test_it_serves_who_has_the_certificate(at: tuple[str, Path]) -> None:
    place, folder = at
    files = {
        f"{key}_file": str(folder / name) for key, name in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))
    }
    bus = await open_bus(f"etcds://{place}", **files)
    try:
        await bus.put("/chart", b"1")
        found = await bus.get("/chart")
        assert found is not None
        assert found.value == b"1"
    finally:
        await bus.close()


async def test_it_serves_nobody_else(at: tuple[str, Path]) -> None:
    place, folder = at
    with pytest.raises(EmcoError):
        await EtcdBus.connect([place], tls=Tls(ca=(folder / "ca.crt").read_bytes()), deadline=2)
