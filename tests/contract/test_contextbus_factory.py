"""Which bus a URL means."""

from pathlib import Path

import pytest

from emco_common.contextbus.api import BusUnavailable
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.contextbus.etcd import EtcdBus
from emco_common.contextbus.factory import open_bus
from emco_common.errors import BadRequest
from tests.support.etcd import Etcd


async def test_embedded_is_a_file(tmp_path: Path) -> None:
    bus = await open_bus(f"embedded://{tmp_path}/sub%20folder/bus.db")
    assert isinstance(bus, EmbeddedBus)
    await bus.close()
    assert (tmp_path / "sub folder" / "bus.db").exists()


async def test_embedded_in_memory_needs_no_file() -> None:
    bus = await open_bus("embedded:///:memory:")
    await bus.ping()
    await bus.close()


async def test_etcd_is_a_list_of_members(etcd: Etcd) -> None:
    bus = await open_bus("etcd://" + ",".join(etcd.endpoints))
    assert isinstance(bus, EtcdBus)
    await bus.ping()
    await bus.close()


@pytest.mark.parametrize(
    "url",
    ["", "embedded:", "embedded://", "embedded://host/file", "etcd:", "etcd://", "etcd://user@", "redis://a", "//["],
)
async def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        await open_bus(url)


@pytest.mark.parametrize("files", [{"ca_file": "/absent.crt"}, {"cert_file": "/absent.crt"}, {"key_file": "/absent"}])
async def test_files_that_cannot_be_used_are_refused(files: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="file"):
        await open_bus("etcds://127.0.0.1:1", **files)


async def test_a_file_in_a_folder_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BusUnavailable, match="cannot use"):
        await open_bus(f"embedded://{tmp_path}/file/bus.db")
