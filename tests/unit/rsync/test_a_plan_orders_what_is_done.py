from __future__ import annotations

from collections.abc import Mapping

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_rsync.plan.plan import ClusterPlan, make_plan
from tests.unit.rsync.rig import config_map, deployment, job, resources


def cluster_plan(
    *texts: str, crds: tuple[str, ...] = (), hooks: Mapping[str, tuple[str, ...]] | None = None
) -> ClusterPlan:
    listed = {event: resources(*found) for event, found in (hooks or {}).items()}
    cluster = Cluster("p+c", resources=resources(*texts), crds=resources(*crds), hooks=listed)
    plan = make_plan(AppContext("7", (App("web", (cluster,)),), Meta(namespace="shop", level="1")))
    return plan.clusters[0]


def waves(plan: ClusterPlan, *, removal: bool = False) -> list[list[str]]:
    return [[item.resource for item in wave] for wave in (plan.removal_waves if removal else plan.waves)]


CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ws.example.org}"


def test_a_wave_is_a_run_of_one_kind_in_the_given_order() -> None:
    plan = cluster_plan(config_map("b"), config_map("a"), deployment("d"), config_map("late"))
    assert waves(plan) == [["b+ConfigMap", "a+ConfigMap"], ["d+Deployment"], ["late+ConfigMap"]]


def test_removal_goes_backwards_and_keeps_definitions() -> None:
    plan = cluster_plan(CRD, config_map("a"), deployment("d"))
    assert waves(plan, removal=True) == [["d+Deployment"], ["a+ConfigMap"]]


def test_a_resource_that_is_no_object_has_a_problem_and_the_others_do_not() -> None:
    bad = resources(config_map("x"))[0]
    cluster = Cluster("p+c", resources=(type(bad)("x+ConfigMap", "a: ["), *resources(config_map("a"))))
    plan = make_plan(AppContext("7", (App("web", (cluster,)),))).clusters[0]
    assert [bool(item.problem) for item in plan.regular] == [True, False]


def test_objects_go_into_the_namespace_of_the_context_unless_they_name_one() -> None:
    own = config_map("b").replace("name: b", "name: b\n  namespace: own")
    plan = cluster_plan(config_map("a"), own)
    assert [item.pieces[0].ref.namespace for item in plan.regular] == ["shop", "own"]


def test_a_context_without_meta_uses_the_default_namespace_as_administrator() -> None:
    plan = make_plan(AppContext("7", ()))
    assert (plan.level, plan.namespace, plan.status_context) == ("0", "default", "7")


def test_an_updated_context_keeps_the_label_of_its_status_context() -> None:
    cluster = Cluster("p+c", resources=resources(config_map("a")))
    plan = make_plan(AppContext("9", (App("web", (cluster,)),), status_context="7"))
    assert plan.status_context == "7"
    assert plan.clusters[0].label == "7-web"


def test_manifests_that_clusters_share_are_read_once() -> None:
    clusters = tuple(Cluster(f"p+c{n}", resources=resources(config_map("a"))) for n in range(3))
    plan = make_plan(AppContext("7", (App("web", clusters),)))
    assert len({id(cluster.regular[0]) for cluster in plan.clusters}) == 1


def test_a_hook_of_several_events_is_one_resource() -> None:
    hooks = {"pre-install": (job("h"),), "pre-delete": (job("h"),), "pre-upgrade": (job("u"),)}
    plan = cluster_plan(config_map("a"), hooks=hooks)
    assert [item.resource for item in plan.hooks] == ["h+Job", "u+Job"]
    assert [item.resource for item in plan.installed] == ["h+Job", "a+ConfigMap"]


def test_nothing_to_do_is_empty_and_hooks_alone_are_something() -> None:
    assert cluster_plan().empty
    assert not cluster_plan(hooks={"post-install": (job("h"),)}).empty
    assert not cluster_plan(crds=(CRD,)).empty
