"""Whatever was installed, updated, rolled back and cut off before: an update that comes to its end leaves exactly what
its revision says. A law over ``Deployment``, with clusters and records as plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emco_common.appcontext.model import App, AppContext, Cluster, Meta, Resource
from emco_common.appcontext.states import QueueEvent, QueueState, ResourceState
from emco_common.appcontext.status import ClusterStatus, ContextStatus, QueueElement, ResourceStatus
from emco_rsync.events.queue import is_settled, replaced_by
from emco_rsync.plan.deployment import Deployment, address, referred, sources
from emco_rsync.plan.plan import ClusterPlan, Item, Plan, make_plan

APPS, CLUSTERS, NAMES = ("a", "b"), ("p+x", "p+y"), ("r1", "r2", "r3")
Contents = Mapping[tuple[str, str, str], tuple[str, str]]
"""(app, cluster, name) → (namespace, value)."""

contents = st.dictionaries(
    st.tuples(st.sampled_from(APPS), st.sampled_from(CLUSTERS), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["", "own"]), st.sampled_from(["1", "2"])),
    max_size=6,
)
steps = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 6)), max_size=6)
"""Which revision comes next, and after how many objects it is cut off."""


def config_map(name: str, namespace: str, value: str) -> str:
    own = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{own}}}\ndata: {{v: '{value}'}}"


def revision(identity: str, found: Contents) -> Plan:
    # One object has one owner: of two apps that name it on a cluster the first keeps it.
    taken: set[tuple[str, str, str]] = set()
    apps = []
    for app in APPS:
        clusters = []
        for cluster in CLUSTERS:
            listed = []
            for name in NAMES:
                namespace, value = found.get((app, cluster, name), ("", ""))
                if value and (cluster, namespace, name) not in taken:
                    taken.add((cluster, namespace, name))
                    listed.append(Resource(f"{name}+ConfigMap", config_map(name, namespace, value)))
            clusters.append(Cluster(cluster, resources=tuple(listed)))
        apps.append(App(app, tuple(clusters)))
    return make_plan(AppContext(identity, tuple(apps), Meta(namespace="default"), status_context="0"))


@dataclass
class World:
    """What is on the clusters, and what is on the bus."""

    revisions: Sequence[Plan]
    there: dict[tuple[str, object], str] = field(default_factory=dict)
    records: dict[tuple[str, str, str], ResourceStatus] = field(default_factory=dict)
    touched: dict[tuple[str, str], ClusterStatus] = field(default_factory=dict)
    queues: dict[str, list[QueueElement]] = field(default_factory=dict)

    def deployment(self, plan: Plan) -> Deployment:
        status = ContextStatus("0", clusters=dict(self.touched), resources=dict(self.records))
        formers = self.unfinished(plan.context)
        by_id = {one.context: one for one in self.revisions}
        few = Deployment(plan, status, {one: by_id[one] for one in {plan.context, *formers, *sources(status)}}, formers)
        known = {plan.context, *formers, *referred(status)}
        return few if few.stays() else Deployment(plan, status, {one: by_id[one] for one in known}, formers)

    def unfinished(self, own: str) -> tuple[str, ...]:
        found: list[str] = []
        waiting = list(replaced_by(self.queues.get(own, ())))
        if len(waiting) == 1 and is_settled(self.queues.get(waiting[0], [])):
            return ()
        while waiting:
            one = waiting.pop()
            if one != own and one not in found:
                found.append(one)
                waiting += replaced_by(self.queues.get(one, ()))
        return tuple(found)

    def update(self, old: Plan, new: Plan, *, cut: int | None) -> None:
        queue = self.queues.setdefault(new.context, [])
        queue.append(QueueElement(QueueEvent.UPDATE, QueueState.ERROR, old.context))
        deployment = self.deployment(new)
        left = cut if cut is not None else 1_000
        for cluster in new.clusters:
            if cluster.empty:
                continue
            change = deployment.change(cluster, rollback=False)
            place = (cluster.app, cluster.cluster)
            self.touched[place] = ClusterStatus(reference=new.context)
            for item in change.items:
                if self.records.get((*place, item.resource)) is not None:
                    self.record(cluster, item, ResourceState.PENDING, new.context)
            for item in change.items:
                if not left:
                    return
                left -= 1
                for piece in item.pieces:
                    self.there[cluster.cluster, address(piece.ref)] = item.text
                if not left and cut is not None and cut % 2:
                    return  # it was sent, and that it was taken was not heard
                self.record(cluster, item, ResourceState.APPLIED, new.context)
            self.touched[place] = ClusterStatus(reference=new.context, installed=new.context)
        leftovers = deployment.leftovers()
        assert leftovers.problems == ()
        for plan in leftovers.plans:
            for cluster in plan.clusters:
                for item in (*cluster.regular, *cluster.hooks):
                    for piece in item.pieces:
                        self.there.pop((cluster.cluster, address(piece.ref)), None)
                    kept = self.records.get((cluster.app, cluster.cluster, item.resource))
                    named = new.find(cluster.app, cluster.cluster)
                    if named is None or item.resource not in named.named:
                        self.record(cluster, item, ResourceState.DELETED, kept.reference if kept else plan.context)
        queue[-1] = QueueElement(QueueEvent.UPDATE, QueueState.DONE, old.context)

    def record(self, cluster: ClusterPlan, item: Item, state: ResourceState, reference: str | None) -> None:
        self.records[cluster.app, cluster.cluster, item.resource] = ResourceStatus(state, reference)


def wanted(plan: Plan) -> dict[tuple[str, object], str]:
    return {
        (cluster.cluster, address(piece.ref)): item.text
        for cluster in plan.clusters
        for item in cluster.regular
        for piece in item.pieces
    }


A, B, X = "a", "b", "p+x"
MOVED_BETWEEN_NAMESPACES: list[Contents] = [
    {(A, X, "r1"): ("", "1"), (A, X, "r3"): ("", "1"), (B, X, "r2"): ("own", "1")},
    {},
    {},
    {(A, X, "r1"): ("", "2"), (B, X, "r2"): ("", "1")},
]
MOVED_BETWEEN_APPS: list[Contents] = [
    {(A, X, "r1"): ("", "1"), (A, X, "r2"): ("", "1"), (A, X, "r3"): ("", "1")},
    {},
    {},
    {(A, X, "r1"): ("", "2"), (B, X, "r2"): ("", "2")},
]


@example(MOVED_BETWEEN_NAMESPACES, [(3, None), (0, 2)], 1)
@example(MOVED_BETWEEN_APPS, [(3, None), (0, 2)], 3)
@settings(max_examples=100, deadline=None)
@given(st.lists(contents, min_size=4, max_size=4), steps, st.integers(0, 3))
def test_any_sequence_of_revisions_ends_in_the_last(
    found: list[Contents], path: list[tuple[int, int | None]], last: int
) -> None:
    world = World([revision(str(number), each) for number, each in enumerate(found)])
    present = world.revisions[0]
    for number, cut in [*path, (last, None)]:
        target = world.revisions[number]
        world.update(present, target, cut=cut)
        present = target
        if cut is None:
            assert world.there == wanted(target)
