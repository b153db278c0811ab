"""Logs are JSON lines, and facts that speak of a secret are masked at any depth."""

import io
import json

import structlog

from emco_common.log import configure_logging


def test_secrets_are_masked_and_the_rest_is_not() -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    try:
        structlog.get_logger().info(
            "cluster_registered",
            cluster="edge",
            kubeconfig="canary",
            headers={"Authorization": "Bearer canary", "Accept": "*/*"},
        )
    finally:
        structlog.reset_defaults()
    line = json.loads(stream.getvalue())
    assert line["event"] == "cluster_registered"
    assert (line["cluster"], line["kubeconfig"]) == ("edge", "***")
    assert line["headers"] == {"Authorization": "***", "Accept": "*/*"}
    assert "canary" not in stream.getvalue()
