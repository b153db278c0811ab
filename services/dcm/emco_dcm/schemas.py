"""Bodies of dcm's resources (spec dcm 3, 4, defects 15, 16, 27 and 30)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from emco_common.errors import BadRequest
from emco_common.resources.model import (
    Metadata,
    Name,
    Named,
    Text128,
    Wire,
    given_array,
    given_object,
    section,
)
from emco_dcm.privatekey import KeyType

SHORTEST_LIFETIME = 600
LONGEST_LIFETIME = 2**31 - 1
"""Seconds; what the API server takes."""
ADMIN = "0"
CUSTOM = "1"
_LABEL = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _level(value: str) -> str:
    if value not in ("", ADMIN, CUSTOM):
        raise PydanticCustomError("schema", "spec.level must be 0 (admin) or 1 (custom)")
    return value or CUSTOM


def _object_name(value: str, what: str) -> str:
    if len(value) > 128 or not _SUBDOMAIN.fullmatch(value):
        text = f"{what} becomes the name of a Kubernetes object: lower case letters, digits, - and . only"
        raise PydanticCustomError("schema", text)
    return value


def _user_name(value: str) -> str:
    if value.startswith("system:"):
        raise PydanticCustomError("schema", "spec.user.userName must not be one of Kubernetes' own (system:…)")
    if not value.isprintable():
        raise PydanticCustomError("schema", "spec.user.userName must be printable")
    return value


def _key_type(value: str) -> str:
    if value and value not in tuple(KeyType):
        raise PydanticCustomError("schema", f"spec.user.keyType must be one of {', '.join(KeyType)}")
    return value


def _lifetime(value: int) -> int:
    if value and not SHORTEST_LIFETIME <= value <= LONGEST_LIFETIME:
        text = f"spec.user.expirationSeconds must be between {SHORTEST_LIFETIME} and {LONGEST_LIFETIME}"
        raise PydanticCustomError("schema", text)
    return value


class User(Wire):
    """Whom the certificate names. Beyond the original: the kind of its key, and how long it is to be valid."""

    user_name: Annotated[str, Field(max_length=20), AfterValidator(_user_name)] = ""
    type: Text128 = ""
    key_type: Annotated[str, AfterValidator(_key_type)] = Field("", exclude_if=lambda value: not value)
    expiration_seconds: Annotated[int, AfterValidator(_lifetime)] = Field(0, exclude_if=lambda value: not value)


class LogicalCloudSpec(Wire):
    """Of a level-0 cloud the namespace is not taken from the user but from its clusters, at instantiate."""

    namespace: Text128 = ""
    labels: dict[str, Text128] | None = None
    level: Annotated[str, Field(max_length=2), AfterValidator(_level)] = ""
    user: User = section()

    @model_validator(mode="after")
    def _custom_needs_a_namespace_and_a_user(self) -> LogicalCloudSpec:
        if self.level == CUSTOM and not _LABEL.fullmatch(self.namespace):
            text = "spec.namespace of a level 1 Logical Cloud must be a namespace name: lower case letters, digits, -"
            raise PydanticCustomError("schema", text)
        if self.level == CUSTOM and not self.user.user_name:
            raise PydanticCustomError("schema", "spec.user.userName of a level 1 Logical Cloud is required")
        return self


class LogicalCloud(Named):
    spec: LogicalCloudSpec = section()

    @model_validator(mode="after")
    def _custom_has_an_object_name(self) -> LogicalCloud:
        if self.spec.level == CUSTOM:
            _object_name(self.metadata.name, "metadata.name of a level 1 Logical Cloud")
        return self


def _written_by_us(_value: Any) -> str:
    return ""


class ClusterReferenceSpec(Wire):
    """``certificate`` is written by dcm; what a user sends of it is dropped."""

    cluster_provider: Text128 = ""
    cluster: Text128 = ""
    load_balancer_ip: Annotated[str, Field(max_length=16, alias="loadBalancerIP")] = ""
    certificate: Annotated[str, BeforeValidator(_written_by_us)] = ""


class ClusterReference(Named):
    spec: ClusterReferenceSpec = section()


Texts = Annotated[list[str], BeforeValidator(given_array)]


def _namespace_or_none(value: str) -> str:
    if value and not _LABEL.fullmatch(value):
        text = "spec.namespace must be a namespace name, or empty for the whole cluster: lower case letters, digits, -"
        raise PydanticCustomError("schema", text)
    return value


class UserPermissionSpec(Wire):
    """The namespace of the cloud is the primary one; another, or none for the whole cluster, makes it privileged."""

    namespace: Annotated[Text128, AfterValidator(_namespace_or_none)] = ""
    api_groups: Texts = Field(default=None, validate_default=True)
    resources: Texts = Field(default=None, validate_default=True)
    verbs: Texts = Field(default=None, validate_default=True)


class UserPermission(Named):
    spec: UserPermissionSpec = section()


class QuotaMetadata(Metadata):
    name: Annotated[Name, AfterValidator(lambda value: _object_name(value, "metadata.name of a quota"))] = ""


class ClusterQuota(Wire):
    """Limits by the names that a ResourceQuota gives them."""

    metadata: QuotaMetadata = section()
    spec: Annotated[dict[str, Text128], BeforeValidator(given_object)] = Field(default=None, validate_default=True)


def _named(value: Any) -> Any:
    if value == "":
        raise BadRequest("Missing name in POST request")
    return value


class KeyValueMetadata(Metadata):
    name: Annotated[Name, BeforeValidator(_named)] = ""


class KeyValueSpec(Wire):
    kv: Annotated[list[dict[str, Text128]], BeforeValidator(given_array)] = Field(default=None, validate_default=True)


class KeyValuePairs(Wire):
    metadata: KeyValueMetadata = section()
    spec: KeyValueSpec = section()
