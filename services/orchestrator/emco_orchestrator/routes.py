"""Lifecycle routes of a deployment intent group (spec orchestrator-lifecycle 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from emco_common.errors import BadRequest
from emco_common.resources.model import Wire, decode
from emco_common.status import DEPLOYMENT_INTENT_GROUP, StatusReader
from emco_common.status.models import answers_of
from emco_common.status.notify import StatusStreams, describe
from emco_common.store.api import Key
from emco_common.web.answers import empty, encoded
from emco_orchestrator.deployment import Deployments
from emco_orchestrator.history import Revisions
from emco_orchestrator.resources import GROUP
from emco_orchestrator.schemas import Migrate, Revision, Rollback


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
GiveUp = Annotated[
    Sequence[str],
    Query(
        alias="giveUp",
        description="Clusters (`<provider>%2B<cluster>`) that are lost: what is on them is left there, not waited for",
    ),
]


def _how_many(
    given: Annotated[
        str | None,
        Query(
            alias="removeClusters",
            description="How many clusters (a whole number) the deployment is meant to leave, where they are many "
            "(`EMCO_ORCHESTRATOR_REMOVAL_GUARD`); any other number is refused",
        ),
    ] = None,
) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise BadRequest(f"removeClusters must be a number of clusters, like 3, and is {given[:50]!r}")
    return int(given)


RemoveClusters = Annotated[int | None, Depends(_how_many)]


def _body(model: type[Wire]) -> dict[str, Any]:
    """How the body is described; it is decoded here, as leniently as all bodies are."""
    schema = model.model_json_schema(by_alias=True)
    content = {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}}
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items()}


def lifecycle_router(
    deployments: Deployments, status: StatusReader, streams: StatusStreams, revisions: Revisions
) -> APIRouter:
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
    async def instantiate(key: GroupKey, give_up: GiveUp = ()) -> Response:
        await deployments.instantiate(key, give_up=give_up)
        return empty(202)

    @router.post("/terminate", status_code=202, responses=refused, summary="Remove from the clusters")
    async def terminate(key: GroupKey, give_up: GiveUp = ()) -> Response:
        await deployments.terminate(key, give_up=give_up)
        return empty(202)

    @router.post("/give-up", status_code=202, responses=refused, summary="Go on without clusters that are lost")
    async def go_on_without(key: GroupKey, give_up: GiveUp = ()) -> Response:
        await deployments.give_up(key, give_up)
        return empty(202)

    @router.post("/stop", status_code=202, responses=refused, summary="Leave an installation or a removal where it is")
    async def stop(key: GroupKey) -> Response:
        await deployments.stop(key)
        return empty(202)

    @router.post(
        "/update",
        status_code=202,
        response_model=int,
        responses=refused,
        summary="Bring what is deployed to the present intents and charts; answers the new revision",
    )
    async def update(key: GroupKey, give_up: GiveUp = (), remove: RemoveClusters = None) -> Response:
        return encoded(await deployments.update(key, give_up=give_up, remove_clusters=remove), 202)

    @router.post("/rollback", status_code=202, responses=refused, summary="Back to a revision", **_body(Rollback))
    async def rollback(
        key: GroupKey, request: Request, give_up: GiveUp = (), remove: RemoveClusters = None
    ) -> Response:
        wanted = decode(Rollback, await request.body())
        await deployments.rollback(key, wanted.spec.revision, give_up=give_up, remove_clusters=remove)
        return empty(202)

    @router.post("/migrate", status_code=202, responses=refused, summary="Over to another group", **_body(Migrate))
    async def migrate(key: GroupKey, request: Request, give_up: GiveUp = (), remove: RemoveClusters = None) -> Response:
        to = decode(Migrate, await request.body()).spec
        await deployments.migrate(
            key,
            version=to.target_composite_app_version,
            group=to.target_deployment_intent_group,
            give_up=give_up,
            remove_clusters=remove,
        )
        return empty(202)

    @router.get("/revisions", response_model=list[Revision], responses=refused, summary="What was deployed, and when")
    async def read_revisions(key: GroupKey) -> Response:
        return encoded(await revisions.of(key))

    parameters = {"parameters": DEPLOYMENT_INTENT_GROUP.openapi()}

    @router.get(
        "/status",
        summary="Where the deployment stands",
        response_model=answers_of(DEPLOYMENT_INTENT_GROUP),
        responses=refused,
        openapi_extra=parameters,
    )
    async def read_status(key: GroupKey, request: Request) -> Response:
        return encoded(await status.answer(key, request.query_params.multi_items()))

    @router.get("/status/stream", summary="The status whenever it changes", **describe(DEPLOYMENT_INTENT_GROUP))
    async def stream_status(key: GroupKey, request: Request) -> Response:
        return await streams.open(key, request)

    return router
