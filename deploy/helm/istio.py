"""Writes ``emco/files/istio.json``, of which the chart makes Istio's resources: what ``emco deploy istio`` prints, with
words in capitals where values go. A test says that it is as it would be written now.

Run it after a change of the routes or the roles: ``python deploy/helm/istio.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

from emco_allinone.deploying import authservice, istio
from emco_allinone.deploying.wanted import Issuer, Wanted, in_cluster
from emco_common.access.routes import OWN

FILE = Path(__file__).parent / "emco" / "files" / "istio.json"
ISSUER = "https://ISSUER"
MESH = istio.Mesh(
    "EMCO-HOST",
    namespace="EMCO-NAMESPACE",
    gateway_namespace="GATEWAY-NAMESPACE",
    gateway_app="GATEWAY-APP",
    credential="GATEWAY-CREDENTIAL",
    browser=True,
)


def written() -> str:
    """Resources by what they are there for: ``mesh`` always, ``tokens`` with an issuer, ``project`` (by role) for each
    project, ``browser`` where browsers log in."""
    wanted = Wanted(in_cluster(OWN, MESH.namespace), [Issuer(ISSUER)], claim="CLAIM", projects=["PROJECT"])
    peers, gateway, routes, tokens, deny, admin, viewer, of_user, of_viewer, log_in = istio.resources(wanted, MESH)
    groups: dict[str, object] = {
        "mesh": [peers, gateway, routes],
        "tokens": [tokens, deny, admin, viewer],
        "project": {"User": of_user, "Viewer": of_viewer},
        "browser": [
            log_in,
            *authservice.resources(wanted, MESH, authservice.Browser("BROWSER-IMAGE", "BROWSER-CLIENT")),
        ],
    }
    return json.dumps(groups, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
