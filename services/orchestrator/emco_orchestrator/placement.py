"""Built-in generic placement: which clusters an app goes to (spec orchestrator-lifecycle 6). Pure functions.

A rule is resolved into groups. A mandatory group holds one cluster that must be used; of an optional group exactly one
survives. A cluster that is mandatory anywhere is never optional, and an optional group that holds a mandatory cluster
is satisfied by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emco_common.errors import BadRequest, Unprocessable

Choice = Mapping[str, str]
Resolve = Callable[[str, str], Sequence[str]]
"""(provider, label) → names of the provider's clusters that carry it."""

LACKING = "The specified Logical Cloud doesn't provide the mandatory clusters"
NO_CLUSTERS = "No compatible clusters have been provided to the Deployment Intent Group"


@dataclass(frozen=True, slots=True)
class Group:
    """``number`` as it is written into the context; clusters are ``<provider>+<cluster>``."""

    number: str
    clusters: tuple[str, ...]
    mandatory: bool


def labels_of(rule: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Every (provider, label) that the rule names."""
    entries = [choice for entry in rule.get("allOf", []) for choice in entry.get("anyOf", [entry])]
    return frozenset(
        (choice["clusterProvider"], choice["clusterLabel"])
        for choice in (*entries, *rule.get("anyOf", []))
        if choice.get("clusterLabel")
    )


def place(app: str, rule: Mapping[str, Any], *, resolve: Resolve, allowed: frozenset[str]) -> tuple[Group, ...]:
    """The groups of one app; ``allowed`` are the clusters of the logical cloud.

    Raises ``Unprocessable`` if the rule names no cluster or a label matches none, ``BadRequest`` if the logical cloud
    lacks a mandatory cluster or every cluster of an optional group.
    """
    mandatory: dict[str, str] = {}
    optional: list[tuple[str, tuple[str, ...]]] = []
    number = 0
    for entry in rule.get("allOf", []):
        if entry.get("anyOf"):
            number += 1
            optional.append((str(number), _union(app, entry["anyOf"], resolve)))
            continue
        for cluster in _clusters(app, entry, resolve):
            number += 1
            mandatory.setdefault(cluster, str(number))
    if rule.get("anyOf"):
        optional.append((str(number + 1), _union(app, rule["anyOf"], resolve)))
    if not mandatory and not optional:
        raise Unprocessable(NO_CLUSTERS)
    if not allowed.issuperset(mandatory):
        raise BadRequest(LACKING)
    groups = [Group(number, (cluster,), True) for cluster, number in mandatory.items()]
    return (*groups, *_open_groups(app, optional, mandatory, allowed))


def survivors(groups: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Of every group the first cluster in byte order: what is left when all placement controllers have spoken."""
    return frozenset(min(clusters, key=str.encode) for clusters in groups.values() if clusters)


def _open_groups(
    app: str, optional: Sequence[tuple[str, tuple[str, ...]]], mandatory: Mapping[str, str], allowed: frozenset[str]
) -> Sequence[Group]:
    holders: dict[str, dict[str, None]] = {}
    for number, clusters in optional:
        if any(cluster in mandatory for cluster in clusters):
            continue
        usable = tuple(cluster for cluster in clusters if cluster in allowed)
        if not usable:
            raise BadRequest(f"{LACKING}: app {app} needs one of {', '.join(clusters)}")
        share = _share(usable, holders)
        if share:
            holders[number] = dict.fromkeys(share)
    return [Group(number, tuple(clusters), False) for number, clusters in holders.items()]


def _share(usable: Sequence[str], holders: Mapping[str, dict[str, None]]) -> Sequence[str]:
    """What is left for a group by those before it; none if it is satisfied by what one of them is sure to keep.

    Where all is taken, one that can spare a cluster gives it up: in two groups it would be kept for one of them only.
    """
    free = [cluster for cluster in usable if not any(cluster in held for held in holders.values())]
    if free or any(list(held) == [cluster] for held in holders.values() for cluster in usable):
        return free
    giver = next(held for held in holders.values() if usable[0] in held)
    del giver[usable[0]]
    return usable[:1]


def _union(app: str, choices: Sequence[Choice], resolve: Resolve) -> tuple[str, ...]:
    """Of an optional group; a choice that matches nothing is no harm as long as another one does (defect 8)."""
    found = tuple(dict.fromkeys(cluster for choice in choices for cluster in _resolved(choice, resolve)))
    if not found:
        raise _unmatched(app, choices)
    return found


def _clusters(app: str, choice: Choice, resolve: Resolve) -> Sequence[str]:
    found = _resolved(choice, resolve)
    if not found:
        raise _unmatched(app, [choice])
    return found


def _resolved(choice: Choice, resolve: Resolve) -> Sequence[str]:
    provider = choice["clusterProvider"]
    names = [choice["cluster"]] if choice.get("cluster") else resolve(provider, choice["clusterLabel"])
    return [f"{provider}+{name}" for name in names]


def _unmatched(app: str, choices: Sequence[Choice]) -> Unprocessable:
    labels = " and ".join(f"label {choice['clusterLabel']}" for choice in choices)
    matches = "matches" if len(choices) == 1 else "match"
    providers = " or ".join(dict.fromkeys(choice["clusterProvider"] for choice in choices))
    why = f"app {app}: {labels} {matches} no cluster of provider {providers}"
    return Unprocessable(f"{NO_CLUSTERS}: {why}; label a cluster or change the intent")
