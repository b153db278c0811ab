"""Wiring of the agent."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from pathlib import Path

import grpc
from prometheus_client import CollectorRegistry

from emco_agent.cluster import OwnCluster, Read, named_cluster, own_cluster
from emco_agent.connection import Connection, Place
from emco_agent.settings import AgentSettings
from emco_common import __version__
from emco_common.kube.kubeconfig import Policy
from emco_common.runtime import Service
from emco_common.settings import BadSettings
from emco_common.web.app import create_app
from emco_common.web.gauges import build_gauge

NAME = "agent"
_MAX_BODY = 4096


def create_service(settings: AgentSettings, environment: Mapping[str, str] = os.environ) -> Service:
    """The agent of one cluster. ``BadSettings``."""
    cluster = OwnCluster(_way(settings, environment), clock=time.monotonic)
    connection = Connection(
        Place(settings.server, _credentials(settings), settings.server_name),
        cluster,
        name=settings.cluster,
        token=settings.present_token,
        version=__version__,
        random=random.random,
    )
    metrics = CollectorRegistry()
    build_gauge(metrics, component=NAME, version=__version__, revision=environment.get("EMCO_META_EMCO_SHA", ""))
    app = create_app(
        NAME,
        [],
        version=__version__,
        max_body=_MAX_BODY,
        max_upload=_MAX_BODY,
        ready={"rsync": connection.ready},
        metrics=metrics,
    )
    return Service(
        NAME,
        app,
        settings.host,
        settings.http_port,
        background=(connection.run,),
        leaving=connection.finish,
        closing=cluster.close,
    )


def _way(settings: AgentSettings, environment: Mapping[str, str]) -> Read:
    if not settings.kubeconfig:
        return own_cluster(environment)
    # The file is of whoever runs the agent, who may as well name an address that needs no proof.
    policy = Policy(allow_http=True, allow_insecure_tls=True, allow_server_name=True)
    return named_cluster(Path(settings.kubeconfig), policy=policy)


def _credentials(settings: AgentSettings) -> grpc.ChannelCredentials | None:
    if settings.plaintext:
        return None
    try:
        return grpc.ssl_channel_credentials(
            _read(settings.ca_file), private_key=_read(settings.key_file), certificate_chain=_read(settings.cert_file)
        )
    except OSError as error:
        raise BadSettings(f"{error.filename} cannot be read: {error.strerror}") from error


def _read(file: str) -> bytes | None:
    return Path(file).read_bytes() if file else None
