"""Documents to calls: what each command sends for each document, in which order. Pure (emcoctl 6.1 to 6.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from emco_emcoctl import routing
from emco_emcoctl.errors import InputError
from emco_emcoctl.resources import Resource
from emco_emcoctl.routing import Address
from emco_emcoctl.yamldocs import Timestamp

_ACTIONS = frozenset(
    {
        "instantiate",
        "apply",
        "approve",
        "terminate",
        "migrate",
        "update",
        "rollback",
        "stop",
        "give-up",
        "start",
        "cancel",
    }
)
_UNDONE_BY_TERMINATE = frozenset({"instantiate", "apply"})
_LEFT_ALONE_BY_THE_ORIGINAL = {
    "update": frozenset({"instantiate", "apply", "approve", "terminate", "migrate", "update", "rollback"}),
    "get": frozenset({"instantiate", "apply", "approve", "terminate", "migrate", "update", "rollback", "stop"}),
    "delete": frozenset({"approve", "status", "migrate", "update", "rollback"}),
}
_METHODS = {"apply": "POST", "update": "PUT", "get": "GET", "delete": "DELETE"}


@dataclass(frozen=True)
class Upload:
    """Files to send beside the metadata: parts named ``part``, all with ``filename`` or each with its own name."""

    part: str
    paths: tuple[str, ...]
    filename: str | None


@dataclass(frozen=True)
class Call:
    """One request. ``body`` is JSON text, or ``None`` for no body; ``empty_body`` sends one of no bytes."""

    method: str
    address: Address
    where: str
    body: str | None = None
    upload: Upload | None = None
    empty_body: bool = False
    source: str = ""
    accept: str = ""
    name: str = ""
    """Of what is created, where the address does not say it."""
    instead: Call | None = None
    """What to send if this one is refused because there is such a resource."""

    @property
    def accepts(self) -> str:
        """The media type to ask for, ``""`` for none."""
        return self.accept or ("application/json" if self._accepts_json else "")

    @property
    def _accepts_json(self) -> bool:
        if self.method == "GET":
            return self.address.wants_metadata_only
        return self.empty_body or (self.body is not None and self.upload is None)


Planned = Call | InputError


def is_action(anchor: str) -> bool:
    """Whether the anchor names something to do rather than something to have."""
    return anchor.partition("?")[0].rpartition("/")[2] in _ACTIONS


def plan(command: str, documents: Iterable[Resource], *, compat: bool = False, upsert: bool = False) -> list[Planned]:
    """A call or the reason against it for each document that ``command`` has something to do for, in sending order.

    With ``upsert`` what ``apply`` creates is replaced where it exists.
    With ``compat`` the calls are those of the original, mistakes included (emcoctl 6, 7).
    """
    ordered = list(documents)
    if command == "delete":
        ordered.reverse()
    planned: list[Planned] = []
    for document in ordered:
        try:
            call = _call(command, document, compat=compat)
        except (InputError, routing.RouteError) as error:
            planned.append(InputError(f"{document.where}: {error}"))
        else:
            if call and upsert and command == "apply":
                call = replace(call, instead=_call("update", document, compat=compat))
            planned += [call] if call else []
    return planned


def plan_anchor(command: str, anchor: str, *, compat: bool = False) -> Call:
    """The call for an anchor named on the command line, verbatim; raises ``InputError``."""
    try:
        where = routing.address(anchor, compat=compat)
    except routing.RouteError as error:
        raise InputError(str(error)) from error
    return Call(_METHODS[command], where, anchor, empty_body=command == "apply")


def _call(command: str, document: Resource, *, compat: bool) -> Call | None:
    if not document.anchor:
        raise InputError("the document has no resourceContext.anchor")
    stem, _, last = document.anchor.rpartition("/")
    if command == "delete" and last in _UNDONE_BY_TERMINATE:
        where = routing.address(f"{stem}/terminate", compat=compat)
        return Call("POST", where, document.where, empty_body=True)
    if command != "apply" and _left_alone(command, document, last=last, compat=compat):
        return None
    if not compat:
        _check_version(document, last=last)
    finder = _names_of_the_original if compat else _names
    where = routing.address(
        document.anchor, names=() if command == "apply" else finder(document, last=last), compat=compat
    )
    if command in ("get", "delete"):
        return Call(_METHODS[command], where, document.where)
    return Call(
        _METHODS[command],
        where,
        document.where,
        document.body(),
        _upload(document),
        source=document.source,
        name=_shown(document) if command == "apply" else "",
    )


def _shown(document: Resource) -> str:
    """The name of what a document creates, as people are told it."""
    name = document.name or document.cluster_label
    version = _version(document) if document.anchor.endswith("/composite-apps") else ""
    return f"{name} {version or ''}".strip()


def _left_alone(command: str, document: Resource, *, last: str, compat: bool) -> bool:
    if not compat:
        return last in _ACTIONS or (last == "status" and command != "get")
    looks = command != "update" or not _upload(document)
    return looks and last in _LEFT_ALONE_BY_THE_ORIGINAL[command]


def _names_of_the_original(document: Resource, *, last: str) -> tuple[str, ...]:
    name = document.name or document.cluster_label
    names = (name,) if name else ()
    if last != "composite-apps":
        return names
    match _version(document):
        case None:
            return (*names, "")
        case str() as version:
            return (*names, version)
        case Timestamp() as version:
            return (*names, version.rfc3339())
    raise InputError("Unable to decode CompositeApp Spec")


def _names(document: Resource, *, last: str) -> tuple[str, ...]:
    name = document.name or document.cluster_label
    if not name or routing.names_itself(document.anchor):
        return ()
    return (name, str(_version(document))) if last == "composite-apps" else (name,)


def _version(document: Resource) -> object:
    spec = document.spec
    if "CompositeAppVersion" in spec:
        return spec["CompositeAppVersion"]
    return next((spec[key] for key in sorted(spec) if key.lower() == "compositeappversion"), None)


def _check_version(document: Resource, *, last: str) -> None:
    if last != "composite-apps" or not (document.name or document.cluster_label):
        return
    version = _version(document)
    if isinstance(version, str) and version:
        return
    wrong = "is missing" if version in (None, "") else f"is {version}, which YAML does not read as a text"
    raise InputError(f'spec.compositeAppVersion {wrong}; write it with quotation marks, as in "v1"')


def _upload(document: Resource) -> Upload | None:
    if document.file:
        return Upload("file", (document.file,), "filename")
    return Upload("files", document.files, None) if document.files else None
