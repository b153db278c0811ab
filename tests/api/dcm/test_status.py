"""Spec dcm 9: the status of a logical cloud over HTTP, every parameter and every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.dcm.conftest import LC, Dcm


async def test_before_the_first_instantiation_there_is_a_head_and_a_history(dcm: Dcm) -> None:
    await dcm.cloud("hq")

    status = await dcm.get(f"{LC}/status")

    assert list(status) == ["project", "name", "states"]
    assert (await dcm.get(f"{LC}/status?clusters"))["clustersByApp"] == []
    assert (await dcm.get(f"{LC}/status?resources"))["resourcesByApp"] == []


async def test_readiness_is_asked_for_unless_told_otherwise(dcm: Dcm) -> None:
    await dcm.instantiated("hq")

    assert list(await dcm.get(f"{LC}/status")) == ["project", "name", "states", "deployedStatus", "readyStatus"]
    assert list(await dcm.get(f"{LC}/status?status=deployed")) == ["project", "name", "states", "deployedStatus"]


async def test_the_clusters_are_listed_before_the_resources(dcm: Dcm) -> None:
    await dcm.instantiated("hq", "east")

    named = [{"clusterProvider": "acme", "cluster": name} for name in ("east", "hq")]
    clusters = {"project": "shop", "name": "lc", "clustersByApp": [{"app": "logical-cloud", "clusters": named}]}
    assert await dcm.get(f"{LC}/status?clusters") == clusters
    assert await dcm.get(f"{LC}/status?resources&clusters=x&cluster=acme%2Bhq") == clusters
    assert (await dcm.get(f"{LC}/status?resources&cluster=acme%2Bhq"))["resourcesByApp"] == [
        {"app": "logical-cloud", **named[1], "resources": []}
    ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("instance=", "Invalid query instance"),
        ("instance=7", "No state information for 7"),
        ("status=", "Invalid query status"),
        ("status=rsync", "Invalid query status"),
        ("output=", "Invalid query output"),
        ("cluster=acme+hq", "Invalid cluster query"),
        ("cluster=", "Invalid cluster query"),
        ("resource=", "Invalid resources query"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_the_known_words(dcm: Dcm, query: str, text: str) -> None:
    """And without a second document behind it (defect 17)."""
    await dcm.instantiated("hq")

    answer = await dcm.client.get(f"{LC}/status?{query}")

    assert (answer.status_code, answer.text) == (400, f"{text}\n")


@pytest.mark.parametrize("query", ["type=nonsense", "app=", "apps", "verbose="])
async def test_parameters_of_other_services_are_not_read(dcm: Dcm, query: str) -> None:
    await dcm.instantiated("hq")

    assert await dcm.get(f"{LC}/status?{query}") == await dcm.get(f"{LC}/status")


@pytest.mark.parametrize("path", ["status", "status/stream"])
async def test_a_cloud_that_is_not_there_is_not_found(dcm: Dcm, path: str) -> None:
    assert (await dcm.get(f"{LC}/{path}", expect=404)).strip() == "Logical Cloud not found"


async def test_after_an_update_every_revision_has_the_status_of_the_first(dcm: Dcm) -> None:
    """Defect 11: also after the end of an updated cloud."""
    first = await dcm.instantiated("hq")
    await dcm.post(f"{LC}/update", expect=202)
    second = (await dcm.info()).instance
    await dcm.post(f"{LC}/terminate", expect=202)

    status: dict[str, Any] = await dcm.get(f"{LC}/status")

    assert first != second
    assert status["states"]["statusctxid"] == first
    assert status["deployedStatus"] == "Terminated"
    assert (await dcm.get(f"{LC}/status?instance={first}"))["deployedStatus"] in ("Instantiated", "Updated")
