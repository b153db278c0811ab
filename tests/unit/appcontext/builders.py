"""Contexts for tests, by hand and by hypothesis."""

from collections.abc import Iterable

from hypothesis import strategies as st

from emco_common.appcontext import (
    App,
    AppContext,
    AppDependencyForm,
    Approval,
    Cluster,
    DeliveryOptions,
    Dependency,
    Meta,
    OperationStatus,
    Resource,
)
from emco_common.contextbus.api import Entry, Put


def entries_of(puts: Iterable[Put]) -> list[Entry]:
    """What a bus would answer after these writes."""
    stored = {put.key: put.value for put in puts}
    return [Entry(key, stored[key], 1, 1) for key in sorted(stored, key=str.encode)]


def resource(name: str = "web+Deployment", manifest: str = "kind: Deployment") -> Resource:
    return Resource(name, manifest)


def context(*apps: App, context_id: str = "71", meta: Meta | None = None) -> AppContext:
    return AppContext(id=context_id, apps=apps, meta=meta)


def web_on(*clusters: Cluster) -> App:
    return App("web", clusters)


_unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,6}[a-z0-9])?", fullmatch=True).filter(lambda name: name != "instruction")
_events = st.sampled_from(["pre-install", "post-install", "pre-delete", "post-delete", "pre-upgrade"])
_approvals = st.builds(Approval, _unicode, _unicode, _unicode, _unicode, _unicode)


@st.composite
def clusters(draw: st.DrawFn, name: str) -> Cluster:
    resource_names = draw(st.lists(st.tuples(_names, st.sampled_from(["ConfigMap", "Job"])), unique=True, max_size=6))
    made = [Resource(f"{stem}+{kind}", draw(_unicode), draw(st.none() | _approvals)) for stem, kind in resource_names]
    first, second = sorted(draw(st.tuples(*[st.integers(0, len(made))] * 2)))
    hooks: dict[str, tuple[Resource, ...]] = {}
    for hook in made[second:]:
        for event in draw(st.lists(_events, min_size=1, max_size=2, unique=True)):
            hooks[event] = (*hooks.get(event, ()), hook)
    group = draw(st.sampled_from(["", "1", "2"]))
    return Cluster(name, group, tuple(made[:first]), tuple(made[first:second]), hooks)


@st.composite
def apps(draw: st.DrawFn, name: str) -> App:
    names = draw(st.lists(st.tuples(_names, _names), unique=True, max_size=3))
    dependencies = st.builds(Dependency, _names, st.sampled_from(list(OperationStatus)), st.integers(0, 100))
    return App(
        name,
        tuple(draw(clusters(f"{provider}+{cluster}")) for provider, cluster in names),
        tuple(draw(st.lists(dependencies, max_size=2))),
    )


@st.composite
def contexts(draw: st.DrawFn) -> AppContext:
    names = draw(st.lists(_names, unique=True, max_size=3))
    metas = st.builds(Meta, *[_unicode] * 7, st.lists(st.integers(0).map(str), max_size=2).map(tuple), *[_unicode] * 3)
    return AppContext(
        id=str(draw(st.integers(0, 2**63 - 2))),
        apps=tuple(draw(apps(name)) for name in names),
        meta=draw(st.none() | metas),
        status_context=draw(st.just("") | st.integers(0, 2**63 - 2).map(str)),
        dependency_form=draw(st.sampled_from(AppDependencyForm)),
        options=draw(
            st.builds(DeliveryOptions, st.booleans(), st.booleans(), st.none() | st.floats(1, 1e6, allow_nan=False))
        ),
    )
