"""The status of a logical cloud (spec dcm 9): ready only when its user has access to every cluster (defect 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest
from emco_common.lifecycle import NoStateInformation
from emco_common.operations import Subject
from emco_common.status import LOGICAL_CLOUD, head_of, parse_query, read_contexts, status_answer
from emco_common.status.query import Output, StatusQuery
from emco_common.status.readiness import Ready
from emco_common.store.api import Key
from emco_dcm.access import CloudAccess
from emco_dcm.clouds import Clouds
from emco_dcm.drafts import APP
from emco_dcm.manifests import CSR_KIND
from emco_dcm.views import View

Verdicts = dict[tuple[str, str, str], Ready]


class CloudStatus:
    """Answers status queries."""

    def __init__(self, clouds: Clouds, contexts: AppContextStore, access: CloudAccess) -> None:
        self._clouds = clouds
        self._contexts = contexts
        self._access = access

    async def answer(self, key: Key, parameters: Iterable[tuple[str, str]]) -> Any:
        """Raises ``NotFound`` for an unknown cloud or a context that is gone, ``BadRequest`` for a bad query."""
        query = parse_query(parameters, LOGICAL_CLOUD)
        cloud = await self._clouds.read(key)
        try:
            contexts = await read_contexts(self._contexts, cloud.state, query)
        except NoStateInformation as error:
            raise BadRequest(str(error)) from error
        if contexts is not None and query.form.of_clusters and not contexts.past:
            contexts = replace(contexts, verdicts=await self._verdicts(cloud, query))
        return status_answer(head_of(project=key["project"], name=cloud.name), cloud.state, contexts, query)

    async def _verdicts(self, cloud: Subject, query: StatusQuery) -> Verdicts:
        said = [verdict(view, detailed=query.output is Output.DETAIL) for view in await self._access.look(cloud)]
        # A GitOps cluster has no signing request; there the namespace stands for the access.
        return {
            (
                APP,
                view.cluster,
                f"{view.request}+{CSR_KIND}" if view.request else f"{cloud.spec['namespace']}+Namespace",
            ): one
            for view, one in said
        }


def verdict(view: View, *, detailed: bool) -> tuple[View, Ready]:
    """Whether deployments can use the cluster; in detail also until when."""
    reason = view.problem
    if detailed and not reason and view.certificate is not None:
        reason = f"the certificate is valid until {view.certificate.until:%Y-%m-%dT%H:%M:%SZ}"
    if view.present is None and not reason:
        reason = "the access is being prepared"
    return view, Ready(view.present is not None, reason)
