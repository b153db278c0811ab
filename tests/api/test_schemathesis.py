"""Requests made up from each service's own OpenAPI, sound and unsound ones: whatever comes, no answer is a 5xx.

A few hundred a service, 20,000 with ``EMCO_TEST_SLOW=1``. They are sent without a socket to services that hold objects,
so that most paths lead somewhere; the objects are put back now and then, for requests delete what they can. Each
made-up request is sent by several callers at once, so that they also meet each other.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import requests
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from emco_allinone.catalogue import CATALOGUE
from tests.support.core import Core, core, seeded

REQUESTS = 20_000 if "EMCO_TEST_SLOW" in os.environ else 400
CALLERS = 8
PUT_BACK_EVERY = 12
SERVICES = [entry.name for entry in CATALOGUE if entry.name != "rsync"]
BASE = "http://core"
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
load_all_checks()


class Fuzzed:
    """The core services, driven from tests that are blocking as a whole."""

    def __init__(self, folder: Any) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.core: Core = self._runner.run(self._stack.enter_async_context(core(folder)))
        self.names: dict[str, list[str]] = {}
        self._sent = 0

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def send(self, asked: Sequence[httpx.Request]) -> Sequence[httpx.Response]:
        """All at once."""
        if self._sent % PUT_BACK_EVERY == 0:
            self.put_back()
        self._sent += 1
        return self._runner.run(self._send(asked))

    async def _send(self, asked: Sequence[httpx.Request]) -> Sequence[httpx.Response]:
        return await asyncio.gather(*map(self.core.client.send, asked))

    def put_back(self) -> None:
        self.names = self._runner.run(seeded(self.core))


def _request(case: schemathesis.Case) -> httpx.Request:
    made = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
    assert made.method is not None
    assert made.url is not None
    return httpx.Request(made.method, made.url, headers=dict(made.headers), content=made.body)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    made = Fuzzed(tmp_path_factory.mktemp("fuzzed"))
    yield made
    made.close()
    structlog.reset_defaults()


def operations_of(fuzzed: Fuzzed, service: str) -> list[Any]:
    schema = schemathesis.openapi.from_dict(fuzzed.core.services[service].app.openapi())
    # A stream does not end, so there is no whole answer to look at; test_statusnotify has them.
    operations = [one.ok() for one in schema.get_all_operations()]
    return [one for one in operations if one.path.startswith("/v2/") and not one.path.endswith("/status/stream")]


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_is_answered_with_a_server_error(fuzzed: Fuzzed, service: str) -> None:
    """What is answered is also what the service's OpenAPI says: its status, its media type, its shape."""
    operations = operations_of(fuzzed, service)
    found: dict[str, str] = {}
    for operation in operations:
        _send(fuzzed, operation, math.ceil(REQUESTS / CALLERS / len(operations)), found)
    assert not found, "\n\n".join(f"{what}\n{example}" for what, example in sorted(found.items()))


def _send(fuzzed: Fuzzed, operation: Any, examples: int, found: dict[str, str]) -> None:
    """Notes in ``found`` each kind of wrong answer, with the first request that got it."""
    sound = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    unsound = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.data())
    def sent(data: st.DataObject) -> None:
        case = data.draw(unsound if data.draw(st.integers(0, 3)) == 0 else sound)
        made_up = dict(case.path_parameters)
        asked = []
        for _ in range(CALLERS):
            case.path_parameters = _placed(made_up, data, fuzzed.names)
            asked.append(_request(case))
        for request, answer in zip(asked, fuzzed.send(asked), strict=True):
            for what in _wrong(case, answer):
                example = f"{request.method} {request.url} {request.content[:300]!r}"
                found.setdefault(f"{operation.label}: {what}", f"{example}: {answer.status_code} {answer.text[:300]}")

    sent()


def _placed(made_up: Mapping[str, Any], data: st.DataObject, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Path parameters of which most lead to what is there."""
    return {
        name: data.draw(st.sampled_from(names[name])) if name in names and data.draw(st.integers(0, 9)) else given
        for name, given in made_up.items()
    }


def _wrong(case: schemathesis.Case, answer: httpx.Response) -> Iterator[str]:
    if answer.status_code >= 500:
        yield str(answer.status_code)
    several_documents = "yaml" in answer.headers.get("content-type", "")  # which the check of the shape cannot read
    try:
        case.validate_response(answer, checks=CHECKS[:2] if several_documents else CHECKS)
    except FailureGroup as failures:
        for failure in failures.exceptions:
            yield f"{failure.title} {answer.status_code}"
