from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from emco_common.kube import Kind, Ref, errors
from tests.unit.kube.servers import scripted_cluster

CONFIG_MAP = Kind("v1", "ConfigMap")
WIDGET = Kind("example.org/v1", "Widget")
WIDGETS = {"kind": "APIResourceList", "resources": [{"name": "widgets", "kind": "Widget", "namespaced": False}]}
AGGREGATED = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "apps"},
            "versions": [
                {
                    "version": "v1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "deployments",
                            "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                            "scope": "Namespaced",
                        }
                    ],
                },
                {"version": "v2", "freshness": "Stale", "resources": []},
            ],
        }
    ],
}


async def test_an_older_server_is_asked_for_the_group_in_question_alone() -> None:
    async with scripted_cluster() as (script, client):
        resource = await client.resource(CONFIG_MAP)
        assert resource.path(namespace="n", name="x") == "/api/v1/namespaces/n/configmaps/x"
        await client.resource(Kind("v1", "Namespace"))
        assert script.seen.count("GET /api/v1") == 1


async def test_the_aggregated_document_answers_for_everything_in_it() -> None:
    async with scripted_cluster() as (script, client):
        script.json("/apis", AGGREGATED)
        resource = await client.resource(Kind("apps/v1", "Deployment"))
        assert resource.path(namespace="n", name="x") == "/apis/apps/v1/namespaces/n/deployments/x"
        assert "GET /apis/apps/v1" not in script.seen


async def test_concurrent_questions_share_one_answer() -> None:
    async with scripted_cluster() as (script, client):
        await asyncio.gather(*(client.resource(CONFIG_MAP) for _ in range(50)))
        assert script.seen.count("GET /api") == 1
        assert script.seen.count("GET /api/v1") == 1


async def test_a_kind_that_appears_later_is_found() -> None:
    async with scripted_cluster() as (script, client):
        with pytest.raises(errors.UnknownKind, match="Widget"):
            await client.resource(WIDGET)
        script.json("/apis/example.org/v1", WIDGETS)
        assert (await client.resource(WIDGET)).path(namespace="ignored", name="w") == "/apis/example.org/v1/widgets/w"


async def test_a_kind_that_went_away_is_asked_for_again() -> None:
    async with scripted_cluster() as (script, client):
        script.json("/apis/example.org/v1", WIDGETS)
        await client.resource(WIDGET)
        with pytest.raises(errors.UnknownKind):
            await client.get(Ref(WIDGET, "w"))
        del script.answers["/apis/example.org/v1"]
        with pytest.raises(errors.UnknownKind, match="is its CRD installed"):
            await client.get(Ref(WIDGET, "w"))


async def test_a_failing_cluster_is_not_taken_for_one_without_the_kind() -> None:
    async with scripted_cluster() as (script, client):

        async def broken(_: web.Request) -> web.StreamResponse:
            return web.Response(status=503, text="later")

        script.answers["/api/v1"] = broken
        with pytest.raises(errors.ServerError):
            await client.resource(CONFIG_MAP)


@pytest.mark.parametrize("api_version", ["../v1", "a/b/c", "", "a b/v1", ".."])
async def test_an_api_version_that_is_none_never_becomes_a_path(api_version: str) -> None:
    async with scripted_cluster() as (script, client):
        with pytest.raises(errors.UnknownKind):
            await client.resource(Kind(api_version, "X"))
        assert set(script.seen) == {"GET /api", "GET /apis"}


@pytest.mark.parametrize(("name", "expected"), [("a/b", "a%2Fb"), ("system:x", "system%3Ax"), ("a?b#c", "a%3Fb%23c")])
async def test_names_are_escaped_in_paths(name: str, expected: str) -> None:
    async with scripted_cluster() as (_, client):
        resource = await client.resource(CONFIG_MAP)
        assert resource.path(namespace="n", name=name).endswith("/" + expected)
        with pytest.raises(errors.Invalid):
            resource.path(namespace="..", name="x")
