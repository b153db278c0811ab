"""From a group's intents to an AppContext on the bus that every controller has had its say in.

The steps of spec orchestrator-lifecycle 3 (2 to 8), the same for instantiate, update and migrate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import AppContext
from emco_common.controllerclient import PLACEMENT, ControllerClient, ControllerInput
from emco_common.errors import Unprocessable
from emco_common.operations import Subject
from emco_orchestrator.assembly import assemble, groups_of, pruned
from emco_orchestrator.inputs import InputReader, Inputs
from emco_orchestrator.metrics import Steps
from emco_orchestrator.origins import origin_of
from emco_orchestrator.placement import survivors
from emco_orchestrator.removalguard import Placement
from emco_orchestrator.rendering import Renderings


class NoClusterLeft(Unprocessable):
    """Placement controllers removed every cluster of an app."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A context that is only looked at; ``unheard`` are the controllers that would have their say."""

    context: AppContext
    unheard: tuple[ControllerInput, ...]


class Builder:
    """Builds contexts; every step is timed under its name."""

    def __init__(
        self,
        inputs: InputReader,
        renderings: Renderings,
        contexts: AppContextStore,
        controllers: ControllerClient,
        steps: Steps,
    ) -> None:
        self._inputs = inputs
        self._renderings = renderings
        self._contexts = contexts
        self._controllers = controllers
        self._steps = steps

    async def build(
        self,
        group: Subject,
        instance: str,
        *,
        source: str = "",
        status_context: str = "",
        verb: str = "",
        allows: Callable[[Placement], None] = lambda _: None,
    ) -> None:
        """Write the context ``instance``; ``source`` is the one it replaces, ``status_context`` where status is kept.
        ``verb`` is remembered with it. ``allows`` may refuse, by raising, where the apps go: before anything is written
        or, if placement controllers have a say, before action controllers hear of it.

        Raises the errors of spec orchestrator-lifecycle 3.1; what was written by then is the caller's to remove.
        """
        inputs, asked, context = await self._assembled(group, instance, allows)
        with self._steps.timed("write"):
            context = replace(context, status_context=status_context)
            await self._contexts.write_new(context, origin=origin_of(inputs, verb=verb))
        with self._steps.timed("controllers"):
            if asked:
                await self._controllers.filter_clusters(inputs.controllers, instance)
                await self._prune(instance)
                allows(await self._contexts.placement(instance))
            await self._controllers.update_context(inputs.controllers, instance, source=source)

    async def draft(self, group: Subject, instance: str, *, status_context: str = "") -> Draft:
        """The same context, but not written, and without what controllers would do to it. Raises the same errors."""
        inputs, _, context = await self._assembled(group, instance, lambda _: None, final=True)
        return Draft(replace(context, status_context=status_context), inputs.controllers)

    async def _assembled(
        self, group: Subject, instance: str, allows: Callable[[Placement], None], *, final: bool = False
    ) -> tuple[Inputs, bool, AppContext]:
        """What was read, whether placement controllers are to be asked, and the context; ``final``: as if not."""
        with self._steps.timed("read"):
            inputs = await self._inputs.read(group)
        asked = not final and any(controller.type == PLACEMENT for controller in inputs.controllers)
        with self._steps.timed("place"):
            groups = groups_of(inputs) if asked else pruned(groups_of(inputs))
            if not asked:
                allows(
                    {app: frozenset(name for group in held for name in group.clusters) for app, held in groups.items()}
                )
        with self._steps.timed("render"):
            rendered = await self._renderings.all_of(inputs)
        with self._steps.timed("assemble"):
            return inputs, asked, assemble(instance, inputs, groups, rendered)

    async def _prune(self, instance: str) -> None:
        for app in (await self._contexts.read(instance)).apps:
            kept = survivors({n: [c.name for c in clusters] for n, clusters in app.groups().items()})
            if not kept:
                raise NoClusterLeft(
                    f"No Qualified Clusters to deploy App {app.name}: the placement controllers left none"
                )
            for cluster in app.clusters:
                if cluster.name not in kept:
                    await self._contexts.delete_cluster(instance, app.name, cluster.name)
