"""Contexts become keys and values and come back the same; nonsense becomes an error, never a crash."""

import contextlib
import json
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emco_common.appcontext import (
    App,
    AppContext,
    AppDependencyForm,
    Approval,
    Cluster,
    Dependency,
    MalformedContext,
    Meta,
    Resource,
    codec,
    keys,
)
from emco_common.contextbus.api import Entry, Put
from emco_common.errors import Unprocessable
from tests.unit.appcontext.builders import context, contexts, entries_of, resource, web_on

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
)
ORDER = "/context/71/app/instruction/order/"
CLUSTER = "/context/71/app/web/cluster/prov1+edge1/"


def stored(made: AppContext) -> dict[str, str]:
    return {put.key: put.value.decode() for put in codec.encode(made)}


def decoded(values: dict[str, str]) -> AppContext:
    return codec.decode(entries_of([Put(key, value.encode()) for key, value in values.items()]))


@settings(max_examples=25, deadline=None)
@given(contexts())
def test_what_was_encoded_is_decoded_the_same(made: AppContext) -> None:
    assert codec.decode(entries_of(codec.encode(made))) == made


@settings(max_examples=25, deadline=None)
@given(contexts(), st.randoms(use_true_random=False))
def test_a_part_is_the_same_as_in_the_whole_and_needs_no_other_keys(made: AppContext, chance: Random) -> None:
    part = {
        (app.name, cluster.name): {one.name for one in cluster.resources if chance.random() < 0.5}
        for app in made.apps
        for cluster in app.clusters
    }
    wanted = set(codec.keys_of_part(made.id, part))
    found = codec.decode([entry for entry in entries_of(codec.encode(made)) if entry.key in wanted], part=part)
    assert (found.id, found.meta, found.status_context, found.options) == (
        made.id,
        made.meta,
        made.status_context,
        made.options,
    )
    assert [(app.name, cluster.name, cluster.resources) for app in found.apps for cluster in app.clusters] == [
        (app.name, cluster.name, tuple(one for one in cluster.resources if one.name in part[app.name, cluster.name]))
        for app in made.apps
        for cluster in app.clusters
    ]


@settings(max_examples=25, deadline=None)
@given(contexts())
def test_each_key_is_written_once_the_root_last_and_all_below_it(made: AppContext) -> None:
    written = [put.key for put in codec.encode(made)]
    root = keys.root(made.id)
    assert written[-1] == root
    assert len(set(written)) == len(written)
    assert all(key.startswith(root) and key.endswith("/") for key in written)
    assert written[0] == keys.app_order(made.id)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nonsense_at_any_key_is_an_error_or_is_ignored(data: st.DataObject) -> None:
    made = data.draw(contexts())
    values = stored(made)
    key = data.draw(st.sampled_from(sorted(values)))
    values[key] = data.draw(
        st.sampled_from(["", "null", "true", "7", "[]", "{}", '"x"', '"[1]"', '"{\\"apporder\\":7}"', '"{', '"[{}]"'])
        | st.text(st.characters(exclude_categories=["Cs"]))
    )
    with contextlib.suppress(MalformedContext):
        decoded(values)


@example(["apporder"])
@example("nan")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_json_at_the_app_order_is_handled(value: object) -> None:
    values = stored(context(web_on()))
    values[ORDER] = json.dumps(json.dumps(value))
    with contextlib.suppress(MalformedContext):
        assert decoded(values).apps == ()


def test_a_complete_context_is_stored_as_the_specification_shows() -> None:
    cluster = Cluster(
        "prov1+edge1",
        group="1",
        resources=(Resource("web+Deployment", "# Source: web\nkind: Deployment"),),
        hooks={"pre-install": (Resource("init+Job", "kind: Job"),)},
    )
    assert stored(context(web_on(cluster), meta=Meta(project="p"))) == {
        "/context/71/": '"71"',
        "/context/71/app/instruction/dependency/": '"{\\"web\\":\\"go\\"}"',
        "/context/71/app/instruction/order/": '"{\\"apporder\\":[\\"web\\"]}"',
        "/context/71/app/web/": '"web"',
        CLUSTER: '"prov1+edge1"',
        f"{CLUSTER}!@#metaGrp/": '"1"',
        f"{CLUSTER}resource/init+Job/": '"kind: Job"',
        f"{CLUSTER}resource/instruction/dependency/": '"{\\"resdependency\\":{\\"pre-install\\":[\\"init+Job\\"]}}"',
        f"{CLUSTER}resource/instruction/order/": '"{\\"resorder\\":[\\"web+Deployment\\"]}"',
        f"{CLUSTER}resource/web+Deployment/": '"# Source: web\\nkind: Deployment"',
        "/context/71/meta/": '{"Project":"p","CompositeApp":"","Version":"","Release":"","DeploymentIntentGroup":"",'
        '"Namespace":"","Level":"","ChildContextIDs":null,"LogicalCloud":"","LogicalCloudNamespace":"",'
        '"LogicalCloudLevel":""}',
    }


