"""Where projects have users of their own, nobody is to make himself one who has all rights on the clusters."""

from __future__ import annotations

from typing import Any

from tests.api.dcm.conftest import CLOUDS, LC, Dcm

REFUSED = "spec.level 0: Logical Clouds of level 0 use clusters with all rights, and cannot be made here"


def cloud(level: str, *, description: str = "") -> dict[str, Any]:
    spec = {"level": level, "namespace": "shop-ns", "user": {"userName": "bob"}}
    return {"metadata": {"name": "lc", "description": description}, "spec": spec}


async def forbid_level_0(dcm: Dcm) -> None:
    dcm.settings = dcm.settings.model_copy(update={"level0": "forbidden"})
    await dcm.restart()


async def test_a_cloud_of_level_0_is_refused_and_not_stored(dcm: Dcm) -> None:
    await forbid_level_0(dcm)

    assert (await dcm.refused(CLOUDS, 403, cloud("0"))).startswith(REFUSED)

    assert await dcm.get(CLOUDS) == []


async def test_the_setting_is_named_to_who_asks_for_details(dcm: Dcm) -> None:
    await forbid_level_0(dcm)

    told = await dcm.client.post(CLOUDS, json=cloud("0"), headers={"Accept": "application/problem+json"})

    assert told.json()["status"] == 403
    assert "EMCO_DCM_LEVEL0" in told.json()["detail"]


async def test_a_cloud_of_level_1_does_not_become_one_of_level_0(dcm: Dcm) -> None:
    await forbid_level_0(dcm)
    await dcm.post(CLOUDS, cloud("1"))

    put = await dcm.client.put(LC, json=cloud("0"))

    assert (put.status_code, put.text.startswith(REFUSED)) == (403, True)
    assert (await dcm.get(LC))["spec"]["level"] == "1"


async def test_what_is_there_already_goes_on(dcm: Dcm) -> None:
    await dcm.post(CLOUDS, cloud("0"))
    await forbid_level_0(dcm)

    changed = await dcm.client.put(LC, json=cloud("0", description="kept"))

    assert (changed.status_code, (await dcm.get(LC))["metadata"]["description"]) == (201, "kept")


async def test_level_0_is_allowed_unless_it_is_forbidden(dcm: Dcm) -> None:
    await dcm.post(CLOUDS, cloud("0"))

    assert (await dcm.get(LC))["spec"]["level"] == "0"
