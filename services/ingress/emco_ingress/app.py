"""Wiring of the ingress."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from emco_common import __version__
from emco_common.access.settings import Access
from emco_common.runtime import Service
from emco_common.tracing.spans import Tracing
from emco_common.web.app import create_app
from emco_common.web.gauges import build_gauge
from emco_ingress.proxy import Proxy
from emco_ingress.settings import IngressSettings

NAME = "ingress"


def create_service(settings: IngressSettings, *, tracing: Tracing | None = None) -> Service:
    """The ingress; it has neither store nor bus."""
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=settings.meta_emco_sha)
    access = Access.of(settings)
    proxy = Proxy(settings.upstreams, connect_timeout=settings.connect_timeout, answer_timeout=settings.answer_timeout)

    async def close() -> None:
        await proxy.close()
        if access is not None:
            await access.close()

    app = create_app(
        NAME,
        [],
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        tracing=tracing,
        ready={"issuers": access.authenticator.ready} if access else {},
        metrics=metrics,
        behind=proxy.services,
        layers=[proxy.in_front_of, *([access.guarded] if access else [])],
    )
    return Service(NAME, app, settings.host, settings.http_port, closing=close)
