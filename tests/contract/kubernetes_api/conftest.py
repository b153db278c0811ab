"""Both servers, and a namespace for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simcluster import SimClusterThread
from tests.support.witness import Witness


@pytest.fixture(scope="module", params=["simulated", pytest.param("real", marks=pytest.mark.xdist_group("cluster"))])
def kubeconfig(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "real":
        yield request.getfixturevalue("control_plane").kubeconfig
        return
    with SimClusterThread("contract") as thread:
        yield thread.cluster.kubeconfig


@pytest.fixture(scope="module")
def witness(kubeconfig: str) -> Iterator[Witness]:
    user = Witness(kubeconfig)
    yield user
    user.close()


@pytest.fixture
def space(witness: Witness) -> Iterator[str]:
    """The path of a namespace of the test's own."""
    made = witness.send("POST", "/api/v1/namespaces", {"metadata": {"generateName": "contract-"}})
    assert made.status == 201, made
    yield f"namespaces/{made.name}"
    witness.send("DELETE", f"/api/v1/namespaces/{made.name}")


@pytest.fixture
def maps(space: str) -> str:
    """The path of the ConfigMaps of that namespace."""
    return f"/api/v1/{space}/configmaps"


@pytest.fixture
def deployments(space: str) -> str:
    return f"/apis/apps/v1/{space}/deployments"
