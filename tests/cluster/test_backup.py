"""Backed up, wiped and restored around a real control plane: the suite goes on, and the server counts no write."""

from __future__ import annotations

import asyncio
import shutil
import signal
import uuid
from pathlib import Path

import httpx
import pytest

from tests.cluster.test_plan import still, versions, writes
from tests.support.controlplane import ControlPlane
from tests.support.process import Command, EmcoProcess
from tests.support.shop import Shop
from tests.support.witness import Witness

pytestmark = pytest.mark.xdist_group("cluster")


async def emco_runs(tmp_path: Path, *arguments: str) -> None:
    code, said = await Command(*arguments, log=tmp_path / f"{arguments[0]}.log").run()
    assert code == 0, said


async def test_restored_to_an_empty_folder_the_suite_goes_on_and_the_server_counts_no_write(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    data, file, stem = tmp_path / "data", str(tmp_path / "backup"), f"b{uuid.uuid4().hex[:8]}"
    witness = Witness(control_plane.kubeconfig)
    emco = EmcoProcess(data)
    await emco.start()
    try:
        async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
            shop = Shop(client, rsync_port=emco.rsync)
            await shop.onboard({control_plane.name: control_plane.kubeconfig})
            group = await shop.group(stem)
            await shop.post(f"{group}/instantiate", expect=202)
            await shop.ready(group)
            await emco_runs(tmp_path, "backup", file, "--data", str(data))
            await emco.kill()
            key = (data / "data.key").read_text()
            await asyncio.to_thread(shutil.rmtree, data)
            data.mkdir()
            (data / "data.key").write_text(key)
            before = await still(witness, stem), await asyncio.to_thread(writes, witness)
            assert len(before[0]) == 6
            await emco_runs(tmp_path, "restore", file, "--data", str(data))
            await emco.start()
            await shop.ready(group)
            assert (await still(witness, stem), await asyncio.to_thread(writes, witness)) == before
            await shop.post(f"{group}/terminate", expect=202)
            await shop.gone(group)
            assert await asyncio.to_thread(versions, witness, stem) == {}
    finally:
        await emco.stop(signal.SIGKILL)
        witness.close()
