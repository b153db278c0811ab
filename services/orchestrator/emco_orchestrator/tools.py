"""What the procedures work with, and the questions that several of them ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emco_common.appcontext.io import AppContextStore, ContextNotFound, new_id
from emco_common.controllerclient import ControllerClient
from emco_common.errors import Conflict
from emco_common.givingup import given_up
from emco_common.operations import Operation, Subject, Subjects
from emco_common.rpc import contextupdate_pb2
from emco_common.rsyncclient import RsyncClient
from emco_orchestrator.building import Builder
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.inputs import InputReader
from emco_orchestrator.keeping import Keeper
from emco_orchestrator.metrics import Steps
from emco_orchestrator.removalguard import RemovalGuard


@dataclass(frozen=True, slots=True)
class Tools:
    """``keeper`` removes what nobody can come back to, ``guard`` asks before many clusters are left."""

    groups: Subjects
    inputs: InputReader
    builder: Builder
    contexts: AppContextStore
    controllers: ControllerClient
    rsync: RsyncClient
    keeper: Keeper
    guard: RemovalGuard
    steps: Steps
    randbelow: Callable[[int], int]

    def new_context(self) -> str:
        return new_id(self.randbelow)

    async def tell(self, group: Subject, instance: str, event: contextupdate_pb2.EventType) -> None:
        """Post the event to every controller that the group's intents name (10.4)."""
        await self.controllers.post_event(await self.inputs.controllers(group), instance, event)

    async def running(self, group: Subject, verb: Verb) -> str:
        """The context of a deployment that is there. Raises if the table refuses ``verb`` or the context is lost."""
        LIFECYCLE.next(verb, group.state.state, name=group.name)
        await self.status_of(group.state.instance)
        return group.state.instance

    async def give_up(self, operation: Operation) -> None:
        """Do what rsync has been asked for without the clusters that are lost. Afterwards: an update that is queued
        forgets what was given up before."""
        if lost := given_up(operation.asked):
            await self.contexts.give_up(operation.instance, lost)

    async def status_of(self, instance: str) -> str | None:
        """What rsync says of a context. Raises ``Conflict`` if it is not on the bus."""
        try:
            return await self.contexts.get_status(instance)
        except ContextNotFound as error:
            detail = (
                "Nothing else knows what it has brought; terminate with giveUp, naming any cluster, leaves that there"
            )
            raise Conflict(f"Error getting AppContext with Id: {instance}: {error}", detail=detail) from error
