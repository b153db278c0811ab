"""The status of a logical cloud (spec dcm 9): ready only when its user has access to every cluster (defect 7)."""

from __future__ import annotations

from emco_common.appcontext import AppContextStore
from emco_common.status import LOGICAL_CLOUD, Standing, StatusReader, head_of
from emco_common.status.query import Output, StatusQuery
from emco_common.status.reader import Verdicts
from emco_common.status.readiness import Ready
from emco_common.store.api import Key
from emco_dcm.access import CloudAccess
from emco_dcm.blueprint import APP
from emco_dcm.clouds import Clouds
from emco_dcm.manifests import CSR_KIND
from emco_dcm.views import View


def cloud_status(clouds: Clouds, contexts: AppContextStore, access: CloudAccess) -> StatusReader:
    """Reads and answers the status of clouds."""

    async def look(key: Key) -> Standing:
        cloud = await clouds.read(key)
        return Standing(head_of(project=key["project"], name=cloud.name), cloud.state)

    async def judge(key: Key, query: StatusQuery) -> Verdicts:
        cloud = await clouds.read(key)
        said = [verdict(view, detailed=query.output is Output.DETAIL) for view in await access.look(cloud, anew=False)]
        # A GitOps cluster has no signing request; there the namespace stands for the access.
        return {
            (
                APP,
                view.cluster,
                f"{view.request}+{CSR_KIND}" if view.request else f"{cloud.spec['namespace']}+Namespace",
            ): one
            for view, one in said
        }

    return StatusReader(look, contexts, LOGICAL_CLOUD, judge=judge)


def verdict(view: View, *, detailed: bool) -> tuple[View, Ready]:
    """Whether deployments can use the cluster; in detail also until when."""
    reason = view.problem
    if detailed and not reason and view.certificate is not None:
        reason = f"the certificate is valid until {view.certificate.until:%Y-%m-%dT%H:%M:%SZ}"
    if view.present is None and not reason:
        reason = "the access is being prepared"
    return view, Ready(view.present is not None, reason)
