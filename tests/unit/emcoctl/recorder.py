"""A server with a port for each service that writes down what it receives and answers by a script, or by rule."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SERVICES = ("ingress", "orchestrator", "clm", "ncm", "dcm", "ovnaction", "gac", "dtc", "cacert", "policy")
_BY_RULE = {"POST": (201, "created"), "PUT": (200, "updated"), "GET": (200, '{"a":1}'), "DELETE": (204, "")}
_ACTIONS = ("instantiate", "approve", "terminate", "apply")


@dataclass(frozen=True)
class Seen:
    """A request as it came: ``target`` and ``body`` are the bytes on the wire."""

    service: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """``cut`` announces so many bytes more than are sent; ``drop`` closes the connection without an answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    drop: bool = False


class Recorder:
    """With ``tls`` every port is one for https."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.script: list[Reply] = []
        self.ports: dict[str, int] = {}
        self._servers: list[ThreadingHTTPServer] = []
        for service in SERVICES:
            server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(service))
            server.daemon_threads = True
            if tls:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers.append(server)
            self.ports[service] = server.server_address[1]

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def config(self, services: Sequence[str] = SERVICES[1:]) -> str:
        """A configuration file for these services."""
        return "".join(f"{name}: {{host: 127.0.0.1, port: {self.ports[name]}}}\n" for name in services)

    @property
    def lines(self) -> list[str]:
        """The requests in short: service, method, target."""
        return [f"{one.service} {one.method} {one.target}" for one in self.seen]

    def _handler(self, service: str) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle_one(self) -> None:
                body = _chunks(self.rfile) if "Transfer-Encoding" in self.headers else self._sized()
                headers = {key.lower(): value for key, value in self.headers.items()}
                recorder.seen.append(Seen(service, self.command, self.path, headers, body))
                reply = recorder.script.pop(0) if recorder.script else _by_rule(self.command, self.path)
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body) + reply.cut))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = self.close_connection or bool(reply.cut)

            do_GET = do_POST = do_PUT = do_DELETE = handle_one

            def _sized(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        return Handler


def _chunks(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _by_rule(method: str, target: str) -> Reply:
    if method == "POST" and target.rpartition("/")[2] in _ACTIONS:
        return Reply(202)
    status, body = _BY_RULE[method]
    return Reply(status, body.encode())
