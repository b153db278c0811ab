"""What a request brings, made ready for writing: the object at its address, decoded, patched, still current. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from emco_simcluster import errors
from emco_simcluster.defaults import normalised
from emco_simcluster.errors import ApiError
from emco_simcluster.kinds import Kind
from emco_simcluster.patch import MergeKeyMissing, PatchError, json_patch, merge_patch, strategic_merge
from emco_simcluster.storage import Entry
from emco_simcluster.typecheck import flaws, without_unknown

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a writing request says besides its body, and how many bytes that has."""

    manager: str = "unknown"
    user: str = ""
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    force: bool = False
    strict: bool = False
    size: int = 0


def addressed(kind: Kind, namespace: str, body: Json, *, name: str | None) -> Json:
    """The body, if it is an object of this kind at this address."""
    given = (str(body.get("apiVersion")), body.get("kind"))
    if body.get("kind") and body.get("apiVersion") and given != (kind.api_version, kind.kind):
        source, goal = given[0].rpartition("/")[2], kind.group.partition(".")[0] or "core"
        text = (
            f'{body["kind"]} in version "{body["apiVersion"]}" cannot be handled as a {kind.kind}: '
            f"converting ({source}.{body['kind']}) to ({goal}.{kind.kind}): unknown conversion"
        )
        raise errors.bad_request(text)
    if kind.custom and not (body.get("kind") and body.get("apiVersion")):
        missing = "Kind" if not body.get("kind") else "apiVersion"
        text = f"the object provided is unrecognized (must be of type {kind.kind}): Object '{missing}' is missing"
        raise errors.bad_request(text)
    sent = body.get("metadata") or {}
    if not isinstance(sent, dict):
        raise errors.bad_request(f"{kind.kind}.metadata must be an object")
    metadata = dict(sent)
    if kind.namespaced:
        if metadata.get("namespace") not in (None, "", namespace):
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if name is not None:
        if metadata.get("name") not in (None, "", name):
            text = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise errors.bad_request(text)
        metadata["name"] = name
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def decoded(kind: Kind, obj: Json, options: Options) -> Json:
    """The body as a typed server reads it: wrong types are refused, unknown members refused or dropped."""
    _base64_data(kind, obj)
    unknown = False
    for flaw in flaws(obj, kind.shape):
        if flaw.expected or options.strict:
            start = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
            raise errors.bad_request(f"{start}: {flaw.of_decoding(kind.kind)}")
        unknown = True
    decoded: Json = without_unknown(obj, kind.shape) if unknown else obj
    return decoded


def _base64_data(kind: Kind, obj: Json) -> None:
    data = obj.get("data")
    if kind.kind != "Secret" or kind.custom or not isinstance(data, dict):
        return
    for value in data.values():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            text = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
            raise errors.bad_request(text) from error


def _group_version(kind: Kind) -> str:
    return f"{kind.group}/{kind.version}"


def unchanged_since(kind: Kind, metadata: Json, live: Entry | None, name: str) -> None:
    """Optimistic locking: the ``uid`` and ``resourceVersion`` a client names must be the current ones."""
    if live is None:
        if metadata.get("uid"):
            raise errors.conflict(
                kind,
                name,
                f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found",
            )
        return
    current = live.obj["metadata"]
    if metadata.get("uid") not in (None, "", current["uid"]):
        space = "/".join(p for p in (kind.plural, current.get("namespace"), name) if p)
        why = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{space}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {current['uid']}"
        )
        raise errors.conflict(kind, name, why)
    if metadata.get("resourceVersion") not in (None, "", "0", current["resourceVersion"]):
        raise errors.stale(kind, name)


def patched_with(media: str, current: Json, patch: Any, kind: Kind) -> Any:
    """The object after a patch of this media type."""
    try:
        if media == JSON_PATCH:
            if not isinstance(patch, list):
                raise errors.bad_request("error decoding patch: a JSON patch is a list of operations")
            return json_patch(current, patch)
        if media == MERGE_PATCH:
            if not isinstance(patch, dict):
                raise errors.bad_request("a merge patch is an object")
            return merge_patch(current, patch)
        if media == STRATEGIC_PATCH and not kind.custom:
            return strategic_merge(current, patch, kind.shape)
    except MergeKeyMissing as error:
        raise ApiError(500, "", str(error)) from error
    except PatchError as error:
        text = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", text, details={}) from error
    raise errors.unsupported_patch(kind)


def typed(kind: Kind, namespace: str, name: str, config: Json) -> Json:
    """What is applied, if all its members exist and have the right types; null members of built-in kinds left out."""
    if not config.get("apiVersion") or not config.get("kind"):
        raise errors.bad_request(f"invalid object type: {config.get('apiVersion', '/')}, Kind={config.get('kind', '')}")
    config = addressed(kind, namespace, config, name=name)
    if not kind.custom:
        config = normalised(config)
        _base64_data(kind, config)
    for flaw in flaws(config, kind.shape):
        raise untyped(kind, "", name, flaw.of_apply())
    return config


def untyped(kind: Kind, namespace: str, name: str, why: str) -> ApiError:
    """What a real server says of a configuration that is not of its kind's type: an error of its own."""
    where = f"({namespace}/{name}; {_group_version(kind)}, Kind={kind.kind})"
    return ApiError(500, "", f"failed to create typed patch object {where}: {why}")
