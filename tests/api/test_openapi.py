"""Each service's own description: sound OpenAPI in which nothing is "any", and answers that are as it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from openapi_spec_validator import validate
from pydantic import TypeAdapter

from emco_allinone.catalogue import CATALOGUE
from emco_common.status import CLUSTER_NETWORKS, DEPLOYMENT_INTENT_GROUP, LOGICAL_CLOUD
from emco_common.status.models import answers_of
from emco_common.web.description import operations
from tests.support.core import CLOUDS, CLUSTERS, GROUPS, Core, core, seeded

pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVICES = [entry.name for entry in CATALOGUE if entry.name != "rsync"]
OPEN = {
    "KubernetesObject": "what an object holds is its kind's",
    "KubernetesObject/properties/metadata": "as Kubernetes defines it",
}
TYPED = ("type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const")
Json = Any


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    async with core(tmp_path_factory.mktemp("core")) as started:
        await seeded(started)
        for action in (f"{GROUPS}/g/approve", f"{GROUPS}/g/instantiate"):
            await started.post(action, expect=202)
        await started.post(f"{CLUSTERS}/spare/apply", expect=204)
        yield started


@pytest.fixture
def document(request: pytest.FixtureRequest, served: Core) -> Json:
    return served.services[request.param].app.openapi()


each_service = pytest.mark.parametrize("document", SERVICES, indirect=True)


def untyped(schema: Json, pointer: str) -> Iterator[str]:
    """JSON pointers of all that this schema leaves open."""
    if not isinstance(schema, dict) or not any(word in schema for word in TYPED):
        yield pointer
        return
    if schema.get("type") == "array" or "items" in schema:
        yield from untyped(schema.get("items"), f"{pointer}/items")
    for word in ("anyOf", "oneOf", "allOf"):
        for number, inner in enumerate(schema.get(word, ())):
            yield from untyped(inner, f"{pointer}/{word}/{number}")
    for name, inner in schema.get("properties", {}).items():
        yield from untyped(inner, f"{pointer}/properties/{name}")
    yield from _open_object(schema, pointer)


def _open_object(schema: Json, pointer: str) -> Iterator[str]:
    if pointer.removeprefix("/components/schemas/") in OPEN:
        return
    more = schema.get("additionalProperties")
    if more not in (None, False):
        yield from untyped(more, f"{pointer}/additionalProperties")
    elif schema.get("type") == "object" and "properties" not in schema and more is None:
        yield pointer


def schemas_of(document: Json) -> Iterator[tuple[Json, str]]:
    """Every schema of the document with its pointer."""
    for name, schema in document["components"]["schemas"].items():
        yield schema, f"/components/schemas/{name}"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            at = f"/paths/{path.replace('/', '~1')}/{method}"
            for number, parameter in enumerate(operation.get("parameters", ())):
                yield parameter.get("schema"), f"{at}/parameters/{number}/schema"
            for media, form in operation.get("requestBody", {}).get("content", {}).items():
                yield form.get("schema"), f"{at}/requestBody/content/{media}/schema"
            for status, response in operation["responses"].items():
                for media, form in response.get("content", {}).items():
                    yield form.get("schema"), f"{at}/responses/{status}/content/{media}/schema"
                for header, described in response.get("headers", {}).items():
                    yield described.get("schema"), f"{at}/responses/{status}/headers/{header}/schema"


@each_service
async def test_the_description_is_sound(document: Json) -> None:
    validate(document)


@each_service
async def test_nothing_is_any(document: Json) -> None:
    found = [place for schema, pointer in schemas_of(document) for place in untyped(schema, pointer)]
    assert not found, "\n".join(["left open:", *found])


@each_service
async def test_every_refusal_is_plain_text_or_problem_details(document: Json) -> None:
    forms = {"text/plain", "application/problem+json"}
    for operation in operations(document):
        refusals = {s: r for s, r in operation["responses"].items() if s == "default" or s >= "4"}
        assert "default" in refusals
        for status, response in refusals.items():
            assert set(response["content"]) == forms or operation["summary"] == READY, (
                operation["operationId"],
                status,
            )


READY = "The service and what it needs answer"


@each_service
async def test_operations_are_named_once_each(document: Json) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))


async def test_the_walk_finds_what_is_open() -> None:
    """A test of the test: each of these would let anything through."""
    for schema, where in (
        ({}, ""),
        (True, ""),
        ({"description": "anything"}, ""),
        ({"type": "object"}, ""),
        ({"type": "object", "additionalProperties": True}, "/additionalProperties"),
        ({"type": "array"}, "/items"),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {}]}}}, "/properties/a/anyOf/1"),
    ):
        assert list(untyped(schema, "")) == [where]
    assert not list(untyped({"type": "object", "additionalProperties": {"type": "string"}}, ""))


class TestStatusAnswers:
    QUERIES = (
        *("", "type=rsync", "type=cluster", "status=deployed", "status=ready", "output=summary"),
        *("status=ready&output=detail", "status=deployed&output=detail", "apps", "clusters", "resources"),
        *("status=ready&resources", "cluster=acme%2Bhq"),
    )

    @pytest.mark.parametrize("query", QUERIES)
    @pytest.mark.parametrize("dialect", ["group", "cloud", "networks"])
    async def test_are_as_described(self, served: Core, dialect: str, query: str) -> None:
        path, known = {
            "group": (f"{GROUPS}/g", DEPLOYMENT_INTENT_GROUP),
            "cloud": (f"{CLOUDS}/lc", LOGICAL_CLOUD),
            "networks": (f"{CLUSTERS}/spare", CLUSTER_NETWORKS),
        }[dialect]
        answer = await served.call("GET", f"{path}/status?{query}", expect=200)
        TypeAdapter(answers_of(known)).validate_json(answer.text)
