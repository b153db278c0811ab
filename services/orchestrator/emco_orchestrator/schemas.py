"""Bodies of the orchestrator's resources (spec orchestrator-api 5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from emco_common.errors import BadRequest, EmcoError
from emco_common.resources.model import (
    InvalidInput,
    Metadata,
    Name,
    Named,
    Text128,
    Wire,
    given_object,
    section,
)

CONTROLLER_TYPES = ("placement", "action")
_TYPES = ", ".join(f'"{name}"' for name in CONTROLLER_TYPES)
_ONE_OF = "Must validate one and only one schema (oneOf)"
GivenMap = Annotated[dict[str, Text128], BeforeValidator(given_object)]


Version = Annotated[str, Field(max_length=128, pattern="^([A-Za-z0-9][-+A-Za-z0-9_.]*)?[A-Za-z0-9]$")]
"""A name that may hold the ``+`` of a semantic version's build."""


class CompositeAppSpec(Wire):
    composite_app_version: Version = ""


class CompositeApp(Named):
    spec: CompositeAppSpec = section()


class AppDependencySpec(Wire):
    app: Name = ""
    op_status: Annotated[str, Field(pattern="^([Rr][Ee][Aa][Dd][Yy]|[Dd][Ee][Pp][Ll][Oo][Yy][Ee][Dd])$")]
    wait: Annotated[int, Field(ge=0, le=4096)] = 0

    @model_validator(mode="before")
    @classmethod
    def _app_given(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and not any(key.lower() == "app" and value for key, value in raw.items()):
            raise PydanticCustomError("schema", "app is required")
        return raw

    @model_serializer(mode="wrap")
    def _without_zero_wait(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "wait" or value}


class AppDependency(Named):
    spec: AppDependencySpec = section()


class AppProfileSpec(Wire):
    app: Text128 = ""


class AppProfile(Named):
    spec: AppProfileSpec = section()


class OverrideValues(Wire):
    app: str = ""
    values: GivenMap = Field(default=None, validate_default=True)


class Delivery(Wire):
    """What is allowed beyond what EMCO always did; ours."""

    heal: bool = False
    replace: bool = False
    ready_timeout: Annotated[int, Field(ge=0, le=604_800)] | None = Field(
        None,
        description="Seconds until an app that waits for another one to be Ready fails, and an app that moves stays "
        "where it was. 0 waits for ever. Unset: rsync's setting EMCO_RSYNC_READY_TIMEOUT (3600) for the first, and an "
        "app that moves does not wait for readiness.",
    )

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked_for(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None and value is not False}


class DeploymentIntentGroupSpec(Wire):
    composite_profile: Name = ""
    version: Name = ""
    override_values: list[OverrideValues] = Field(default_factory=list)
    logical_cloud: Name = ""
    delivery: Delivery | None = None

    @model_serializer(mode="wrap")
    def _without_empty_delivery(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "delivery" or value}


class DeploymentIntentGroup(Named):
    spec: DeploymentIntentGroupSpec = section()


class GroupIntentSpec(Wire):
    intent: GivenMap = Field(default=None, validate_default=True)


class GroupIntent(Named):
    spec: GroupIntentSpec = section()


class GroupIntents(Wire):
    """What the list answers: the maps of all intents, without their names."""

    intent: list[dict[str, Text128]]


class ClusterChoice(Wire):
    """One cluster by name, or all of a provider that carry a label."""

    cluster_provider: Text128 = ""
    cluster: Text128 = ""
    cluster_label: Text128 = ""

    @model_validator(mode="after")
    def _one_form(self) -> ClusterChoice:
        self._check_choice()
        return self

    def _check_choice(self) -> None:
        if self.cluster and self.cluster_label:
            raise PydanticCustomError("schema", "Must not validate the schema (not)")
        if not self.cluster_provider:
            raise PydanticCustomError("schema", "clusterProvider is required")
        if not (self.cluster or self.cluster_label):
            raise PydanticCustomError("schema", "cluster is required")

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value}