def test_an_approval_is_stored_as_json_in_a_string_with_empty_fields_left_out() -> None:
    csr = Resource("u+CertificateSigningRequest", "", Approval(message="ok", type="Approved", status="True"))
    values = stored(context(web_on(Cluster("p+c", resources=(csr,)))))
    below = "/context/71/app/web/cluster/p+c/resource/u+CertificateSigningRequest/subresource/"
    assert values[f"{below}approval/"] == (
        '"{\\"message\\":\\"ok\\",\\"type\\":\\"Approved\\",\\"status\\":\\"True\\"}"'
    )
    assert values[f"{below}instruction/order/"] == '"{\\"subresorder\\":[\\"approval\\"]}"'


def test_text_is_escaped_as_go_escapes_it() -> None:
    values = stored(context(web_on(Cluster("p+c", resources=(resource(manifest="a<b>&\u2028\u2029é\t\x01"),)))))
    assert values["/context/71/app/web/cluster/p+c/resource/web+Deployment/"] == (
        '"a\\u003cb\\u003e\\u0026\\u2028\\u2029é\\t\\u0001"'
    )


@pytest.mark.parametrize("form", AppDependencyForm)
def test_the_form_of_the_app_dependency_is_kept(form: AppDependencyForm) -> None:
    made = AppContext("1", (App("logical-cloud"),), dependency_form=form)
    assert decoded(stored(made)).dependency_form is form


def test_clusters_come_in_the_order_of_their_keys() -> None:
    made = web_on(Cluster("p+c"), Cluster("p+c-1"), Cluster("a+z"))
    assert [cluster.name for cluster in made.clusters] == ["a+z", "p+c-1", "p+c"]


def test_clusters_without_a_group_are_left_out_of_the_group_map() -> None:
    made = web_on(Cluster("p+a", group="1"), Cluster("p+b", group="2"), Cluster("p+c", group="1"), Cluster("p+d"))
    groups = {group: [cluster.name for cluster in clusters] for group, clusters in made.groups().items()}
    assert groups == {"1": ["p+a", "p+c"], "2": ["p+b"]}


# Tolerance


@pytest.mark.parametrize("name", ["opStatus", "opstatus", "OPSTATUS"])
def test_the_start_condition_is_read_in_any_case(name: str) -> None:
    values = stored(context(web_on()))
    values["/context/71/app/web/instruction/dependency/"] = json.dumps(json.dumps([{"app": "db", name: "Ready"}]))
    assert decoded(values).apps[0].dependencies == (Dependency("db", "Ready", 0),)


def test_an_unknown_start_condition_is_ignored() -> None:
    values = stored(context(web_on()))
    values["/context/71/app/web/instruction/dependency/"] = json.dumps('[{"app":"db","opStatus":"Someday"}]')
    assert decoded(values).apps[0].dependencies == ()


def test_the_legacy_form_of_the_hook_lists_means_no_hooks() -> None:
    values = stored(context(web_on(Cluster("prov1+edge1", resources=(resource(),)))))
    values[f"{CLUSTER}resource/instruction/dependency/"] = json.dumps('{"resdependency":{"web+Deployment":"go"}}')
    cluster = decoded(values).apps[0].clusters[0]
    assert (cluster.hooks, cluster.crds) == ({}, ())


