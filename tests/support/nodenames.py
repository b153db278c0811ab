"""Names of services for pods of a real node: DNS that asks the API server, and answers with the pods that are ready.

There is no kube-proxy then: what a service's name leads to are its pods, as with a service without an address.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.witness import Witness

SUFFIX = ("svc", "cluster", "local")


class NodeNames:
    """A server on UDP with a thread of its own. It asks nobody else: names of no service are not there."""

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
            with suppress(dns.exception.DNSException):
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
