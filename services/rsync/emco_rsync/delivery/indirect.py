"""A cluster that is not told by calls but by way of something that it follows: what rsync has to know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from emco_common.kube import KubeApi
from emco_rsync.delivery.layout import Consignment


class Indirect(ABC):
    """Besides being a ``KubeApi``. What it acknowledges is on its way; order on the cluster, retries and the wait for
    definitions are the affair of what runs there, and calls that come together are better than a few at a time.

    A class and no protocol, as every call to every cluster asks for it.
    """

    @property
    @abstractmethod
    def remark(self) -> str:
        """What its users should know although it is available; ``""`` if there is nothing."""

    @abstractmethod
    def listen(self, changed: Callable[[], None]) -> None:
        """Whom to tell when the remark has changed; one at a time."""

    @abstractmethod
    def within(self, of: Consignment, resource: str, *, alone: bool) -> KubeApi:
        """The same for one resource of a deployment; ``alone``: the resource is one object."""

    @abstractmethod
    async def prepare(self, of: Consignment) -> None:
        """Make the cluster follow the deployment. Safe to repeat; any ``KubeError``."""

    @abstractmethod
    async def withdraw(self, of: Consignment) -> None:
        """Nothing of the app is to be on the cluster any more, and if it was the last one, the cluster need not follow
        the deployment. Safe to repeat; any ``KubeError``."""
