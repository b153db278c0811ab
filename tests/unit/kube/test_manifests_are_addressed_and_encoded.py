from __future__ import annotations

from typing import Any

import pytest

from emco_common.kube import Kind, Ref, errors, kind_of, ref_of
from tests.unit.kube.servers import scripted_cluster


def test_a_manifest_names_its_kind_and_place() -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert ref_of(manifest, namespace="shop") == Ref(Kind("apps/v1", "Deployment"), "web", "shop")
    placed = {**manifest, "metadata": {"name": "web", "namespace": "own"}}
    assert ref_of(placed, namespace="shop").namespace == "own"
    assert str(ref_of(placed)) == "Deployment own/web"
    assert (kind_of(manifest).group, kind_of(manifest).version) == ("apps", "v1")
    assert Kind("v1", "Pod").group == ""


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"apiVersion": 1, "kind": "X"},
        {"apiVersion": "v1", "kind": "X"},
        {"apiVersion": "v1", "kind": "X", "metadata": {"name": 1}},
    ],
)
def test_a_manifest_that_does_not_say_is_invalid(manifest: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid):
        ref_of(manifest)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
async def test_what_is_no_json_is_invalid(value: object) -> None:
    async with scripted_cluster() as (_, client):
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": value}
        with pytest.raises(errors.Invalid):
            await client.apply(manifest, manager="emco")
