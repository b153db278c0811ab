"""What is put together for the clusters: one context, in which no two apps bring the same object to one place."""

from typing import Any

import pytest

from emco_common.errors import Unprocessable
from emco_common.helm.api import Manifest, RenderedApp
from emco_common.operations import Subject
from emco_common.store.api import Document
from emco_orchestrator.assembly import assemble
from emco_orchestrator.inputs import AppInput, Cloud, Inputs
from emco_orchestrator.placement import Group

KEY = {"project": "p", "compositeApp": "shop", "compositeAppVersion": "v1", "deploymentIntentGroup": "g"}
WEB = Manifest("web+Deployment", "kind: Deployment", api_group="apps")


def inputs(*apps: str) -> Inputs:
    body: dict[str, Any] = {"metadata": {"name": "g"}, "spec": {"version": "r1", "logicalCloud": "lc"}}
    return Inputs(
        group=Subject(Document(key=KEY, body=body)),
        cloud=Cloud("lc", "shop", "0", frozenset({"acme+hq", "acme+edge"})),
        apps=tuple(AppInput(app, app, "c", "p", (), {}, ()) for app in apps),
        labels={},
        controllers=(),
    )


def rendered(*manifests: Manifest) -> RenderedApp:
    return RenderedApp(regular=manifests, crds=(), hooks={})


def at(*clusters: str) -> tuple[Group, ...]:
    return tuple(Group(str(number), (name,), True) for number, name in enumerate(clusters, 1))


def test_every_cluster_of_an_app_gets_all_its_objects_in_order() -> None:
    service = Manifest("web+Service", "kind: Service")
    context = assemble("42", inputs("web"), {"web": at("acme+hq", "acme+edge")}, [rendered(service, WEB)])
    (app,) = context.apps
    assert [(c.name, c.group) for c in app.clusters] == [("acme+edge", "2"), ("acme+hq", "1")]
    assert all([r.name for r in c.resources] == ["web+Service", "web+Deployment"] for c in app.clusters)
    assert context.meta is not None
    assert (context.meta.namespace, context.meta.level, context.meta.release) == ("shop", "0", "r1")


def test_two_apps_that_bring_the_same_object_to_one_cluster_are_refused_by_name() -> None:
    groups = {"web": at("acme+hq"), "shop": at("acme+hq")}
    with pytest.raises(Unprocessable, match=r"apps web and shop both bring Deployment web to cluster acme\+hq"):
        assemble("42", inputs("web", "shop"), groups, [rendered(WEB), rendered(WEB)])


def test_the_same_object_on_different_clusters_or_in_different_namespaces_is_no_conflict() -> None:
    elsewhere = Manifest("web+Deployment", "kind: Deployment", api_group="apps", namespace="other")
    assemble("42", inputs("web", "shop"), {"web": at("acme+hq"), "shop": at("acme+edge")}, [rendered(WEB)] * 2)
    assemble(
        "42", inputs("web", "shop"), {"web": at("acme+hq"), "shop": at("acme+hq")}, [rendered(WEB), rendered(elsewhere)]
    )


def test_a_namespace_that_is_named_and_one_that_is_meant_are_the_same_place() -> None:
    named = Manifest("web+Deployment", "kind: Deployment", api_group="apps", namespace="shop")
    with pytest.raises(Unprocessable, match="both bring Deployment web"):
        assemble(
            "42", inputs("web", "shop"), {"web": at("acme+hq"), "shop": at("acme+hq")}, [rendered(WEB), rendered(named)]
        )


def test_a_hook_is_an_object_like_others_and_a_definition_may_come_with_several_apps() -> None:
    job = Manifest("migrate+Job", "kind: Job", api_group="batch")
    crd = Manifest("seats.shop.example+CustomResourceDefinition", "kind: CustomResourceDefinition")
    hook = RenderedApp(regular=(), crds=(crd,), hooks={"pre-install": (job,), "pre-upgrade": (job,)})
    everywhere = {"web": at("acme+hq"), "shop": at("acme+hq")}
    context = assemble("42", inputs("web"), everywhere, [hook])
    (cluster,) = context.apps[0].clusters
    assert {event: [hook.name for hook in hooks] for event, hooks in cluster.hooks.items()} == {
        "pre-install": ["migrate+Job"],
        "pre-upgrade": ["migrate+Job"],
    }
    assemble("42", inputs("web", "shop"), everywhere, [RenderedApp((), (crd,), {}), RenderedApp((), (crd,), {})])
    with pytest.raises(Unprocessable, match=r"apps web and shop both bring Job migrate to cluster acme\+hq"):
        assemble("42", inputs("web", "shop"), everywhere, [hook, hook])
