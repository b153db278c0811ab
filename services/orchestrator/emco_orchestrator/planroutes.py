"""The route that tells what a deployment would change; ours, the original has none."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from emco_common.errors import BadRequest
from emco_common.web.answers import encoded
from emco_orchestrator.planning import Planner
from emco_orchestrator.planschemas import DeploymentPlan, PlannedVerb
from emco_orchestrator.resources import GROUP
from emco_orchestrator.routes import GroupKey


def _verb(
    given: Annotated[
        str | None,
        Query(alias="for", description="`instantiate` or `update`; by default what the state of the group allows"),
    ] = None,
) -> PlannedVerb | None:
    if given is None:
        return None
    if given not in set(PlannedVerb):
        raise BadRequest(f"for must be {' or '.join(PlannedVerb)}, and is {given[:50]!r}")
    return PlannedVerb(given)


def plan_router(planner: Planner) -> APIRouter:
    router = APIRouter(prefix=GROUP.item_path, tags=["DeploymentIntentGroup lifecycle"])
    refused: dict[int | str, dict[str, Any]] = {
        400: {"description": "Invalid query, or the logical cloud cannot take the group"},
        404: {"description": GROUP.not_found},
        409: {"description": "Not possible in the present state"},
        503: {"description": "rsync, the store or the bus is away"},
    }

    @router.post(
        "/plan",
        summary="What an instantiation or an update would change on the clusters; nothing is changed",
        response_model=DeploymentPlan,
        responses=refused,
    )
    async def plan(key: GroupKey, verb: Annotated[PlannedVerb | None, Depends(_verb)] = None) -> Response:
        return encoded((await planner.plan(key, verb)).as_body())

    return router
