"""Routes of dcm that are no plain resources: actions and status of a logical cloud (spec dcm 2, 5, 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from emco_common.resources.router import build_router
from emco_common.resources.service import Hooks
from emco_common.status import LOGICAL_CLOUD as DIALECT
from emco_common.status import StatusReader
from emco_common.status.models import answers_of
from emco_common.status.notify import StatusStreams, describe
from emco_common.store.api import DocumentStore, Key
from emco_common.web.answers import empty, encoded
from emco_dcm.clouds import Clouds
from emco_dcm.downloads import Downloads
from emco_dcm.operations import LogicalClouds
from emco_dcm.resources import CLUSTER_REFERENCE, LOGICAL_CLOUD
from emco_dcm.schemas import LogicalCloud

_YAML = "application/yaml"


def _cloud_key(project: Annotated[str, Path()], logicalCloud: Annotated[str, Path()]) -> Key:
    return {"project": project, "logicalCloud": logicalCloud}


CloudKey = Annotated[Key, Depends(_cloud_key)]
GiveUp = Annotated[
    Sequence[str],
    Query(
        alias="giveUp",
        description="Clusters (`<provider>%2B<cluster>`) that are lost: what is on them is left there, not waited for",
    ),
]


def lifecycle_router(
    operations: LogicalClouds, status: StatusReader, streams: StatusStreams, downloads: Downloads
) -> APIRouter:
    router = APIRouter(prefix=LOGICAL_CLOUD.item_path, tags=["Logical Cloud lifecycle"])
    refused: dict[int | str, dict[str, Any]] = {
        400: {"description": "No cluster references, a deployment uses the cloud, or an invalid query"},
        404: {"description": LOGICAL_CLOUD.not_found},
        409: {"description": "Not possible in the present state"},
        503: {"description": "rsync, the store or the bus is away"},
    }

    @router.post("/instantiate", status_code=202, responses=refused, summary="Make the cloud usable by deployments")
    async def instantiate(key: CloudKey) -> Response:
        await operations.instantiate(key)
        return empty(202)

    @router.post("/terminate", status_code=202, responses=refused, summary="Remove the cloud from its clusters")
    async def terminate(key: CloudKey) -> Response:
        await operations.terminate(key)
        return empty(202)

    @router.post(
        "/update",
        status_code=202,
        response_model=LogicalCloud,
        responses=refused,
        summary="Bring changed references, permissions, quotas and labels into force",
    )
    async def update(key: CloudKey) -> Response:
        cloud = await operations.update(key)
        return encoded(cloud.document.body, 202)

    @router.post("/give-up", status_code=202, responses=refused, summary="Go on without clusters that are lost")
    async def go_on_without(key: CloudKey, give_up: GiveUp = ()) -> Response:
        await operations.give_up(key, give_up)
        return empty(202)

    @router.post("/stop", response_class=Response, responses=refused, summary="Leave off what is under way")
    async def stop(key: CloudKey) -> Response:
        await operations.stop(key)
        return empty(200)

    @router.post("/renew", status_code=202, responses=refused, summary="Ask for new certificates of the cloud's user")
    async def renew(key: CloudKey) -> Response:
        await operations.renew(key)
        return empty(202)

    parameters = {"parameters": DIALECT.openapi()}

    @router.get(
        "/status",
        response_model=answers_of(DIALECT),
        responses=refused,
        openapi_extra=parameters,
        summary="Where the cloud stands",
    )
    async def read_status(key: CloudKey, request: Request) -> Response:
        return encoded(await status.answer(key, request.query_params.multi_items()))

    @router.get("/status/stream", summary="The status whenever it changes", **describe(DIALECT))
    async def stream_status(key: CloudKey, request: Request) -> Response:
        return await streams.open(key, request)

    kubeconfig: dict[str, Any] = {
        "response_class": Response,
        "responses": {
            **refused,
            200: {"description": "A kubeconfig", "content": {_YAML: {"schema": {"type": "string"}}}},
            409: {"description": "There is none, or not yet; the answer says what it waits for"},
        },
    }

    @router.get("/kubeconfig", **kubeconfig, summary="The kubeconfig of the cloud's user, a context for each cluster")
    async def read_kubeconfig(key: CloudKey) -> Response:
        return _secret(await downloads.of_cloud(key))

    @router.get(
        "/cluster-references/{clusterReference}/kubeconfig",
        **kubeconfig,
        summary="The kubeconfig of the cloud's user on one cluster; empty for a GitOps cluster",
    )
    async def read_cluster_kubeconfig(key: CloudKey, clusterReference: Annotated[str, Path()]) -> Response:
        return _secret(await downloads.of_cluster(key, clusterReference))

    return router


def _secret(kubeconfig: bytes) -> Response:
    return Response(kubeconfig, media_type=_YAML, headers={"Cache-Control": "no-store"})


def references_router(store: DocumentStore, clouds: Clouds, hooks: Hooks) -> APIRouter:
    """Cluster references, of which every call asks for the cloud before it looks at the body (4.1 rule 1)."""

    async def of_a_known_cloud(key: CloudKey) -> None:
        await clouds.read(key)

    router = APIRouter()
    router.include_router(build_router(CLUSTER_REFERENCE, store, hooks), dependencies=[Depends(of_a_known_cloud)])
    return router
