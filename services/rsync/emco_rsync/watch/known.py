"""What is known of one cluster's objects, by deployment label, whatever order the news of them arrives in: no I/O.

A list and the stream after it tell everything, in order. What the cluster answers to an apply may be ahead of them, or
may have been overtaken by them; it only counts until they have caught up, so that nothing wrong can stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from emco_common.kube import Kind
from emco_rsync.plan.manifests import Json
from emco_rsync.watch.alike import NOTHING_ALIKE, Alike, ObjectKey
from emco_rsync.watch.seen import Seen, Stamp, label_of, stamp_of

MAX_OBJECTS = 100_000
"""Of one cluster that are held; a hostile one may invent any number."""
Answers = Mapping[ObjectKey, Stamp]
Share = Callable[[str], Alike]
"""By deployment label: what others have already."""

__all__ = ["MAX_OBJECTS", "Answers", "Known", "ObjectKey", "Share"]


class Known:
    """``changed`` is told the labels whose objects have changed."""

    def __init__(self, changed: Callable[[Iterable[str]], None], *, share: Share = lambda label: NOTHING_ALIKE) -> None:
        self._changed = changed
        self._share = share
        self._all: dict[ObjectKey, Seen] = {}
        self._objects: dict[str, dict[ObjectKey, Seen]] = {}
        """By label; the only one's are all there are, and not kept twice."""
        self._answers: dict[ObjectKey, Stamp] = {}

    def objects(self, label: str) -> Mapping[ObjectKey, Seen]:
        return self._objects.get(label, {})

    def behind(self, key: ObjectKey) -> bool:
        """Is it known that there is a later state of the object than the one that is known?"""
        return key in self._answers

    def answered(self, kind: Kind, obj: Json) -> None:
        """The cluster answered this to an apply. Nothing older is believed of the object from now on."""
        key, stamp = _key_of(kind, obj), stamp_of(obj)
        held = self._all.get(key)
        if held is not None and not stamp.is_later_than(held.stamp):
            return  # the answer was overtaken, or cannot be told from one that was
        self._answers[key] = stamp
        if held is not None:  # else it may be gone again; if it is not, we are about to be told
            self._put(key, obj)

    def answers(self) -> Answers:
        """To be taken before a list is asked for, which is then as new as all of these."""
        return dict(self._answers)

    def missing(self, kind: Kind, items: Iterable[Json]) -> list[ObjectKey]:
        """What is known of the kind and not among these."""
        present = {_key_of(kind, item) for item in items}
        return [key for key in self._all if key[0] == kind and key not in present]

    def listed(self, kind: Kind, items: Iterable[Json], *, before: Answers) -> None:
        """All objects of a kind; ``before`` are the ``answers`` that had come when it was asked for."""
        for key in [key for key, answer in self._answers.items() if key[0] == kind and before.get(key) is answer]:
            self._caught_up(key)
        present = {_key_of(kind, item): item for item in items}
        for key in [key for key in self._all if key[0] == kind and key not in present]:
            self._drop(key)
        for key, item in present.items():
            if key not in self._answers or not self._answers[key].is_later_than(stamp_of(item)):
                self._put(key, item)

    def happened(self, kind: Kind, obj: Json, *, deleted: bool) -> None:
        """An event of the stream that follows a list."""
        key = _key_of(kind, obj)
        answer = self._answers.get(key)
        if answer is not None and answer.is_later_than(stamp_of(obj)):
            return
        self._caught_up(key)
        if deleted:
            self._drop(key)
        else:
            self._put(key, obj)

    def _caught_up(self, key: ObjectKey) -> None:
        self._answers.pop(key, None)
        if not self._answers:
            self._answers = {}  # one that has become empty stays as large as it was

    def _put(self, key: ObjectKey, obj: Json) -> None:
        label = label_of(obj)
        held = self._all.get(key)
        if held is not None and held.label != label:
            self._drop(key)
            held = None
        if not label or (held is None and len(self._all) >= MAX_OBJECTS):
            return
        alike = self._share(label)
        seen = Seen(key, obj, label=label, alike=alike)
        if held is None:
            key = alike.key(key)
        room = self._room(label)
        self._all[key] = room[key] = seen
        if held != seen:
            self._changed([label])

    def _room(self, label: str) -> dict[ObjectKey, Seen]:
        found = self._objects.get(label)
        if found is None and not self._objects:
            found = self._objects[label] = self._all
        elif found is None:
            for other, objects in self._objects.items():
                if objects is self._all:
                    self._objects[other] = dict(objects)
            found = self._objects[label] = {}
        return found

    def _drop(self, key: ObjectKey) -> None:
        held = self._all.pop(key, None)
        if held is None:
            return
        objects = self._objects[held.label]
        objects.pop(key, None)
        if not objects:
            del self._objects[held.label]
        self._changed([held.label])


def _key_of(kind: Kind, obj: Json) -> ObjectKey:
    metadata = obj.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    return kind, str(fields.get("namespace") or ""), str(fields.get("name") or "")
