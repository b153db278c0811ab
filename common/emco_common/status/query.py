"""What is asked: the URL parameters of a status query as a checked value (spec lifecycle 12.1, dcm 9, ncm 7).

Pure. Which parameters a service understands, and the shape of its answer, is its ``Dialect``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from emco_common.errors import BadRequest


class View(StrEnum):
    """What is listed. The order is the precedence when several are asked for."""

    APPS = "apps"
    CLUSTERS = "clusters"
    RESOURCES = "resources"
    STATUS = "status"


class Form(StrEnum):
    """Which status is meant. The first two are the deprecated values of ``type``, the others those of ``status``."""

    RSYNC = "rsync"
    CLUSTER = "cluster"
    DEPLOYED = "deployed"
    READY = "ready"

    @property
    def of_clusters(self) -> bool:
        """Whether it is what clusters report (readiness), not what was done to them."""
        return self in (Form.CLUSTER, Form.READY)

    @property
    def deprecated(self) -> bool:
        return self in (Form.RSYNC, Form.CLUSTER)


class Output(StrEnum):
    SUMMARY = "summary"
    ALL = "all"
    DETAIL = "detail"


_MEANINGS: Mapping[str, str] = {
    "instance": "AppContext id from the history; the latest if not given",
    "status": "`deployed`: what was done to the clusters; `ready`: what they report",
    "type": "Deprecated form of `status`: `rsync` or `cluster`",
    "output": "`summary`, `all` (the default) or `detail`, which adds whole objects",
    "app": "Only this app; repeatable",
    "cluster": "Only this cluster, `<provider>+<cluster>` with the plus sent as `%2B`; repeatable",
    "resource": "Only objects of this name; repeatable",
    "apps": "Flag: list the apps instead",
    "clusters": "Flag: list the clusters by app instead",
    "resources": "Flag: list the resources by app instead",
}


class Shape(Enum):
    """What stands at the top of a status answer."""

    APPS = "apps"
    CLUSTERS = "clusters"
    ONE_CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one service speaks: ``parameters`` it reads, its ``default`` form, the ``shape`` of its answers.

    With ``lenient_instance`` an instance without a value counts as not given.
    """

    parameters: frozenset[str]
    default: Form
    shape: Shape = Shape.APPS
    lenient_instance: bool = False

    def openapi(self) -> list[dict[str, Any]]:
        """The parameters for ``openapi_extra``."""
        return [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in _MEANINGS.items()
            if name in self.parameters
        ]


DEPLOYMENT_INTENT_GROUP = Dialect(frozenset(_MEANINGS), Form.RSYNC)
LOGICAL_CLOUD = Dialect(frozenset(_MEANINGS) - {"type", "app", "apps"}, Form.READY, Shape.CLUSTERS)
CLUSTER_NETWORKS = Dialect(
    frozenset(_MEANINGS) - {"apps", "clusters", "resources"}, Form.RSYNC, Shape.ONE_CLUSTER, lenient_instance=True
)


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """Empty filters let everything through."""

    dialect: Dialect = DEPLOYMENT_INTENT_GROUP
    view: View = View.STATUS
    form: Form = Form.RSYNC
    output: Output = Output.ALL
    instance: str = ""
    apps: frozenset[str] = field(default_factory=frozenset)
    clusters: frozenset[str] = field(default_factory=frozenset)
    resources: frozenset[str] = field(default_factory=frozenset)

    def wants_app(self, app: str) -> bool:
        return not self.apps or app in self.apps

    def wants_cluster(self, cluster: str) -> bool:
        return not self.clusters or cluster in self.clusters

    def wants_resource(self, name: str) -> bool:
        return not self.resources or name in self.resources


# Wider than label values: every name that can exist can be asked for.
_NAME = "[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,126}[A-Za-z0-9])?"
_APP = re.compile(_NAME)
_CLUSTER = re.compile(rf"{_NAME}\+{_NAME}")
_RESOURCE = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.:]{0,251}[A-Za-z0-9])?")


def parse_query(parameters: Iterable[tuple[str, str]], dialect: Dialect) -> StatusQuery:
    """Raises ``BadRequest`` with the text that clients know. Unknown parameters are ignored."""
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        if name in dialect.parameters:
            given.setdefault(name, []).append(value)
    return StatusQuery(
        dialect=dialect,
        view=next((view for view in View if view in given), View.STATUS),
        form=_form(given, dialect),
        output=Output(_one_of(Output, given, "output", Output.ALL)),
        instance=_instance(given, lenient=dialect.lenient_instance),
        apps=_names(given, "app", _APP, "Invalid app query"),
        clusters=_names(given, "cluster", _CLUSTER, "Invalid cluster query"),
        resources=_names(given, "resource", _RESOURCE, "Invalid resources query"),
    )


def _form(given: Mapping[str, list[str]], dialect: Dialect) -> Form:
    deprecated = _one_of((Form.RSYNC, Form.CLUSTER), given, "type", "")
    asked = _one_of((Form.READY, Form.DEPLOYED), given, "status", "")
    return Form(asked or deprecated or dialect.default)


def _one_of(allowed: Collection[str] | type[StrEnum], given: Mapping[str, list[str]], name: str, default: str) -> str:
    if name not in given:
        return default
    value = given[name][0]
    if value not in list(allowed):
        raise BadRequest(f"Invalid query {name}")
    return value


def _instance(given: Mapping[str, list[str]], *, lenient: bool) -> str:
    value = given["instance"][0] if "instance" in given else ""
    if not value and "instance" in given and not lenient:
        raise BadRequest("Invalid query instance")
    return value


def _names(given: Mapping[str, list[str]], name: str, pattern: re.Pattern[str], message: str) -> frozenset[str]:
    values = given.get(name, [])
    if not all(pattern.fullmatch(value) for value in values):
        raise BadRequest(message)
    return frozenset(values)
