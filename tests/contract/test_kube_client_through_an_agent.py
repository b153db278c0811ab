"""What the Kubernetes client promises it keeps when an agent makes its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from emco_common.kube import KubeClient
from tests.contract.test_kube_client import (  # noqa: F401  # tests and a fixture, run here once more
    namespace,
    test_a_delete_of_another_incarnation_is_refused,
    test_a_delete_that_is_done_says_so_and_one_of_nothing_too,
    test_a_dry_run_changes_nothing,
    test_a_field_of_another_manager_is_a_conflict_until_forced,
    test_a_field_that_no_kind_has_is_the_manifests_fault,
    test_a_list_is_filtered_and_complete,
    test_a_merge_patch_changes_what_it_names,
    test_a_namespace_on_its_way_out_takes_nothing_in,
    test_a_new_kind_is_found_as_soon_as_it_is_served,
    test_a_signing_request_is_approved_once,
    test_a_stale_replace_is_a_conflict,
    test_a_watch_from_a_version_of_long_ago_is_gone,
    test_a_watch_tells_what_follows_the_list,
    test_an_invalid_object_tells_the_field,
    test_an_object_of_a_missing_namespace_names_it,
    test_an_object_with_finalizers_is_only_on_its_way_out,
    test_apply_creates_changes_and_prunes,
    test_create_says_when_the_name_is_taken,
    test_the_same_apply_twice_writes_once,
    test_the_server_tells_its_version,
)
from tests.support.agents import agent, hosts, register
from tests.support.simcluster import MakeSimCluster


@pytest_asyncio.fixture(
    params=[
        "simulated",
        "simulated, asked by another replica",
        pytest.param("real", marks=pytest.mark.xdist_group("cluster")),
    ]
)
async def client(
    request: pytest.FixtureRequest, make_sim_cluster: MakeSimCluster, tmp_path: Path
) -> AsyncIterator[KubeClient]:
    if request.param == "real":
        kubeconfig = request.getfixturevalue("control_plane").kubeconfig
    else:
        kubeconfig = (await make_sim_cluster("edge")).kubeconfig
    async with AsyncExitStack() as stack:
        holder, *others = await stack.enter_async_context(hosts(tmp_path, count=2, timeout=15.0))
        await register(holder.deps, "p+edge")
        await stack.enter_async_context(agent("p+edge", kubeconfig, tmp_path, port=holder.port))
        await holder.until_here("p+edge")
        asking = others[0] if "another" in request.param else holder
        if asking is not holder:
            await asking.until_elsewhere("p+edge")
        yield await stack.enter_async_context(asking.client("p+edge"))
