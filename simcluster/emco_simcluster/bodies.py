"""Request bodies and options: bytes and query in, values out. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import yaml

from emco_simcluster import errors, protobuf
from emco_simcluster.errors import Cause
from emco_simcluster.incoming import APPLY_PATCH, Options
from emco_simcluster.tls import User

Json = dict[str, Any]

_YAML = frozenset({"application/yaml", "text/yaml", "application/x-yaml", APPLY_PATCH})
_JSON = frozenset({"", "application/json", "*/*"})


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a date is a text, ``y`` and ``n`` are booleans, and every key is a text."""

    bool_values: ClassVar[dict[str, bool]] = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        pairs = super().construct_mapping(node, deep=deep)
        return {k if isinstance(k, str) else json.dumps(k, default=str): v for k, v in pairs.items()}


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def document(data: bytes, media: str) -> Any:
    """A body as a value. Raises 400 for what cannot be read and 415 for what is neither JSON nor YAML."""
    if media in _YAML:
        return _yaml(data)
    if media == protobuf.MEDIA:
        try:
            return protobuf.decode(data)
        except protobuf.Undecodable as error:
            raise errors.unsupported_media() from error
    if media not in _JSON and not media.endswith("+json"):
        raise errors.unsupported_media()
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise errors.bad_request(f"the object provided is unrecognized: json parse error: {error}") from error


def _yaml(data: bytes) -> Any:
    if data.lstrip()[:1] == b"{":
        try:
            return json.loads(data)
        except ValueError:
            pass
    try:
        return yaml.load(data, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error


def json_object(data: bytes, media: str) -> Json:
    """A body that must be an object."""
    value = document(data, media)
    if not isinstance(value, dict):
        raise errors.bad_request("the object provided is unrecognized: it is no object")
    return value


def write_options(query: Mapping[str, str], *, agent: str, user: User, apply: bool, size: int) -> Options:
    """The options of a write. Apply must name its manager; only apply may force."""
    manager = query.get("fieldManager", "")
    what = "PatchOptions" if apply or "force" in query else "UpdateOptions"
    if len(manager) > 128:
        raise errors.invalid_options(what, [Cause.too_long("fieldManager", 128)])
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        text = f'Unsupported value: ["{dry_run}"]: supported values: "All"'
        raise errors.invalid_options(what, [Cause("dryRun", "FieldValueNotSupported", text)])
    force = query.get("force", "") in ("true", "1")
    if apply and not manager:
        raise errors.invalid_options(what, [Cause.required("fieldManager", "is required for apply patch")])
    if force and not apply:
        text = "may not be specified for non-apply patch"
        raise errors.invalid_options(what, [Cause.forbidden("force", text)])
    return Options(
        manager=manager or agent.partition("/")[0] or "unknown",
        user=user.name,
        groups=user.groups,
        dry_run=bool(dry_run),
        size=size,
        force=force,
        strict=query.get("fieldValidation") == "Strict",
    )
