"""Prometheus gets its answer, whatever stands still: what could not be read is left out."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from emco_common.errors import Unavailable
from emco_common.web import scraping
from emco_common.web.app import create_app
from emco_common.web.scraping import Scrape, Scraped


async def _nothing() -> Mapping[str, str]:
    return {}


async def _scraped(registry: CollectorRegistry, *before: Scraped, method: str = "GET") -> str:
    async def away() -> None:
        raise Unavailable("away")

    async def there() -> None:
        return None

    app = create_app(
        "notes",
        [],
        version="1",
        max_body=100,
        max_upload=100,
        ready={"store": away, "bus": there},
        metrics=registry,
        before_scrape=before,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes") as client:
        await client.request(method, "/nothing/there")
        return (await client.get("/metrics")).text


async def test_what_is_ready_is_told() -> None:
    text = await _scraped(CollectorRegistry())
    assert 'emco_ready{check="store"} 0.0' in text
    assert 'emco_ready{check="bus"} 1.0' in text
    assert "process_resident_memory_bytes" in text


async def test_it_is_compressed_for_who_takes_it_so() -> None:
    scrape = Scrape(CollectorRegistry(), _nothing, ())
    plain, packed = await scrape.answer("identity"), await scrape.answer("deflate, gzip;q=1.0")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


async def test_what_takes_too_long_to_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "READ_SECONDS", 0.01)
    registry, read = CollectorRegistry(), Gauge("read", "Read", registry=None)
    registry.register(read)

    async def slow() -> None:
        await asyncio.Event().wait()

    async def quick() -> None:
        read.set(7)

    assert "read 7.0" in await _scraped(registry, slow, quick)


@pytest.mark.parametrize("method", ["GET", "BREW"])
async def test_no_caller_can_make_series_without_end(method: str) -> None:
    text = await _scraped(CollectorRegistry(), method=method)
    told = "GET" if method == "GET" else "other"
    assert (
        f'emco_http_request_seconds_count{{method="{told}",route="unknown",service="notes",status="4xx"}} 1.0' in text
    )
    assert 'emco_http_responses_total{service="notes",status="404"}' in text
    assert "BREW" not in text
