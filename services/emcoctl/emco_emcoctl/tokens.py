"""The token that goes with requests to a server where somebody is logged in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from emco_emcoctl.errors import ConfigError, NoInput
from emco_emcoctl.logins import Logins

if TYPE_CHECKING:
    from emco_emcoctl.config import Config, Endpoint


def stored_token(settings: Config, environ: Mapping[str, str]) -> str:
    """The token of the login at the server that the configuration names, renewed if it is over; ``""`` for none.

    Raises ``NoInput`` where the login has ended, ``TransportError`` where that cannot be told.
    """
    from emco_emcoctl.deviceflow import Provider, is_over

    logins = Logins(environ)
    try:
        server = front_of(settings).url
    except (ConfigError, NoInput):
        return ""
    found = logins.of(server)
    if found is None or not is_over(found, time.time()):
        return found.access_token if found else ""
    with logins.alone():
        found = logins.of(server)
        if found is None or not is_over(found, time.time()):
            return found.access_token if found else ""
        with Provider(found.issuer, ca_file=found.ca_file) as provider:
            renewed = provider.renewed(found)
        logins.put(renewed)
    return renewed.access_token


def front_of(settings: Config) -> Endpoint:
    """The one port that all requests go to; a token is for no other."""
    front = settings.endpoint("orchestrator")
    if settings.endpoint("clm").url != front.url:
        raise NoInput("the configuration names no ingress, and a login is for one server only")
    return front
