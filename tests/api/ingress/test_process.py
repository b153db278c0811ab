"""``emco serve ingress`` as it is run: settings from the environment, probes, an end when asked."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.process import Command
from tests.support.program import free_ports


async def test_it_is_up_needs_neither_store_nor_bus_and_ends_when_asked(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = Command("serve", "ingress", log=tmp_path / "log", environment={"EMCO_INGRESS_HTTP_PORT": str(port)})
    await command.start()
    try:
        await command.says(f"ingress is up: 127.0.0.1:{port}")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/v2/nothing")).status_code == 404
    finally:
        assert await command.end() == 0


async def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    environment = {"EMCO_INGRESS_OIDC_ISSUER": "http://issuer.example"}
    code, said = await Command("serve", "ingress", log=tmp_path / "log", environment=environment).run()
    assert code == 1
    assert "oidc_issuer: http://issuer.example must be an https URL" in said
