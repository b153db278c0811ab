"""The programs that the measurements start come up as they are started there, whatever the folder is."""

from __future__ import annotations

from pathlib import Path

import httpx

from bench.production import service


async def test_a_service_of_the_production_layout_comes_up(tmp_path: Path) -> None:
    environment = {
        "EMCO_DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "EMCO_BUS_URL": f"embedded:///{tmp_path}/bus.db",
        "EMCO_DATA_KEY": "bench",
    }
    async with service("clm", environment, tmp_path) as (address, _, process), httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address}/readyz")).status_code == 200
        assert process.returncode is None
