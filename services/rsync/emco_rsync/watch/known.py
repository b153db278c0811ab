"""What is known of one cluster's objects, by deployment label, whatever order the news of them arrives in: no I/O.

A list and the stream after it tell everything, in order. What the cluster answers to an apply may be ahead of them, or
may have been overtaken by them; it only counts until they have caught up, so that nothing wrong can stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from emco_common.kube import Kind
from emco_rsync.plan.manifests import Json, deployment_of
from emco_rsync.watch.statusdata import trim

MAX_OBJECTS = 100_000
"""Of one cluster that are held; a hostile one may invent any number."""
ObjectKey = tuple[Kind, str, str]
"""Kind, namespace (empty for cluster-scoped objects), name."""
Answers = Mapping[ObjectKey, Json]


class Known:
    """``changed`` is told the labels whose objects have changed."""

    def __init__(self, changed: Callable[[Iterable[str]], None]) -> None:
        self._changed = changed
        self._objects: dict[str, dict[ObjectKey, Json]] = {}
        self._labels: dict[ObjectKey, str] = {}
        self._answers: dict[ObjectKey, Json] = {}

    def objects(self, label: str) -> Mapping[ObjectKey, Json]:
        return self._objects.get(label, {})

    def answered(self, kind: Kind, obj: Json) -> None:
        """The cluster answered this to an apply. Nothing older is believed of the object from now on."""
        key = _key_of(kind, obj)
        label = self._labels.get(key)
        if label is not None and not _is_later(obj, self._objects[label][key]):
            return  # the answer was overtaken, or cannot be told from one that was
        self._answers[key] = {"metadata": _metadata(obj)}
        if label is not None:  # else it may be gone again; if it is not, we are about to be told
            self._put(key, obj)

    def answers(self) -> Answers:
        """To be taken before a list is asked for, which is then as new as all of these."""
        return dict(self._answers)

    def listed(self, kind: Kind, items: Iterable[Json], *, before: Answers) -> None:
        """All objects of a kind; ``before`` are the ``answers`` that had come when it was asked for."""
        for key in [key for key, answer in self._answers.items() if key[0] == kind and before.get(key) is answer]:
            del self._answers[key]
        present = {_key_of(kind, item): item for item in items}
        for key in [key for key in self._labels if key[0] == kind and key not in present]:
            self._drop(key)
        for key, item in present.items():
            if key not in self._answers or not _is_later(self._answers[key], item):
                self._put(key, item)

    def happened(self, kind: Kind, obj: Json, *, deleted: bool) -> None:
        """An event of the stream that follows a list."""
        key = _key_of(kind, obj)
        answer = self._answers.get(key)
        if answer is not None and _is_later(answer, obj):
            return
        self._answers.pop(key, None)
        if deleted:
            self._drop(key)
        else:
            self._put(key, obj)

    def _put(self, key: ObjectKey, obj: Json) -> None:
        label = deployment_of(obj)
        former = self._labels.get(key)
        if former is not None and former != label:
            self._drop(key)
        if not label or (key not in self._labels and len(self._labels) >= MAX_OBJECTS):
            return
        kept = trim({**obj, "apiVersion": key[0].api_version, "kind": key[0].kind})
        held = self._objects.setdefault(label, {})
        if held.get(key) != kept:
            self._labels[key] = label
            held[key] = kept
            self._changed([label])

    def _drop(self, key: ObjectKey) -> None:
        label = self._labels.pop(key, None)
        if label is None:
            return
        held = self._objects[label]
        del held[key]
        if not held:
            del self._objects[label]
        self._changed([label])


def _is_later(obj: Json, other: Json) -> bool:
    """Is this certainly a later state of what goes by one name than the other?

    Revisions are numbers that grow within a kind, as Kubernetes has them; where they are something else, generations
    tell at least of the specification.
    """
    new, old = _metadata(obj), _metadata(other)
    revisions = _number(new.get("resourceVersion")), _number(old.get("resourceVersion"))
    if revisions[0] is not None and revisions[1] is not None:
        return revisions[0] > revisions[1]
    generations = new.get("generation"), old.get("generation")
    if new.get("uid") is None or new.get("uid") != old.get("uid"):
        return False
    return isinstance(generations[0], int) and isinstance(generations[1], int) and generations[0] > generations[1]


def _number(revision: object) -> int | None:
    if isinstance(revision, str) and len(revision) < 40 and revision.isascii() and revision.isdigit():
        return int(revision)
    return None


def _key_of(kind: Kind, obj: Json) -> ObjectKey:
    metadata = _metadata(obj)
    return kind, str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _metadata(obj: Json) -> Json:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
