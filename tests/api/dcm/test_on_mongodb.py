"""A level-1 cloud on the store of production: names with dots, records found by their parts, all of its life."""

import pytest

from tests.api.dcm.conftest import LC, Dcm, eventually, permission
from tests.support.stores import ONE_SERVER

pytestmark = ONE_SERVER


@pytest.fixture
def database_url(mongodb_url: str) -> str:
    return mongodb_url


async def test_a_cloud_lives_and_ends_on_mongodb(dcm: Dcm) -> None:
    await dcm.custom("hq")
    await dcm.post(f"{LC}/user-permissions", permission("with.dots", "lc-ns", verbs=["get"]))
    await dcm.post(f"{LC}/cluster-quotas", {"metadata": {"name": "small"}, "spec": {"count/jobs.batch": "2"}})
    await dcm.post(f"{LC}/instantiate", expect=202)
    await dcm.sign("acme+hq")
    await dcm.granted("hq")
    await dcm.post(f"{LC}/update", expect=202)
    await dcm.restart()
    assert (await dcm.get(f"{LC}/status"))["readyStatus"] == "Ready"
    await dcm.post(f"{LC}/terminate", expect=202)

    async def forgotten() -> bool:
        return await dcm.access("hq") is None

    await eventually(forgotten)
    for child in ("cluster-references/hq-ref", "user-permissions/main", "user-permissions/with.dots"):
        await dcm.delete(f"{LC}/{child}")
    await dcm.delete(f"{LC}/cluster-quotas/small")
    await dcm.delete(LC)