def test_apps_and_resources_that_no_order_names_are_left_out() -> None:
    values = stored(context(web_on(Cluster("prov1+edge1", resources=(resource(),)))))
    values["/context/71/app/stray/"] = '"stray"'
    values[f"{CLUSTER}resource/stray+Pod/"] = '"kind: Pod"'
    values[f"{CLUSTER}what/is/this/"] = "7"
    values["/context/71/unknown/"] = "{"
    assert decoded(values) == context(web_on(Cluster("prov1+edge1", resources=(resource(),))))


def test_null_children_are_no_children_and_missing_fields_are_empty() -> None:
    values = stored(context(web_on()))
    values["/context/71/meta/"] = '{"project":"p","ChildContextIDs":null,"Level":null}'
    assert decoded(values).meta == Meta(project="p")


def test_a_lone_surrogate_is_read_as_go_reads_it() -> None:
    values = stored(context(web_on(Cluster("prov1+edge1", resources=(resource(),)))))
    values[f"{CLUSTER}resource/web+Deployment/"] = '"a\\ud800b"'
    assert decoded(values).apps[0].clusters[0].resources[0].manifest == "a\ufffdb"


# Errors


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (ORDER, None),
        (ORDER, "{"),
        (ORDER, '{"apporder":["web"]}'),
        (ORDER, json.dumps('{"apporder":"web"}')),
        ("/context/71/", '"72"'),
        ("/context/71/", None),
        ("/context/71/meta/", '"text"'),
        ("/context/71/meta/", '{"Project":7}'),
        (f"{CLUSTER}!@#metaGrp/", "1"),
        (f"{CLUSTER}resource/web+Deployment/", None),
        (f"{CLUSTER}resource/web+Deployment/", '{"kind":"Deployment"}'),
        (f"{CLUSTER}resource/instruction/order/", json.dumps('["web+Deployment"]')),
        ("/context/71/app/web/instruction/dependency/", json.dumps('[{"app":"db","wait":"long"}]')),
    ],
)
def test_a_value_that_is_not_as_specified_is_a_malformed_context(key: str, value: str | None) -> None:
    values = stored(context(web_on(Cluster("prov1+edge1", group="1", resources=(resource(),))), meta=Meta()))
    values.pop(key, None)
    if value is not None:
        values[key] = value
    with pytest.raises(MalformedContext):
        decoded(values)


def test_keys_of_no_context_are_malformed() -> None:
    with pytest.raises(MalformedContext):
        codec.decode([])
    with pytest.raises(MalformedContext):
        codec.decode([Entry("/activecontext/7/", b'"7"', 1, 1)])


TWICE = (resource(), resource(manifest="another"))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (context(context_id="x/y"), "decimal"),
        (context(context_id=""), "decimal"),
        (context(App("a/b")), "a/b"),
        (context(App("instruction")), "instruction"),
        (context(App("")), "''"),
        (context(App("a"), App("a")), "twice"),
        (context(web_on(Cluster("p"))), "provider"),
        (context(web_on(Cluster("p+c+d"))), "provider"),
        (context(web_on(Cluster("p+c"), Cluster("p+c"))), "twice"),
        (context(web_on(Cluster("p+c", resources=TWICE))), "web\\+Deployment is there twice"),
        (context(web_on(Cluster("p+c", resources=TWICE[:1], crds=TWICE[:1]))), "twice"),
        (context(web_on(Cluster("p+c", hooks={"pre-install": TWICE[:1], "post-install": TWICE[1:]}))), "twice"),
        (context(web_on(Cluster("p+c", hooks={"crd-install": TWICE[:1]}))), "crd-install"),
        (context(web_on(Cluster("p+c", resources=(resource("instruction"),)))), "instruction"),
        (context(web_on(Cluster("p+c", resources=(resource(manifest="\ud800"),)))), "Unicode"),
        (context(App("web", dependencies=(Dependency("db", "Someday"),))), "Someday"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused_with_the_reason(made: AppContext, reason: str) -> None:
    with pytest.raises(Unprocessable, match=reason):
        codec.encode(made)


def test_a_resource_may_be_crd_and_hook_or_serve_several_events() -> None:
    crd = resource("w+CustomResourceDefinition")
    made = context(web_on(Cluster("p+c", crds=(crd,), hooks={"pre-install": (crd,), "post-install": (crd,)})))
    assert decoded(stored(made)) == made
