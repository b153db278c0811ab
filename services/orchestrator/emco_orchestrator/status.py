"""The status of a deployment intent group (spec orchestrator-lifecycle 12)."""

from __future__ import annotations

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest
from emco_common.operations import Subjects
from emco_common.status import DEPLOYMENT_INTENT_GROUP, Standing, StatusReader, head_of
from emco_common.store.api import Key


def group_status(groups: Subjects, contexts: AppContextStore) -> StatusReader:
    """Reads and answers the status of groups; a context that is gone is a 400, as it always was (12.1)."""

    async def look(key: Key) -> Standing:
        group = await groups.read(key)
        head = head_of(
            project=group.key["project"],
            compositeApp=group.key["compositeApp"],
            compositeAppVersion=group.key["compositeAppVersion"],
            compositeProfile=group.spec["compositeProfile"],
            name=group.name,
        )
        return Standing(head, group.state)

    return StatusReader(look, contexts, DEPLOYMENT_INTENT_GROUP, gone=BadRequest)
