"""The documents of a resource file: which fields exist, of which type, and the body they make (emcoctl 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emco_emcoctl import gojson, yamldocs
from emco_emcoctl.yamldocs import Decoder, Node

_TEXTS_OF_METADATA = ("name", "description", "userData1", "userData2")
_FIELDS = ("version", "resourceContext", "metadata", "spec", "clusterLabel", "file", "files")


@dataclass(frozen=True)
class Resource:
    """One document. ``anchor`` is the path below ``/v2/``; ``unknown`` names fields that are not sent."""

    anchor: str = ""
    name: str = ""
    description: str = ""
    user_data: tuple[str, str] = ("", "")
    cluster_label: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    files: tuple[str, ...] = ()
    source: str = ""
    line: int = 0
    unknown: tuple[str, ...] = ()

    def body(self) -> str:
        """The JSON text to send (emcoctl 3.1)."""
        metadata = [("name", self.name)]
        optional = zip(_TEXTS_OF_METADATA[1:], (self.description, *self.user_data), strict=True)
        metadata += [(key, text) for key, text in optional if text]
        members = [("metadata", gojson.members([(key, gojson.quoted(text)) for key, text in metadata]))]
        if self.cluster_label:
            members.append(("clusterLabel", gojson.quoted(self.cluster_label)))
        if self.spec:
            members.append(("spec", gojson.dumps(self.spec)))
        return gojson.members(members)

    @property
    def where(self) -> str:
        return f"{self.source}:{self.line}" if self.source else self.anchor


def resources(text: str, *, name: str, compat: bool = False) -> list[Resource]:
    """The resources of a file, empty documents left out; with ``compat`` they count, as resources without an anchor.

    Raises ``YamlError`` with file and line if the text is not YAML or a document is not a resource.
    """
    found = []
    for root in yamldocs.documents(text, name=name, versions=("1.1",) if compat else ("1.1", "1.2")):
        decoder = Decoder(name=name)
        if compat or not _is_empty(root, decoder):
            found.append(_Reader(decoder, name=name).resource(root))
    return found


def _is_empty(root: Node, decoder: Decoder) -> bool:
    return decoder.is_null(root) or (isinstance(root, yamldocs.Mapping) and not root.pairs)


class _Reader:
    def __init__(self, decoder: Decoder, *, name: str) -> None:
        self._decoder = decoder
        self._name = name
        self._unknown: list[str] = []

    def resource(self, root: Node) -> Resource:
        top = self._known(root, _FIELDS, what="a document", prefix="")
        context = self._known(top.get("resourceContext"), ("anchor",), what="resourceContext")
        metadata = self._known(top.get("metadata"), _TEXTS_OF_METADATA, what="metadata")
        self._text(top, "version")
        name, description, *user_data = (self._text(metadata, key, prefix="metadata.") for key in _TEXTS_OF_METADATA)
        return Resource(
            anchor=self._text(context, "anchor", prefix="resourceContext."),
            name=name,
            description=description,
            user_data=(user_data[0], user_data[1]),
            cluster_label=self._text(top, "clusterLabel"),
            spec=self._spec(top.get("spec")),
            file=self._text(top, "file"),
            files=self._files(top.get("files")),
            source=self._name,
            line=root.line,
            unknown=tuple(self._unknown),
        )

    def _known(
        self, node: Node | None, fields: tuple[str, ...], *, what: str, prefix: str | None = None
    ) -> dict[str, Node]:
        prefix = f"{what}." if prefix is None else prefix
        found: dict[str, Node] = {}
        for key, item in self._pairs(node, what=what):
            text = self._decoder.text(key, what=f"a key of {what}")
            if text in fields:
                found[text] = item
            else:
                self._decoder.value(item)
                self._unknown.append(prefix + text)
        return found

    def _pairs(self, node: Node | None, *, what: str) -> list[tuple[Node, Node]]:
        if node is None or self._decoder.is_null(node):
            return []
        if not isinstance(node, yamldocs.Mapping):
            shown = f" `{node.text}`" if isinstance(node, yamldocs.Scalar) else ""
            raise self._decoder.fail(node, f"{what} must be a mapping, not the {yamldocs.kind(node)}{shown}")
        return self._decoder.pairs(node)

    def _text(self, fields: dict[str, Node], key: str, *, prefix: str = "") -> str:
        return self._decoder.text(fields[key], what=prefix + key) if key in fields else ""

    def _files(self, node: Node | None) -> tuple[str, ...]:
        if node is None or self._decoder.is_null(node):
            return ()
        if not isinstance(node, yamldocs.Sequence):
            raise self._decoder.fail(node, f"files must be a list of paths, not a {yamldocs.kind(node)}")
        return tuple(self._decoder.text(item, what="files") for item in node.items)

    def _spec(self, node: Node | None) -> dict[str, Any]:
        pairs = self._pairs(node, what="spec")
        spec = {self._decoder.text(key, what="a key of spec"): self._decoder.value(item) for key, item in pairs}
        try:
            gojson.dumps(spec)
        except gojson.NotJsonError as error:
            assert node is not None
            raise self._decoder.fail(node, f"spec: {error}") from error
        return spec


def unknown_fields(found: list[Resource]) -> Iterator[str]:
    """A sentence for each field that no service will see."""
    for resource in found:
        for name in resource.unknown:
            yield f"{resource.where}: the field '{name}' is unknown and not sent"
