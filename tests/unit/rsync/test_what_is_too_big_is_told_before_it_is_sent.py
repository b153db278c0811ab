"""An object over the limits of every API server (robustness 14): named with its size, and others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.kube import encode
from emco_rsync.plan.limits import MAX_DATA, MAX_OBJECT, excess
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import config_map, context, running

pytestmark = pytest.mark.robustness(14)


def told(**obj: object) -> str:
    return excess(obj, encoded=encode(obj))


def test_what_fits_is_not_spoken_of() -> None:
    assert told(apiVersion="v1", kind="ConfigMap", data={"a": "x" * MAX_DATA}) == ""
    assert told(apiVersion="v1", kind="Secret", data={"a": "eHh4" * (MAX_DATA // 3)}) == ""
    assert told(apiVersion="example.org/v1", kind="Widget", spec="x" * (MAX_DATA + 1)) == ""


def test_what_does_not_fit_is_told_with_its_size() -> None:
    assert f"{MAX_DATA + 1} bytes" in told(apiVersion="v1", kind="ConfigMap", data={"a": "x" * (MAX_DATA + 1)})
    assert "of a Secret" in told(apiVersion="v1", kind="Secret", data={"a": "eHh4" * (MAX_DATA // 3 + 1)})
    assert str(MAX_OBJECT) in told(apiVersion="example.org/v1", kind="Widget", spec="x" * MAX_OBJECT)


async def test_it_is_failed_with_its_size_and_never_sent_and_others_are_there(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"a": {"edge": [config_map("big", a="x" * 1_100_000), config_map("small")]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "1100000 bytes, more than the 1048576" in await rig.error("71", "a", "p+edge", "big+ConfigMap")
        assert rig.labelled("edge") == ["ConfigMap/small"]
        assert sim_cluster.counts["apply", "configmaps"] == 1
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
