"""A running suite shows Prometheus what the specification and our page say (spec deployment 7.2): series of what is
there, with these labels, gone with it; and dashboard and alerts ask for nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio
from grpc import aio

from emco_common.rpc import readynotify_pb2, readynotify_pb2_grpc
from emco_ingress.app import create_service as create_ingress
from emco_ingress.settings import IngressSettings
from emco_simcluster import SimCluster
from tests.support.observed import described, expressions, labels_of, series_of, unknown_in
from tests.support.promtool import promtool
from tests.support.shop import GROUPS, Shop
from tests.support.simcluster import QUICK
from tests.support.suite import running_suite

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = {"project": "p", "composite_app": "shop", "composite_app_version": "v1"}
OF_GROUP = {**SHOP, "deployment_intent_group": "g"}
OF_CLUSTER = {"clusterprovider": "acme", "cluster": "edge"}
TABLE: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "emco_controller": ("orchestrator", {"name": "rsync"}),
    "emco_project": ("orchestrator", {"name": "p"}),
    "emco_composite_app": ("orchestrator", {"project": "p", "name": "shop", "version": "v1"}),
    "emco_app": ("orchestrator", {**SHOP, "name": "web"}),
    "emco_dependency": ("orchestrator", {**SHOP, "app": "web", "name": "first"}),
    "emco_deployment_intent_group": ("orchestrator", {**SHOP, "name": "g"}),
    "emco_generic_placement_intent": ("orchestrator", {**OF_GROUP, "name": "place"}),
    "emco_generic_app_placement_intent": (
        "orchestrator",
        {**OF_GROUP, "generic_placement_intent": "place", "name": "web"},
    ),
    "emco_composite_profile": ("orchestrator", {**SHOP, "name": "prod"}),
    "emco_app_profile": ("orchestrator", {**SHOP, "composite_profile": "prod", "name": "web-prod"}),
    "emco_cluster_provider": ("clm", {"name": "acme"}),
    "emco_cluster": ("clm", {"name": "edge", "cluster_provider": "acme"}),
    "emco_logical_cloud": (
        "dcm",
        {"project": "p", "name": "lc", "deployed_status": "Instantiated", "ready_status": "Ready"},
    ),
    "emco_cluster_network": ("ncm", {**OF_CLUSTER, "name": "net", "cnitype": "ovn4nfv"}),
    "emco_cluster_provider_network": (
        "ncm",
        {
            **OF_CLUSTER,
            "name": "outside",
            "cnitype": "ovn4nfv",
            "nettype": "VLAN",
            "vlanid": "100",
            "providerinterfacename": "eth1",
            "logicalinterfacename": "eth1.100",
            "vlannodeselector": "specific",
        },
    ),
}
"""Spec deployment 7.2, row by row, of the services that there are: who serves it, and the series of our one object."""

UNSEEN = {
    "emco_rsync_agents_connected": "no cluster of this test has an agent",
    "emco_rsync_cluster_certificate_end_timestamp_seconds": "simulated clusters know their users by tokens",
}
"""Metrics of which nothing is to be seen here."""

CLUSTER = "/v2/cluster-providers/acme/clusters/edge"
APPS = "/v2/projects/p/composite-apps/shop/v1"
SUBNET = {"name": "s", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1/24"}
VLAN = {
    "vlanID": "100",
    "providerInterfaceName": "eth1",
    "logicalInterfaceName": "eth1.100",
    "vlanNodeSelector": "specific",
    "nodeLabelList": ["kubernetes.io/os=linux"],
}
LEAVES = (
    f"{GROUPS}/g/intents/i",
    *(f"{GROUPS}/g/generic-placement-intents/place/app-intents/{app}" for app in ("web", "config")),
    f"{GROUPS}/g/generic-placement-intents/place",
    f"{GROUPS}/g",
    *(f"{APPS}/composite-profiles/prod/profiles/{app}-prod" for app in ("web", "config")),
    f"{APPS}/composite-profiles/prod",
    f"{APPS}/apps/web/dependency/first",
    *(f"{APPS}/apps/{app}" for app in ("web", "config")),
    APPS,
    "/v2/projects/p/logical-clouds/lc/cluster-references/edge",
    "/v2/projects/p/logical-clouds/lc",
    "/v2/projects/p",
    f"{CLUSTER}/networks/net",
    f"{CLUSTER}/provider-networks/outside",
    f"{CLUSTER}/labels/edge",
    CLUSTER,
    "/v2/cluster-providers/acme",
    "/v2/controllers/rsync",
)


class Life:
    """The metrics of every service, by service: while there is one object of each kind, and after all are deleted."""

    def __init__(self, there: Mapping[str, str], gone: Mapping[str, str]) -> None:
        self.there = there
        self.gone = gone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def life(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Life]:
    async with (
        SimCluster("edge", **QUICK) as cluster,
        running_suite(tmp_path_factory.mktemp("metrics") / "data") as running,
    ):
        client = running.client
        rsync_port = running.suite.services["rsync"].grpc_port
        shop = Shop(client, rsync_port=rsync_port)
        ports = {name: service.http_port for name, service in running.suite.services.items()}
        await shop.onboard({"edge": cluster.kubeconfig})
        await shop.post(
            f"{APPS}/apps/web/dependency",
            {"metadata": {"name": "first"}, "spec": {"app": "config", "opStatus": "ready"}},
        )
        for kind, name, spec in (
            ("networks", "net", {"cniType": "ovn4nfv", "ipv4Subnets": [SUBNET]}),
            (
                "provider-networks",
                "outside",
                {"cniType": "ovn4nfv", "ipv4Subnets": [SUBNET], "providerNetType": "VLAN", "vlan": VLAN},
            ),
        ):
            await shop.post(f"{CLUSTER}/{kind}", {"metadata": {"name": name}, "spec": spec})
        group = await shop.group()
        await shop.post(f"{group}/instantiate", expect=202)
        await shop.ready(group)
        async with aio.insecure_channel(f"127.0.0.1:{rsync_port}") as channel:
            topic = readynotify_pb2.Topic(clientName="test", appContext="1")
            stream = readynotify_pb2_grpc.readyNotifyStub(channel).Alert(topic)
            await stream.initial_metadata()
            there = await _scraped(client, ports)
            stream.cancel()
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)
        cloud = "/v2/projects/p/logical-clouds/lc"
        await shop.post(f"{cloud}/terminate", expect=202)
        await shop.until(f"{cloud}/status", lambda status: status.get("deployedStatus") == "Terminated")
        for path in LEAVES:
            answer = await client.delete(path)
            assert answer.status_code == 204, f"{path}: {answer.status_code} {answer.text}"
        yield Life(there, await _scraped(client, ports))


async def _scraped(client: httpx.AsyncClient, ports: Mapping[str, int]) -> dict[str, str]:
    found = {}
    for name, port in ports.items():
        await client.get(f"http://127.0.0.1:{port}/healthz")
        found[name] = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    ingress = httpx.ASGITransport(create_ingress(IngressSettings.load("ingress", {})).app)
    async with httpx.AsyncClient(transport=ingress, base_url="http://ingress") as own:
        await own.get("/healthz")
        found["ingress"] = (await own.get("/metrics")).text
    return found


@pytest.mark.parametrize("name", TABLE)
async def test_what_is_there_has_its_series_and_what_is_deleted_has_none(life: Life, name: str) -> None:
    service, labels = TABLE[name]
    assert dict(labels) in [dict(found) for found in series_of(life.there[service], name)]
    assert series_of(life.gone[service], name) == []


@pytest.mark.parametrize("service", ["clm", "dcm", "ingress", "ncm", "orchestrator", "rsync"])
async def test_a_build_names_its_own_component(life: Life, service: str) -> None:
    (build,) = series_of(life.there[service], "emco_build")
    assert set(build) == {"component", "revision", "version"}
    assert build["component"] == service


async def test_a_logical_cloud_has_one_series(life: Life) -> None:
    assert len(series_of(life.there["dcm"], "emco_logical_cloud")) == 1


async def test_a_cluster_in_which_nothing_is_left_has_no_series(life: Life) -> None:
    assert 'cluster="acme+edge"' in life.there["rsync"]
    assert 'cluster="acme+edge"' not in life.gone["rsync"]


async def test_the_page_tells_every_metric_and_no_other(life: Life) -> None:
    served: dict[str, set[str]] = {}
    for service, text in life.there.items():
        for name in labels_of(text):
            if name.startswith("emco_"):
                served.setdefault(name, set()).add(service)
    page = described()
    assert sorted(page) == sorted(served)
    for name, line in page.items():
        by = set(life.there) if line.services == "every service" else set(line.services.split(", "))
        assert by == served[name], name


async def test_series_have_the_labels_that_the_page_tells(life: Life) -> None:
    page, seen = described(), set[str]()
    for text in life.there.values():
        for name, labels in labels_of(text).items():
            if name in page and labels is not None:
                assert labels == page[name].labels, name
                seen.add(name)
    assert seen | UNSEEN.keys() == page.keys()


async def test_dashboard_and_alerts_ask_for_what_is_served(life: Life) -> None:
    served: dict[str, frozenset[str]] = {"up": frozenset()}
    for text in life.there.values():
        for name, labels in labels_of(text).items():
            served[name] = served.get(name, frozenset()) | (labels or frozenset())
    served |= {name: described()[name].labels for name in UNSEEN}
    for expression in expressions():
        assert unknown_in(expression.text, served) == [], expression


async def test_a_label_that_is_compared_has_values_that_there_are(life: Life) -> None:
    """What an alert looks for among states and outcomes is one of those that are told."""
    told = "\n".join(life.there.values())
    for text in ('result="Error"', 'what="not_healed"', 'check="store"', 'check="bus"', 'status="2xx"'):
        assert text in told, text


@pytest.mark.parametrize("service", ["clm", "dcm", "ingress", "ncm", "orchestrator", "rsync"])
async def test_prometheus_finds_no_fault_with_what_is_served(life: Life, service: str) -> None:
    """A metric that ends in ``_info`` or lacks its unit is told here. The names of the original are its own."""
    answer = promtool("check", "metrics", given=life.there[service])
    told = [line for line in answer.stderr.splitlines() if line.strip()]
    assert told == [], told
    assert answer.returncode == 0
