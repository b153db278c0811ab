"""What a client of StatusNotify is told: one value, and the details below it (spec orchestrator-lifecycle 13.6, 13.7).

Pure. ``READY`` looks at readiness for every kind of object, also for logical clouds (dcm defect 29). A resource of a
kind without readiness counts as ready once its context is deployed, as it does in the status query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emco_common.appcontext import ContextState
from emco_common.errors import EmcoError
from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.status.compute import compute
from emco_common.status.contexts import Contexts
from emco_common.status.model import AppRows, ClusterRows, Readiness, Row
from emco_common.status.query import Dialect, Form, Output, Shape, StatusQuery
from emco_common.status.reader import Standing

_DEPLOYED = frozenset({ContextState.INSTANTIATED, ContextState.UPDATED})
_FORMS = {messages.DEPLOYED: Form.DEPLOYED, messages.READY: Form.READY}


@dataclass(frozen=True, slots=True)
class NotificationView:
    """``status_type`` is what was asked for, ``query`` with which filters; ``details`` asks for all below the top."""

    status_type: int
    query: StatusQuery
    details: bool

    @classmethod
    def of(cls, request: Any, dialect: Dialect) -> NotificationView:
        """Filters on apps are for objects that have apps."""
        everything = request.output == messages.ALL
        query = StatusQuery(
            dialect=dialect,
            form=_FORMS.get(request.statusType, Form.DEPLOYED),
            output=Output.ALL if everything else Output.SUMMARY,
            apps=frozenset(request.apps if dialect.shape is Shape.APPS else ()),
            clusters=frozenset(request.clusters),
            resources=frozenset(request.resources),
        )
        return cls(request.statusType, query, everything)

    def render(self, standing: Standing, contexts: Contexts | None) -> bytes:
        """Raises ``BadRequest`` if a filter names an app that the object does not have."""
        if self.status_type not in _FORMS:
            return _encoded(messages.StatusNotification(statusValue=messages.STATUS_ERROR))
        values = _Values(self.query.form, deployed=False)
        if contexts is None:
            return _encoded(messages.StatusNotification(statusValue=values.of(good=False)))
        answer = compute(contexts, self.query)
        deployed = answer.context_status in _DEPLOYED
        values = _Values(self.query.form, deployed=deployed)
        good = deployed and (answer.ready or self.query.form is Form.DEPLOYED)
        notification = messages.StatusNotification(statusValue=values.of(good=good))
        if self.details:
            notification.details.extend(_details(answer.apps, values, self.query.dialect.shape))
        return _encoded(notification)

    def failed(self, error: EmcoError) -> bytes:
        return _encoded(messages.StatusNotification(statusValue=messages.STATUS_ERROR))


@dataclass(frozen=True, slots=True)
class _Values:
    """The words for good and not good."""

    form: Form
    deployed: bool

    def of(self, *, good: bool) -> messages.StatusValue:
        if self.form is Form.READY:
            return messages.READY if good else messages.NOT_READY
        return messages.DEPLOYED if good else messages.NOT_DEPLOYED

    def is_good(self, row: Row) -> bool:
        if self.form is Form.READY:
            return row.state == Readiness.READY or (not row.state and self.deployed)
        return row.state == "Applied"


def _details(apps: tuple[AppRows, ...], values: _Values, shape: Shape) -> list[messages.StatusDetail]:
    if shape is Shape.APPS:
        return [messages.StatusDetail(app=_app(app, values)) for app in apps]
    return [messages.StatusDetail(cluster=_cluster(one, values)) for app in apps for one in app.clusters]


def _app(app: AppRows, values: _Values) -> messages.AppStatus:
    return messages.AppStatus(
        app=app.name,
        statusValue=values.of(good=all(_is_good(one, values) for one in app.clusters)),
        clusters=[_cluster(one, values) for one in app.clusters],
    )


def _cluster(cluster: ClusterRows, values: _Values) -> messages.ClusterStatus:
    return messages.ClusterStatus(
        clusterProvider=cluster.provider,
        cluster=cluster.cluster,
        statusValue=values.of(good=_is_good(cluster, values)),
        resources=[_resource(row, values) for row in cluster.resources],
    )


def _is_good(cluster: ClusterRows, values: _Values) -> bool:
    return all(values.is_good(row) for row in cluster.resources)


def _resource(row: Row, values: _Values) -> messages.ResourceStatus:
    gvk = messages.GVK(group=row.gvk.group, version=row.gvk.version, kind=row.gvk.kind)
    return messages.ResourceStatus(name=row.name, gvk=gvk, statusValue=values.of(good=values.is_good(row)))


def _encoded(notification: messages.StatusNotification) -> bytes:
    return notification.SerializeToString(deterministic=True)
