"""Lifecycle routes of a deployment intent group (spec orchestrator-lifecycle 2)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from emco_common.status import DEPLOYMENT_INTENT_GROUP, StatusReader
from emco_common.status.notify import StatusStreams, describe
from emco_common.store.api import Key
from emco_common.web.answers import empty, encoded
from emco_orchestrator.deployment import Deployments
from emco_orchestrator.resources import GROUP


def _group_key(
    project: Annotated[str, Path()],
    compositeApp: Annotated[str, Path()],
    compositeAppVersion: Annotated[str, Path()],
    deploymentIntentGroup: Annotated[str, Path()],
) -> Key:
    return {
        "project": project,
        "compositeApp": compositeApp,
        "compositeAppVersion": compositeAppVersion,
        "deploymentIntentGroup": deploymentIntentGroup,
    }


GroupKey = Annotated[Key, Depends(_group_key)]


def lifecycle_router(deployments: Deployments, status: StatusReader, streams: StatusStreams) -> APIRouter:
    router = APIRouter(prefix=GROUP.item_path, tags=["DeploymentIntentGroup lifecycle"])
    refused: dict[int | str, dict[str, Any]] = {
        400: {"description": "Invalid query, or the logical cloud cannot take the group"},
        404: {"description": GROUP.not_found},
        409: {"description": "Not possible in the present state"},
        503: {"description": "rsync, a controller, the store or the bus is away"},
    }

    @router.post("/approve", status_code=202, responses=refused, summary="Approve for instantiation")
    async def approve(key: GroupKey) -> Response:
        await deployments.approve(key)
        return empty(202)

    @router.post("/instantiate", status_code=202, responses=refused, summary="Render, place and deploy")
    async def instantiate(key: GroupKey) -> Response:
        await deployments.instantiate(key)
        return empty(202)

    @router.post("/terminate", status_code=202, responses=refused, summary="Remove from the clusters")
    async def terminate(key: GroupKey) -> Response:
        await deployments.terminate(key)
        return empty(202)

    parameters = {"parameters": DEPLOYMENT_INTENT_GROUP.openapi()}

    @router.get("/status", summary="Where the deployment stands", responses=refused, openapi_extra=parameters)
    async def read_status(key: GroupKey, request: Request) -> Response:
        return encoded(await status.answer(key, request.query_params.multi_items()))

    @router.get("/status/stream", summary="The status whenever it changes", **describe(DEPLOYMENT_INTENT_GROUP))
    async def stream_status(key: GroupKey, request: Request) -> Response:
        return await streams.open(key, request)

    return router
