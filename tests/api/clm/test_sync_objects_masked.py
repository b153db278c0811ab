"""Where it is asked for, tokens are not answered by the way, and what was read can be written again (clm, beyond)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emco_common.syncobjects import SyncObjects
from tests.api.clm.conftest import Clm, serving_clm

PROVIDER = "/v2/cluster-providers/acme"
OBJECTS = f"{PROVIDER}/cluster-sync-objects"
KV = [
    {"gitType": "github", "gitToken": "canary-1"},
    {"branch": "main"},
    {"clientSecret": "canary-2", "something": "canary-3"},
]
MASKED = [
    {"gitType": "github", "gitToken": "***"},
    {"branch": "main"},
    {"clientSecret": "***", "something": "***"},
]


def sync_object(kv: Any, description: str = "") -> dict[str, Any]:
    return {"metadata": {"name": "git", "description": description}, "spec": {"kv": kv}}


@pytest.fixture
async def masking(tmp_path: Path) -> AsyncIterator[Clm]:
    async with serving_clm(tmp_path, mask_sync_objects=True) as started:
        await started.client.post("/v2/cluster-providers", json={"metadata": {"name": "acme"}})
        yield started


async def values(clm: Clm) -> dict[str, str]:
    """As rsync finds them."""
    return dict(await SyncObjects(clm.deps.store, clm.deps.sealer).values("acme", "git"))


async def test_no_answer_holds_a_secret_unless_it_is_asked_for_by_its_key(masking: Clm) -> None:
    answers = [
        await masking.client.post(OBJECTS, json=sync_object(KV)),
        await masking.client.get(f"{OBJECTS}/git"),
        await masking.client.put(f"{OBJECTS}/git", json=sync_object(KV)),
    ]
    for answer in answers:
        assert answer.json()["spec"]["kv"] == MASKED
    listed = await masking.client.get(OBJECTS)
    assert [one["spec"]["kv"] for one in listed.json()] == [MASKED]

    assert (await masking.client.get(f"{OBJECTS}/git?key=gitToken")).json() == {"value": "canary-1"}
    assert (await masking.client.get(f"{OBJECTS}/git?key=nothing")).status_code == 404


async def test_what_was_read_can_be_changed_and_written_again(masking: Clm) -> None:
    await masking.client.post(OBJECTS, json=sync_object(KV))
    read = (await masking.client.get(f"{OBJECTS}/git")).json()
    read["spec"]["kv"][1]["branch"] = "edge"
    read["spec"]["kv"][2]["something"] = "new"

    assert (await masking.client.put(f"{OBJECTS}/git", json=read)).status_code == 201

    assert await values(masking) == {
        "gitType": "github",
        "gitToken": "canary-1",
        "branch": "edge",
        "clientSecret": "canary-2",
        "something": "new",
    }


async def test_a_mask_that_stands_for_nothing_is_refused_and_nothing_is_stored(masking: Clm) -> None:
    created = await masking.client.post(OBJECTS, json=sync_object([{"gitToken": "***"}]))
    assert (created.status_code, "gitToken is ***" in created.text) == (400, True)
    assert (await masking.client.get(OBJECTS)).json() == []

    await masking.client.post(OBJECTS, json=sync_object(KV))
    changed = await masking.client.put(f"{OBJECTS}/git", json=sync_object([{"password": "***"}]))
    assert changed.status_code == 400
    assert (await values(masking))["gitToken"] == "canary-1"


async def test_without_the_setting_values_are_answered_as_the_original_does(clm: Clm) -> None:
    await clm.client.post("/v2/cluster-providers", json={"metadata": {"name": "acme"}})
    await clm.client.post(OBJECTS, json=sync_object(KV))

    assert (await clm.client.get(f"{OBJECTS}/git")).json()["spec"]["kv"] == KV
