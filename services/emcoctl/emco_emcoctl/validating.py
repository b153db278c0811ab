"""Whether resource files would be taken, as far as that can be told without a server (emcoctl, wanted 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emco_emcoctl import catalogue, planning, schema, uploads
from emco_emcoctl.catalogue import Kind
from emco_emcoctl.errors import InputError
from emco_emcoctl.planning import Call
from emco_emcoctl.resources import Resource


@dataclass(frozen=True)
class Finding:
    """A document and what is wrong with it. ``unchecked`` says that nothing is known of what its spec must be."""

    where: str
    what: str
    problems: tuple[str, ...] = ()
    unchecked: bool = False


def findings(documents: Iterable[Resource], *, cwd: Path) -> Iterator[Finding]:
    """One per document, in their order."""
    seen: dict[str, str] = {}
    for document in documents:
        (planned,) = planning.plan("apply", [document])
        what = f"{document.anchor}/{document.name or document.cluster_label}".rstrip("/") or "(no anchor)"
        if isinstance(planned, InputError):
            yield Finding(document.where, what, (str(planned).removeprefix(f"{document.where}: "),))
            continue
        kind = catalogue.kind_of(document.anchor)
        problems = [*_upload(planned, cwd=cwd), *_body(document, kind), *_twice(document, kind, what, seen)]
        problems += [f"the field '{name}' is unknown and not sent" for name in document.unknown]
        action = planning.is_action(document.anchor)
        yield Finding(document.where, what, tuple(problems), unchecked=not action and not (kind and kind.schema))


def _upload(call: Call, *, cwd: Path) -> Iterator[str]:
    try:
        uploads.check(call, cwd=cwd)
    except InputError as error:
        yield str(error).removeprefix(f"{call.where}: ").removeprefix(f"{call.source}: ")


def _body(document: Resource, kind: Kind | None) -> Iterator[str]:
    if kind is None:
        return
    for field, reason in schema.problems(_sent(document), kind.schema):
        yield f"{field or 'the document'} {reason}"
    direct = not _inner(document.spec, "gitops", "gitopstype")
    if kind.upload == "file" and kind.schema and direct and not document.file:
        yield "file is missing: one of this kind is uploaded with its file"


def _sent(document: Resource) -> dict[str, Any]:
    metadata = {"name": document.name, "description": document.description}
    metadata |= dict(zip(("userData1", "userData2"), document.user_data, strict=True))
    body: dict[str, Any] = {"metadata": {key: value for key, value in metadata.items() if value}}
    if document.spec:
        body["spec"] = document.spec
    if document.cluster_label:
        body["clusterLabel"] = document.cluster_label
    return body


def _inner(spec: Any, *path: str) -> Any:
    for name in path:
        folded = {str(key).lower(): value for key, value in spec.items()} if isinstance(spec, dict) else {}
        spec = folded.get(name)
    return spec


def _twice(document: Resource, kind: Kind | None, what: str, seen: dict[str, str]) -> Iterator[str]:
    if kind is None:
        return
    key = f"{what}/{_inner(dict(document.spec), 'compositeappversion')}" if kind.names > 1 else what
    if key in seen:
        yield f"is there already, at {seen[key]}"
    seen.setdefault(key, document.where)
