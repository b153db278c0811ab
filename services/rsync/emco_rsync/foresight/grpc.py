"""The gRPC service that tells what a context would change (``planapp.proto``)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from grpc import aio

from emco_common.contextbus.api import Entry
from emco_common.errors import BadRequest
from emco_common.rpc import planapp_pb2, planapp_pb2_grpc
from emco_rsync.foresight.looking import Foresight, Place
from emco_rsync.foresight.verdicts import Foreseen
from emco_rsync.plan.differences import MISSING, Difference


class PlanApp(planapp_pb2_grpc.planappServicer):
    """Failures end the call with the text of the error."""

    def __init__(self, foresight: Foresight) -> None:
        self._foresight = foresight

    async def PlanApp(self, request: Any, context: Any) -> AsyncIterator[planapp_pb2.PlanAppPlace]:
        entries = entries_of(request)
        async with aclosing(self._foresight.of(entries, replaces=request.replaces_app_context)) as places:
            async for place in places:
                yield _place(place)


def entries_of(request: Any) -> list[Entry]:
    """The keys of the context in the order in which a bus would list them. ``BadRequest``."""
    count = len(request.values)
    wrong = next((one.key for one in request.entries if one.value >= count), None)
    if wrong is not None or not request.entries:
        raise BadRequest(f"{wrong}: there is no such value" if wrong else "the context is empty")
    found = (Entry(one.key, request.values[one.value], 0, 0) for one in request.entries)
    return sorted(found, key=lambda entry: entry.key)


def register_plans(server: aio.Server, foresight: Foresight) -> None:
    planapp_pb2_grpc.add_planappServicer_to_server(PlanApp(foresight), server)


def _place(place: Place) -> planapp_pb2.PlanAppPlace:
    return planapp_pb2.PlanAppPlace(
        app=place.app,
        cluster=place.cluster,
        reason=place.reason,
        objects=map(_object, place.objects),
        leaves=place.leaves,
    )


def _object(one: Foreseen) -> planapp_pb2.PlanAppObject:
    return planapp_pb2.PlanAppObject(
        resource=one.resource,
        api_version=one.kind.api_version,
        kind=one.kind.kind,
        namespace=one.namespace,
        name=one.name,
        action=str(one.action),
        reason=one.reason,
        fields=map(_field, one.fields),
    )


def _field(one: Difference) -> planapp_pb2.PlanAppField:
    return planapp_pb2.PlanAppField(path=one.path, before=_json(one.before), after=_json(one.after), hidden=one.hidden)


def _json(value: Any) -> str:
    return "" if value is MISSING else json.dumps(value, ensure_ascii=False)
