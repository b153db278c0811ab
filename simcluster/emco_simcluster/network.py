"""Addresses a cluster hands out: cluster IPs, node ports, load balancer and pod addresses."""

from __future__ import annotations

import ipaddress
from typing import Any

Json = dict[str, Any]


class Network:
    """Counters over private ranges (service 10.96.0.0/12, pods 10.244.0.0/16, load balancers 198.18.0.0/15)."""

    def __init__(self) -> None:
        self._next = {"service": 10, "pod": 2, "balancer": 1, "port": 30_000}

    def _take(self, sort: str, base: str) -> str:
        number = self._next[sort]
        self._next[sort] += 1
        return str(ipaddress.IPv4Address(base) + number)

    def pod_address(self) -> str:
        return self._take("pod", "10.244.0.0")

    def balancer_address(self) -> str:
        return self._take("balancer", "198.18.0.0")

    def _port(self) -> int:
        port = self._next["port"]
        self._next["port"] = 30_000 + (port - 29_999) % 2_768
        return port

    def assign(self, service: Json, live: Json | None) -> None:
        """Give a service its addresses and node ports, keeping those it has."""
        spec = service["spec"]
        before = (live or {}).get("spec") or {}
        if spec["type"] == "ExternalName":
            return
        for field in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            if not spec.get(field) and before.get(field):
                spec[field] = before[field]
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._take("service", "10.96.0.0")
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        if spec["type"] in ("NodePort", "LoadBalancer"):
            known = {(p.get("port"), p.get("protocol")): p.get("nodePort") for p in before.get("ports") or ()}
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = known.get((port.get("port"), port.get("protocol"))) or self._port()
