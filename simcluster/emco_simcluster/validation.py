"""What a server refuses: names, required fields, fields that may not change. Pure.

Not a schema check. It knows the rules a client of EMCO's sort runs into, with the field and the text of a real server.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cryptography import x509

from emco_simcluster.errors import Cause
from emco_simcluster.kinds import Kind

Json = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_FREE_NAMES = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
_IMMUTABLE = "field is immutable"
DATA_LIMIT = 1024 * 1024
"""Bytes a ConfigMap or Secret may hold."""


def problems(kind: Kind, obj: Json, live: Json | None) -> list[Cause]:
    """Why the object cannot be stored; ``live`` is what it would replace. Empty: it can."""
    found = list(_metadata(kind, obj["metadata"]))
    check = _CHECKS.get(kind.kind) if not kind.custom else None
    if check is not None:
        found += check(obj)
    if live is not None:
        found += _changed_metadata(obj["metadata"], live["metadata"])
        frozen = _FROZEN.get(kind.kind) if not kind.custom else None
        if frozen is not None and not found:
            found += frozen(obj, live)
    return found


def _metadata(kind: Kind, metadata: Json) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield Cause.required("metadata.name", "name or generateName is required")
    elif not isinstance(name, str):
        yield Cause.invalid("metadata.name", name, "must be a string")
    elif kind.plural in _FREE_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            yield Cause.invalid("metadata.name", name, "may not contain '/' or '%' and may not be '.' or '..'")
    elif kind.plural in ("namespaces", "services"):
        if len(name) > 63:
            yield Cause.invalid("metadata.name", name, "must be no more than 63 characters")
        elif not _LABEL.fullmatch(name):
            text = "must not contain dots" if _SUBDOMAIN.fullmatch(name) else _LABEL_TEXT
            yield Cause.invalid("metadata.name", name, text)
    elif len(name) > 253:
        yield Cause.invalid("metadata.name", name, "must be no more than 253 characters")
    elif not _SUBDOMAIN.fullmatch(name):
        yield Cause.invalid("metadata.name", name, _SUBDOMAIN_TEXT)
    labels = metadata.get("labels") or {}
    for key, value in labels.items():
        if not _QUALIFIED.fullmatch(key):
            yield Cause.invalid("metadata.labels", key, _KEY_TEXT)
        if len(str(value)) > 63:
            yield Cause.invalid("metadata.labels", value, "must be no more than 63 bytes")
        elif not isinstance(value, str) or not _VALUE.fullmatch(value):
            yield Cause.invalid("metadata.labels", value, _VALUE_TEXT)
    annotations = metadata.get("annotations") or {}
    if sum(len(k) + len(str(v)) for k, v in annotations.items()) > 256 * 1024:
        yield Cause.too_long("metadata.annotations", 256 * 1024)


def _changed_metadata(new: Json, old: Json) -> Iterator[Cause]:
    if new.get("name") != old.get("name"):
        yield Cause.invalid("metadata.name", new.get("name"), _IMMUTABLE)
    if old.get("deletionTimestamp"):
        added = [f for f in new.get("finalizers") or () if f not in (old.get("finalizers") or ())]
        if added:
            shown = ", ".join(f'"{f}"' for f in added)
            start = "no new finalizers can be added if the object is being deleted, found new finalizers"
            text = f"{start} []string{{{shown}}}"
            yield Cause.forbidden("metadata.finalizers", text)


def _pod_spec(spec: Any, path: str) -> Iterator[Cause]:
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not containers:
        yield Cause.required(f"{path}.containers")
        return
    seen = set()
    for number, container in enumerate(containers):
        where = f"{path}.containers[{number}]"
        name = container.get("name") if isinstance(container, dict) else None
        if not name:
            yield Cause.required(f"{where}.name")
            continue
        if name in seen:
            yield Cause(f"{where}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
        seen.add(name)
        if not container.get("image"):
            yield Cause.required(f"{where}.image")


def _pod(obj: Json) -> Iterator[Cause]:
    yield from _pod_spec(obj.get("spec"), "spec")


def _workload(obj: Json) -> Iterator[Cause]:
    spec = obj["spec"]
    selector = spec.get("selector")
    labels = spec["template"]["metadata"].get("labels")
    present = isinstance(selector, dict) and bool(selector.get("matchLabels") or selector.get("matchExpressions"))
    if not present:
        yield Cause.required("spec.selector")
    wanted = (selector.get("matchLabels") or {}) if present else {}
    if not present or any((labels or {}).get(k) != v for k, v in wanted.items()):
        text = "`selector` does not match template `labels`"
        shown = "null" if labels is None else labels
        yield Cause.invalid("spec.template.metadata.labels", shown, text)
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or replicas < 0:
        yield Cause.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
    yield from _pod_spec(spec["template"]["spec"], "spec.template.spec")


def _job(obj: Json) -> Iterator[Cause]:
    pod = obj["spec"]["template"]["spec"]
    yield from _pod_spec(pod, "spec.template.spec")
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield Cause.required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _service(obj: Json) -> Iterator[Cause]:
    spec = obj["spec"]
    if not spec.get("ports") and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield Cause.required("spec.ports")


def _data(obj: Json) -> Iterator[Cause]:
    parts = [*(obj.get("data") or {}).values(), *(obj.get("binaryData") or {}).values()]
    size = sum(len(str(v)) if obj.get("kind") == "ConfigMap" else len(str(v)) * 3 // 4 for v in parts)
    if size > DATA_LIMIT:
        yield Cause.too_long("[]" if obj.get("kind") == "ConfigMap" else "data", DATA_LIMIT)


def _signing_request(obj: Json) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    try:
        x509.load_pem_x509_csr(base64.b64decode(spec.get("request", ""), validate=True))
    except (ValueError, TypeError, binascii.Error):
        yield Cause.invalid("spec.request", spec.get("request", ""), "PEM block type must be CERTIFICATE REQUEST")
    if not spec.get("usages"):
        yield Cause.required("spec.usages")
    if not spec.get("signerName"):
        yield Cause.required("spec.signerName")


def _definition(obj: Json) -> Iterator[Cause]:
    spec = obj["spec"]
    names = spec["names"]
    for field in ("plural", "kind"):
        if not names.get(field):
            yield Cause.required(f"spec.names.{field}")
    if not spec.get("group"):
        yield Cause.required("spec.group")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield Cause.required("spec.scope")
    versions = spec.get("versions") or []
    if sum(bool(v.get("storage")) for v in versions) != 1:
        text = "must have exactly one version marked as storage version"
        yield Cause.invalid("spec.versions", [v.get("name") for v in versions], text)
    for number, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield Cause.required(f"spec.versions[{number}].schema.openAPIV3Schema")
    expected = f"{names.get('plural')}.{spec.get('group')}"
    if obj["metadata"].get("name") != expected:
        text = 'must be spec.names.plural+"."+spec.group'
        yield Cause.invalid("metadata.name", obj["metadata"].get("name"), text)


_CHECKS: Mapping[str, Callable[[Json], Iterator[Cause]]] = {
    "Pod": _pod,
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "DaemonSet": _workload,
    "Job": _job,
    "Service": _service,
    "ConfigMap": _data,
    "Secret": _data,
    "CertificateSigningRequest": _signing_request,
    "CustomResourceDefinition": _definition,
}


def _frozen_selector(new: Json, old: Json) -> Iterator[Cause]:
    if new["spec"].get("selector") != old["spec"].get("selector"):
        yield Cause.invalid("spec.selector", new["spec"].get("selector"), _IMMUTABLE)


def _frozen_stateful_set(new: Json, old: Json) -> Iterator[Cause]:
    free = {
        *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
        *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
    }
    if {k: v for k, v in new["spec"].items() if k not in free} != {
        k: v for k, v in old["spec"].items() if k not in free
    }:
        text = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        )
        yield Cause.forbidden("spec", text)


def _frozen_job(new: Json, old: Json) -> Iterator[Cause]:
    for field in ("completions", "selector", "template", "completionMode"):
        if new["spec"].get(field) != old["spec"].get(field):
            yield Cause.invalid(f"spec.{field}", new["spec"].get(field), _IMMUTABLE)


def _frozen_service(new: Json, old: Json) -> Iterator[Cause]:
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if before and after != before and new["spec"].get("type") != "ExternalName":
        yield Cause.invalid("spec.clusterIPs[0]", [after], "may not change once set")


def _frozen_claim(new: Json, old: Json) -> Iterator[Cause]:
    def fixed(obj: Json) -> Json:
        free = ("resources", "volumeAttributesClassName", "volumeName")
        return {k: v for k, v in obj["spec"].items() if k not in free}

    if fixed(new) != fixed(old):
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield Cause.forbidden("spec", text)


def _frozen_pod(new: Json, old: Json) -> Iterator[Cause]:
    def fixed(obj: Json) -> Json:
        spec = {k: v for k, v in obj["spec"].items() if k not in ("nodeName", "tolerations", "activeDeadlineSeconds")}
        for group in ("containers", "initContainers"):
            spec[group] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(group) or ()]
        return spec

    if fixed(new) != fixed(old):
        text = (
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
            "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        )
        yield Cause.forbidden("spec", text)


def _frozen_secret(new: Json, old: Json) -> Iterator[Cause]:
    if new.get("kind") == "Secret" and new.get("type") != old.get("type"):
        yield Cause.invalid("type", new.get("type"), _IMMUTABLE)
    if old.get("immutable"):
        text = "field is immutable when `immutable` is set"
        if not new.get("immutable"):
            yield Cause.forbidden("immutable", text)
        if (new.get("data"), new.get("binaryData")) != (old.get("data"), old.get("binaryData")):
            yield Cause.forbidden("data", text)


def _frozen_binding(new: Json, old: Json) -> Iterator[Cause]:
    if new.get("roleRef") != old.get("roleRef"):
        yield Cause.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _frozen_signing_request(new: Json, old: Json) -> Iterator[Cause]:
    if new.get("spec") != old.get("spec"):
        yield Cause.invalid("spec", "", _IMMUTABLE)


_FROZEN: Mapping[str, Callable[[Json, Json], Iterator[Cause]]] = {
    "Deployment": _frozen_selector,
    "ReplicaSet": _frozen_selector,
    "DaemonSet": _frozen_selector,
    "StatefulSet": _frozen_stateful_set,
    "Job": _frozen_job,
    "Service": _frozen_service,
    "PersistentVolumeClaim": _frozen_claim,
    "Pod": _frozen_pod,
    "Secret": _frozen_secret,
    "ConfigMap": _frozen_secret,
    "RoleBinding": _frozen_binding,
    "ClusterRoleBinding": _frozen_binding,
    "CertificateSigningRequest": _frozen_signing_request,
}
