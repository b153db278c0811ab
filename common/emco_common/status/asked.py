"""The state of a context as its users are told: as soon as something is asked of it, it is on its way. Pure.

rsync answers when an event is queued and writes the state when it begins with it. Who asks in between must not read the
end of something earlier, or that nothing has been asked for (emcoctl 9: the first answer after the 202;
orchestrator-lifecycle defect 34).
"""

from __future__ import annotations

from collections.abc import Mapping

from emco_common.appcontext import ContextState, ContextStatus
from emco_common.appcontext.states import QueueEvent, QueueState

_RUNNING: Mapping[str, ContextState] = {
    QueueEvent.INSTANTIATE: ContextState.INSTANTIATING,
    QueueEvent.READ: ContextState.INSTANTIATING,
    QueueEvent.UPDATE: ContextState.INSTANTIATING,
    QueueEvent.ROLLBACK: ContextState.INSTANTIATING,
    QueueEvent.TERMINATE: ContextState.TERMINATING,
    QueueEvent.UPDATE_DELETE: ContextState.UPDATING,
}
_NO_WAY_BACK = frozenset({ContextState.TERMINATING, ContextState.TERMINATED, ContextState.TERMINATE_FAILED})


def state_told(status: ContextStatus) -> str:
    """What is stored, or what the first waiting event makes of it; a termination goes before all else."""
    stored = status.status or ContextState.CREATED
    pending = (element.event for element in status.queue or () if element.status == QueueState.PENDING)
    waiting = [event for event in pending if event in _RUNNING]
    event = QueueEvent.TERMINATE if QueueEvent.TERMINATE in waiting else next(iter(waiting), "")
    if stored == ContextState.TERMINATED or (stored in _NO_WAY_BACK and event != QueueEvent.TERMINATE):
        return stored  # whatever still waits will be skipped
    return _RUNNING.get(event, stored)
