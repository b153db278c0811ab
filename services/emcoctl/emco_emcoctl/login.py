"""``login``, ``logout``, ``whoami``: the user's side of OpenID Connect. What they need is imported when they run."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from emco_emcoctl.errors import CtlError, NoInput
from emco_emcoctl.logins import Login, Logins
from emco_emcoctl.options import CONFIG, takes
from emco_emcoctl.tokens import front_of, stored_token

if TYPE_CHECKING:
    from emco_emcoctl.config import Endpoint
    from emco_emcoctl.deviceflow import Prompt
    from emco_emcoctl.session import Session

_SCOPE = "openid"


@click.command(short_help="Log in at the server's OpenID provider.", add_help_option=False)
@takes(CONFIG)
@click.option("--issuer", default="", metavar="URL", help="The OpenID provider; by default the server says which.")
@click.option("--client", default="", metavar="ID", help="The client to log in as; by default the server says which.")
@click.option("--scope", default=_SCOPE, show_default=True, help="Scopes to ask for.")
@click.option("--issuer-ca", default="", metavar="FILE", help="CA of the provider's certificate, PEM.")
@click.pass_obj
def login(session: Session, /, *, config: str, issuer: str, client: str, scope: str, issuer_ca: str) -> None:
    """Log in at the OpenID provider of the server, in any browser, and be known to it from then on."""
    from emco_emcoctl.deviceflow import Provider

    settings, _ = session.prepared(config)
    front = front_of(settings)
    told: Mapping[str, Any] = {} if issuer and client else _told_by(front)
    issuers = told.get("authorization_servers") or [""]
    issuer, client = issuer or str(issuers[0]), client or str(told.get("emco_client_id") or "emcoctl")
    if not issuer:
        raise NoInput(f"{front.url} does not say whom to log in at; name it with --issuer")

    def prompt(asked: Prompt) -> None:
        session.show(f"Open {asked.whole_url}\nand log in there. The code is {asked.code}, good for {asked.seconds} s.")

    ca_file = str((session.cwd / issuer_ca).absolute()) if issuer_ca else ""
    logins = Logins(session.environ)
    with Provider(issuer, ca_file=ca_file) as provider:
        made = provider.log_in(front.url, client=client, scope=scope, prompt=prompt, sleep=session.sleep)
    with logins.alone():
        logins.put(Login(**{**vars(made), "claim": str(told.get("emco_claim") or "")}))
    session.show(f"Logged in at {front.url} as {_name(made)}.")


@click.command(short_help="End the login, and forget it.", add_help_option=False)
@takes(CONFIG)
@click.pass_obj
def logout(session: Session, /, *, config: str) -> None:
    """End the login at the server, and forget it."""
    from emco_emcoctl.deviceflow import Provider

    settings, report = session.prepared(config)
    front = front_of(settings)
    logins = Logins(session.environ)
    with logins.alone():
        found = logins.of(front.url)
        if found is None:
            session.show(f"Nobody is logged in at {front.url}.")
            return
        logins.forget(front.url)
    try:
        with Provider(found.issuer, ca_file=found.ca_file) as provider:
            provider.log_out(found)
    except CtlError as error:
        report.warning(f"forgotten here, but {error}")
    session.show(f"Logged out at {front.url}.")


@click.command(short_help="Tell who is logged in, and with which grants.", add_help_option=False)
@takes(CONFIG)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Show the data alone, in this form.")
@click.pass_obj
def whoami(session: Session, /, *, config: str, output: str | None) -> None:
    """Tell who is logged in at the server, with which grants, and until when."""
    settings, _ = session.prepared(config, form=output or "")
    front = front_of(settings)
    token = stored_token(settings, session.environ)
    found = Logins(session.environ).of(front.url)
    if not token or found is None:
        raise NoInput(f"nobody is logged in at {front.url}; run `emcoctl login`")
    grants = _at(_claims(found.access_token), found.claim) if found.claim else None
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.expires))
    facts = {
        "server": found.server,
        "user": _name(found),
        "issuer": found.issuer,
        "grants": grants,
        "tokenUntil": until,
    }
    if output:
        session.show(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if shown is not None:
            session.show(f"{key:<11}{shown}")


COMMANDS = (login, logout, whoami)


def _told_by(front: Endpoint) -> Mapping[str, Any]:
    """What the server says of whom it believes; nothing where it does not say."""
    import httpx

    from emco_emcoctl.deviceflow import METADATA

    verify = front.tls.context() if front.url.startswith("https") else False
    try:
        with httpx.Client(verify=verify, timeout=15) as client:
            answer = client.get(front.url + METADATA)
        found = answer.json() if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _claims(token: str) -> Mapping[str, Any]:
    """What the token says, which is for showing only: nothing is checked here."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _name(found: Login) -> str:
    claims = _claims(found.access_token)
    return str(claims.get("preferred_username") or claims.get("email") or claims.get("sub") or "somebody")


def _at(claims: Mapping[str, Any], where: str) -> list[str]:
    value: Any = claims.get(where)
    if value is None:
        value = claims
        for name in where.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return [value] if isinstance(value, str) else [str(one) for one in value or []]