class Requirement(ClusterChoice):
    """One entry of ``allOf``: a choice that is mandatory, or a group of which one is needed."""

    any_of: list[ClusterChoice] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_form(self) -> Requirement:
        named = bool(self.cluster_provider or self.cluster or self.cluster_label)
        if not named and not self.any_of:
            raise PydanticCustomError("schema", f"{_ONE_OF}\nanyOf is required")
        if named and self.any_of:
            raise PydanticCustomError("schema", _ONE_OF)
        if named:
            self._check_choice()
        return self


class PlacementRule(Wire):
    all_of: list[Requirement] = Field(default_factory=list)
    any_of: list[ClusterChoice] = Field(default_factory=list)

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value}


class AppPlacementSpec(Wire):
    app: Text128 = ""
    intent: PlacementRule = section()

    @model_validator(mode="after")
    def _app_given(self) -> AppPlacementSpec:
        if not self.app:
            raise PydanticCustomError("schema", "app is required")
        return self


class NoPlacement(Wire):
    """What is answered for an app of which no intent says where it goes."""

    intent: PlacementRule


class PlacementMetadata(Metadata):
    """Metadata of which empty members are left out in answers."""

    @model_validator(mode="before")
    @classmethod
    def _name_given(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and not any(key.lower() == "name" and value for key, value in raw.items()):
            raise PydanticCustomError("schema", "name is required")
        return raw

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value}


_PLACEMENT_TEXTS = {
    "clusterProvider is required": "Missing clusterProvider in an intent",
    "cluster is required": "Missing cluster or clusterLabel",
    "Must not validate the schema (not)": "Only one of cluster name or cluster label allowed",
    "app is required": "Missing app for the intent",
    "name is required": "Missing name for the intent",
}


class AppPlacementIntent(Wire):
    """Where one app goes (spec orchestrator-api 5.10)."""

    metadata: PlacementMetadata = section()
    spec: AppPlacementSpec = section()

    @classmethod
    def refused(cls, violations: tuple[tuple[str, str], ...]) -> EmcoError:
        given = {text for _, text in violations}
        for raw, shown in _PLACEMENT_TEXTS.items():
            if raw in given:
                return BadRequest(shown)
        return InvalidInput(violations)


def _known_type(value: str) -> str:
    """One of another type would never be called (spec orchestrator-api 5.11, defect 18); rsync has none."""
    if value not in ("", *CONTROLLER_TYPES):
        raise PydanticCustomError("schema", "Must be one of the following: {types}", {"types": _TYPES})
    return value


class ControllerSpec(Wire):
    host: Text128 = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    type: Annotated[str, AfterValidator(_known_type), Field(json_schema_extra={"enum": ["", *CONTROLLER_TYPES]})] = ""
    priority: Annotated[int, Field(ge=0, le=100)] = 0


class Controller(Named):
    spec: ControllerSpec = section()


class Described(Wire):
    """Metadata of a request that makes nothing which has a name."""

    description: str = ""


class MigrateSpec(Wire):
    target_composite_app_version: Name = ""
    target_deployment_intent_group: Name = ""


class Migrate(Wire):
    """Where a deployment is to go (spec orchestrator-lifecycle 2)."""

    metadata: Described = section()
    spec: MigrateSpec = section()


class RollbackSpec(Wire):
    revision: Name = ""


class Rollback(Wire):
    """Which revision is to be brought back (spec orchestrator-lifecycle 2)."""

    metadata: Described = section()
    spec: RollbackSpec = section()


class AppRevision(Wire):
    """What an app was made from: digests of its chart, of its profile, and of all that its intents say of it."""

    name: str
    chart: str
    profile: str
    intents: str


class Revision(Wire):
    """One revision of a deployment. ``deployed_status`` is empty for a revision that is not kept any more."""

    revision: int
    time: str
    verb: Literal["instantiate", "update", "rollback", "migrate"]
    instance: str
    current: bool
    reachable: bool = Field(description="Whether rollback can go there")
    deployed_status: str = ""
    reason: str = ""
    release: str = ""
    logical_cloud: str = ""
    composite_profile: str = ""
    apps: list[AppRevision] = Field(default_factory=list)
