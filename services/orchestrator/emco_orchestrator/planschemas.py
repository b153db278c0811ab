"""What a plan looks like on the wire: app × cluster × object, with what would become of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Told(BaseModel):
    """What is only told: nobody sends it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, alias_generator=to_camel, populate_by_name=True
    )

    def as_body(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


class PlannedVerb(StrEnum):
    INSTANTIATE = "instantiate"
    UPDATE = "update"


class PlannedField(Told):
    """A field that would change. A secret is only said to change."""

    path: str
    before: str = Field("", serialization_alias="from", description="What it is, as JSON; empty if it is not there")
    after: str = Field(
        "", serialization_alias="to", description="What it would be, as JSON; empty if it would not be there"
    )
    hidden: bool = Field(False, description="Whether the values are not told, as they are secret")


class PlannedObject(Told):
    api_version: str
    kind: str
    name: str
    namespace: str = ""
    action: str = Field(
        description="`create`, `change`, `replace` (delete and make anew), `delete`, `unchanged`, `run` (a hook), "
        "`refused` (it would fail) or `unknown`"
    )
    reason: str = ""
    fields: list[PlannedField] = Field(default_factory=list)


class PlannedCluster(Told):
    """``reason``: why nothing, or not all, is known."""

    cluster_provider: str
    cluster: str
    reason: str = ""
    resources: list[PlannedObject] = Field(default_factory=list)


class PlannedApp(Told):
    name: str
    clusters: list[PlannedCluster]


class Counts(Told):
    """Objects by what would become of them."""

    create: int = 0
    change: int = 0
    replace: int = 0
    delete: int = 0
    unchanged: int = 0
    run: int = 0
    refused: int = 0
    unknown: int = 0


class DeploymentPlan(Told):
    """What an instantiation or an update would do now. Nothing of it has been done."""

    verb: PlannedVerb = Field(serialization_alias="for")
    counts: Counts
    notes: list[str] = Field(description="What is to be known besides: what the plan leaves out, what would be refused")
    apps: list[PlannedApp]
