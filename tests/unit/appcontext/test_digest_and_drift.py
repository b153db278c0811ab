"""What was acknowledged lies within the state, where readers of the original pass over it; what drifted lies beside."""

import json

from emco_common.appcontext import ResourceStatus, ResourceUpdate, keys
from emco_common.appcontext.status import ContextStatus, decode_status, encode_updates
from tests.unit.appcontext.builders import entries_of

PLACE = ("web", "p+edge", "c+ConfigMap")
ROOT = keys.resource("71", *PLACE)


def read(status: ResourceStatus) -> ResourceStatus:
    found: ContextStatus = decode_status("71", entries_of(encode_updates("71", [ResourceUpdate(*PLACE, status)])))
    return found.resource(*PLACE)


def test_a_digest_is_part_of_the_state_and_goes_with_it() -> None:
    puts = {put.key: put.value for put in encode_updates("71", [ResourceUpdate(*PLACE, ResourceStatus("Applied"))])}
    assert json.loads(puts[ROOT + keys.STATUS]) == {"Status": "Applied"}
    kept = ResourceStatus("Applied", digest="v1=x", drift="spec.replicas changed by kubectl-edit")
    assert read(kept) == kept


def test_without_a_state_no_digest_is_written() -> None:
    assert read(ResourceStatus(digest="v1=x", reason="waits")) == ResourceStatus(reason="waits")
