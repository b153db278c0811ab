"""What keeps a process from writing for a deployment that another process owns by now (rsync D21, robustness 59).

Asked locally and cheaply before each write to a cluster; on the bus it is a comparison that goes along with each write.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from emco_common.contextbus.api import Compare
from emco_common.errors import EmcoError


class NotOwner(EmcoError):
    """This process does not own the deployment any more. Whoever does goes on with it, so nothing is to be written."""


class Fence(Protocol):
    """The right to write for one deployment, from its acquisition to its loss; a later one is another object."""

    def __call__(self) -> None:
        """``NotOwner`` unless the deployment is surely still ours at this moment."""
        ...

    @property
    def lost(self) -> bool: ...

    def writing(self) -> AbstractContextManager[None]:
        """Around one write to a cluster: not begun without the right to it (``NotOwner``), and cut when that ends."""
        ...

    def guard(self) -> list[Compare]:
        """What has to hold on the bus, so that a write to it is refused to whoever is not the owner."""
        ...

    async def confirm(self) -> None:
        """Ask the bus, after it has refused a write: ``NotOwner``, or there was another reason for that."""
        ...


class Unfenced:
    """For what nobody else could own."""

    lost = False

    def __call__(self) -> None:
        return None

    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def guard(self) -> list[Compare]:
        return []

    async def confirm(self) -> None:
        return None
