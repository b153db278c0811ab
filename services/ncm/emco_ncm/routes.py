"""Routes of ncm that are no plain resources: actions and status of a cluster's networks (spec ncm 2, 6, 7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from emco_common.status import CLUSTER_NETWORKS as DIALECT
from emco_common.status import StatusReader
from emco_common.status.models import answers_of
from emco_common.status.notify import StatusStreams, describe
from emco_common.store.api import Key
from emco_common.web.answers import empty, encoded
from emco_ncm.networks import Networks
from emco_ncm.resources import CLUSTER

YAML = "application/yaml"


def _cluster_key(clusterProvider: Annotated[str, Path()], cluster: Annotated[str, Path()]) -> Key:
    return {"clusterProvider": clusterProvider, "cluster": cluster}


ClusterKey = Annotated[Key, Depends(_cluster_key)]


def lifecycle_router(networks: Networks, status: StatusReader, streams: StatusStreams) -> APIRouter:
    router = APIRouter(prefix=CLUSTER.item_path, tags=["Cluster networks lifecycle"])
    refused: dict[int | str, dict[str, Any]] = {
        404: {"description": f"{CLUSTER.not_found}, or no rsync is registered"},
        409: {"description": "Not possible in the present state"},
        422: {"description": "A controller refused"},
        503: {"description": "rsync, a controller, the store or the bus is away"},
    }

    def action(verb: str, run: Callable[[Key], Awaitable[None]], summary: str) -> None:
        async def endpoint(key: ClusterKey) -> Response:
            await run(key)
            return empty(204)

        router.post(f"/{verb}", status_code=204, responses=refused, summary=summary, name=verb)(endpoint)

    action("apply", networks.apply, "Install the networks of the cluster")
    action("update", networks.update, "Bring changed intents of an applied cluster into force")
    action("terminate", networks.terminate, "Remove the networks of the cluster")
    action("stop", networks.stop, "Leave off what is under way")

    @router.get(
        "/networks-rendered",
        response_class=Response,
        responses={
            **refused,
            200: {"description": "Kubernetes objects", "content": {YAML: {"schema": {"type": "string"}}}},
        },
        summary="What the intents would install, as YAML",
    )
    async def rendered(key: ClusterKey) -> Response:
        return Response(await networks.manifests(key), media_type=YAML)

    @router.get(
        "/status",
        response_model=answers_of(DIALECT),
        responses={400: {"description": "An invalid query"}, 404: {"description": "Cluster state not found"}},
        openapi_extra={"parameters": DIALECT.openapi()},
        summary="Where the networks of the cluster stand",
    )
    async def read_status(key: ClusterKey, request: Request) -> Response:
        return encoded(await status.answer(key, request.query_params.multi_items()))

    @router.get("/status/stream", summary="The status whenever it changes", **describe(DIALECT))
    async def stream_status(key: ClusterKey, request: Request) -> Response:
        return await streams.open(key, request)

    return router
