"""Ways for pods of a real node: to ports of this machine, and to services by their names.

There is no kube-proxy: what a service's name leads to are its pods, as with a service without an address.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from urllib3.exceptions import HTTPError

from tests.support.forwarder import Forwarder
from tests.support.nodesettings import HOST
from tests.support.witness import Witness

SUFFIX = ("svc", "cluster", "local")


class Doors:
    """Ports of `HOST` behind which are those of the same number of 127.0.0.1."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="doors", daemon=True)
        self._forwarders: list[Forwarder] = []
        self._thread.start()

    def open(self, port: int) -> None:
        forwarder = Forwarder(port)
        asyncio.run_coroutine_threadsafe(forwarder.start(host=HOST, port=port), self._loop).result(10)
        self._forwarders.append(forwarder)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _shut(self) -> None:
        for forwarder in self._forwarders:
            await forwarder.stop()
        if passing := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(passing, timeout=5)  # they end, since their connections are cut


class NodeNames:
    """DNS that asks the API server, and answers with the pods that are ready.

    It asks nobody else: names of no service are not there.
    """

    def __init__(self, witness: Witness, *, address: str, port: int = 53) -> None:
        self._witness = witness
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            packet, sender = self._socket.recvfrom(4096)
            if not packet:
                return
            with suppress(dns.exception.DNSException, HTTPError):  # who gets no answer asks again
                self._socket.sendto(self._answer(dns.message.from_wire(packet)).to_wire(), sender)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query, recursion_available=True)
        answer.flags |= dns.flags.AA
        [question] = query.question
        addresses = self._addresses(question.name.to_text(omit_final_dot=True))
        if addresses is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif addresses and question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text_list(question.name, 1, "IN", "A", addresses))
        return answer

    def _addresses(self, name: str) -> list[str] | None:
        """Of the pods that are ready; None where there is no such service."""
        labels = name.lower().split(".")
        if len(labels) != 2 + len(SUFFIX) or tuple(labels[2:]) != SUFFIX:
            return None
        service, namespace = labels[:2]
        if self._witness.send("GET", f"/api/v1/namespaces/{namespace}/services/{service}").status != 200:
            return None
        slices = self._witness.send(
            "GET",
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            labelSelector=f"kubernetes.io/service-name={service}",
        )
        endpoints = [endpoint for piece in slices.body["items"] for endpoint in piece.get("endpoints") or ()]
        return sorted(
            {address for one in endpoints if one["conditions"].get("ready", True) for address in one["addresses"]}
        )
