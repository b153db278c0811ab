"""What dcm counts: every cloud with where it stands (spec dcm 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from emco_common.errors import EmcoError
from emco_common.operations import Subject
from emco_common.status import StatusReader
from emco_common.status.model import Readiness
from emco_dcm.clouds import Clouds

_log = structlog.get_logger()
_LABELS = ("project", "name", "deployed_status", "ready_status")


class CloudGauge(Collector):
    """``refresh`` before each scrape; a cloud whose status cannot be read has no series, since nothing is known."""

    def __init__(self, registry: CollectorRegistry, clouds: Clouds, status: StatusReader) -> None:
        self._clouds = clouds
        self._status = status
        self._found: list[Sequence[str]] = []
        registry.register(self)

    async def refresh(self) -> None:
        found: list[Sequence[str]] = []
        try:
            found = [await self._read(cloud) for cloud in await self._clouds.all()]
        except EmcoError as error:
            _log.warning("gauges_not_read", error=str(error))
        finally:
            self._found = [one for one in found if one]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("emco_logical_cloud", "Logical clouds", labels=_LABELS)
        for values in self._found:
            family.add_metric(list(values), 1.0)
        yield family

    async def _read(self, cloud: Subject) -> Sequence[str]:
        try:
            answer = await self._status.answer(cloud.key, [("output", "summary"), ("status", "ready")])
        except EmcoError:
            return ()
        deployed = answer.get("deployedStatus", str(cloud.state.state))
        return cloud.key["project"], cloud.name, deployed, answer.get("readyStatus", Readiness.NOT_READY)
