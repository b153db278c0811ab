"""What a service answers on its port while it waits for what it cannot be without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from emco_common.errors import Unavailable
from emco_common.web.app import ReadyCheck, create_app
from emco_common.web.failures import answer_error

RETRY_AFTER = 5.0
"""Seconds; about what passes between two looks for what is missing."""
_OWN = ("/healthz", "/readyz", "/metrics")


def anteroom(
    service: str,
    needs: Iterable[str],
    missing: Callable[[], Mapping[str, str]],
    *,
    version: str,
    max_body: int,
    max_upload: int,
) -> FastAPI:
    """The application of a service that lives and is not ready: every request is a 503 that says what of its ``needs``
    is ``missing``."""

    def check(need: str) -> ReadyCheck:
        async def ask() -> None:
            reason = missing().get(need)
            if reason is not None:
                raise Unavailable(reason)

        return ask

    return create_app(
        service,
        [],
        version=version,
        max_body=max_body,
        max_upload=max_upload,
        ready={need: check(need) for need in needs} | {"service": _starting},
        layers=[lambda app: _Closed(app, service, missing)],
    )


async def _starting() -> None:
    raise Unavailable("not started yet")


class _Closed:
    """Lets nothing through but what tells of the process itself."""

    def __init__(self, app: ASGIApp, service: str, missing: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._service = service
        self._missing = missing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OWN:
            return await self._app(scope, receive, send)
        reasons = " and ".join(f"the {name} ({reason})" for name, reason in self._missing().items())
        why = f"it waits for {reasons}" if reasons else "it is just starting"
        error = Unavailable(f"{self._service} is not ready: {why}", retry_after=RETRY_AFTER)
        return await answer_error(scope, error)(scope, receive, send)
