"""Bodies of clm's resources (spec clm 3 to 8)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from emco_common.resources.model import Metadata, Name, Named, Text128, Wire, given_array, section

AGENT = "agent"
GITOPS_TYPES = ("fluxcd", "azureArcV2", "anthos", AGENT)


class GitOps(Wire):
    """How a cluster is reached that has no kubeconfig; an empty type means that it is reached directly.

    With ``agent`` an agent in the cluster connects to rsync; the reference object holds its token, and there is no
    resource object.
    """

    git_ops_type: str = ""
    git_ops_reference_object: Text128 = ""
    git_ops_resource_object: Text128 = ""

    @model_validator(mode="after")
    def _whole(self) -> GitOps:
        if not self.git_ops_type:
            return self
        if self.git_ops_type not in GITOPS_TYPES:
            raise PydanticCustomError("schema", f"gitOpsType must be one of {', '.join(GITOPS_TYPES)}")
        if not self.git_ops_reference_object:
            raise PydanticCustomError("schema", "gitOpsReferenceObject is required")
        if not self.git_ops_resource_object and self.git_ops_type != AGENT:
            raise PydanticCustomError("schema", "gitOpsResourceObject is required")
        return self


class ClusterSpec(Wire):
    git_ops: GitOps = section()


class Cluster(Named):
    spec: ClusterSpec = section()


class ClusterLabel(Wire):
    """A label is its name; it has no metadata."""

    cluster_label: Name = ""


class LabelledCluster(Wire):
    """What the list answers of each cluster with ``withLabels``."""

    metadata: Metadata = section()
    labels: list[ClusterLabel]


def _text_value(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("schema", f"Invalid type. Expected: string, given: {_schema_type(value)}")
    if len(value) > 128:
        raise PydanticCustomError("schema", "String length must be less than or equal to 128")
    return value


def _schema_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


_Text = Annotated[Any, AfterValidator(_text_value), WithJsonSchema({"type": "string", "maxLength": 128})]
KeyValues = dict[str, _Text]


class KeyValueSpec(Wire):
    kv: Annotated[list[KeyValues], BeforeValidator(given_array)] = Field(default=None, validate_default=True)


class KeyValuePairs(Named):
    spec: KeyValueSpec = section()


class KeyedValue(Wire):
    """What ``?key=`` answers."""

    value: Text128


class SyncObject(Named):
    """Credentials and timing of a GitOps provider; the values are sealed at rest."""

    spec: KeyValueSpec = section()


def _given(value: Any, name: str) -> Any:
    if not value:
        raise PydanticCustomError("schema", f"{name} is required")
    return value


class ControllerSpec(Wire):
    host: Annotated[Text128, AfterValidator(lambda value: _given(value, "host"))] = ""
    port: Annotated[int, Field(ge=0, le=50000), AfterValidator(lambda value: _given(value, "port"))] = 0
    priority: Annotated[int, Field(ge=0, le=100)] = 0

    @model_serializer(mode="wrap")
    def _without_zero_priority(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "priority" or value}


class ClmController(Named):
    """Who wants to hear of clusters."""

    spec: ControllerSpec = section()
