"""What is there already is told by its text: nothing is parsed for it, whatever it is written in."""

from __future__ import annotations

from dataclasses import replace

from emco_common.appcontext.model import App, AppContext, Cluster, Meta, Resource
from emco_common.appcontext.states import HookPhase
from emco_common.appcontext.status import ClusterStatus, ContextStatus, ResourceStatus
from emco_rsync.plan.deployment import Deployment
from emco_rsync.plan.plan import Item, Items, Plan, make_plan
from tests.unit.rsync.rig import config_map, resources

CLUSTERS = ("p+x", "p+y")


def plans(*revisions: tuple[Resource, ...], namespaces: tuple[str, ...] = ("default", "default")) -> list[Plan]:
    """Of contexts ``0``, ``1``, …: the same on each cluster."""
    items = Items()
    return [
        make_plan(
            AppContext(
                str(number),
                (App("web", tuple(Cluster(name, resources=found) for name in CLUSTERS)),),
                Meta(namespace=namespace),
                status_context="0",
            ),
            items=items,
        )
        for number, (found, namespace) in enumerate(zip(revisions, namespaces, strict=True))
    ]


def brought(first: Plan, second: Plan) -> Deployment:
    """``first`` was acknowledged everywhere, and is replaced by ``second``."""
    there = ResourceStatus("Applied", first.context)
    records = {(one.app, one.cluster, name): there for one in first.clusters for name in one.named}
    touched = {(one.app, one.cluster): ClusterStatus(reference="0", installed="0") for one in first.clusters}
    status = ContextStatus("0", clusters=touched, resources=records)
    return Deployment(second, status, {plan.context: plan for plan in (first, second)}, formers=("0",))


def read(*found: Plan) -> set[str]:
    items: list[Item] = [item for plan in found for cluster in plan.clusters for item in cluster.named.values()]
    return {item.resource for item in items if item.is_read}


def test_an_equal_revision_is_compared_by_its_texts_alone() -> None:
    same = (*resources(config_map("a"), config_map("b")), Resource("c+ConfigMap", "no object at all: ["))
    first, second = plans(same, tuple(replace(one) for one in same))
    deployment = brought(first, second)
    changes = [deployment.change(cluster, rollback=False) for cluster in second.clusters]
    assert not any(change.items for change in changes)
    assert {change.phase for change in changes} == {HookPhase.UPGRADE}  # nothing to bring, but to be told
    assert deployment.leftovers().plans == ()
    assert read(first, second) == set()


def test_what_has_changed_is_told_from_what_has_not() -> None:
    first, second = plans(
        resources(config_map("a", v="1"), config_map("b")), resources(config_map("a", v="2"), config_map("b"))
    )
    change = brought(first, second).change(second.clusters[0], rollback=False)
    assert [item.resource for item in change.items] == ["a+ConfigMap"]


def test_the_same_text_in_another_namespace_is_another_object() -> None:
    same = resources(config_map("a"))
    first, second = plans(same, same, namespaces=("default", "other"))
    deployment = brought(first, second)
    assert [item.resource for item in deployment.change(second.clusters[0], rollback=False).items] == ["a+ConfigMap"]
    assert [one.cluster for plan in deployment.leftovers().plans for one in plan.clusters] == list(CLUSTERS)


def test_an_object_that_comes_back_under_its_former_name_is_brought_again() -> None:
    """Another revision had it under another name, and was not seen off: what it was made then is on the cluster."""
    text = config_map("a")
    first, second, third = plans(
        (Resource("a+ConfigMap", text),),
        (Resource("renamed+ConfigMap", text),),
        (Resource("a+ConfigMap", text),),
        namespaces=("default",) * 3,
    )
    records = {
        ("web", cluster, name): ResourceStatus("Applied", context)
        for cluster in CLUSTERS
        for name, context in (("a+ConfigMap", "0"), ("renamed+ConfigMap", "1"))
    }
    revisions = {plan.context: plan for plan in (first, second, third)}
    deployment = Deployment(third, ContextStatus("0", resources=records), revisions)
    assert [item.resource for item in deployment.missing(third.clusters[0]).items] == ["a+ConfigMap"]


def test_plans_that_are_read_together_share_what_they_have_in_common() -> None:
    same = resources(config_map("a"))
    first, second = plans(same, same)
    assert first.clusters[0].regular[0] is second.clusters[1].regular[0]
    assert first.clusters[0].digest == second.clusters[1].digest


def test_plans_of_other_contents_have_other_digests() -> None:
    first, second = plans(resources(config_map("a", v="1")), resources(config_map("a", v="2")))
    assert first.clusters[0].digest != second.clusters[0].digest
