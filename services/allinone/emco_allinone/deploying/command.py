"""``emco deploy``: prints what is to be put in front of EMCO."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import yaml

from emco_allinone.deploying import authservice, envoy, istio
from emco_allinone.deploying.wanted import Issuer, Wanted, in_cluster
from emco_common.access.routes import OWN


@click.group(short_help="Print configuration for Istio or Envoy.")
def deploy() -> None:
    """Print configuration for what stands in front of EMCO, made from its own table of routes and roles."""


def _common(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--issuer", "issuers", multiple=True, metavar="URL[=JWKS]", help="Issuer of tokens; repeatable."),
        click.option("--audience", default="emco", show_default=True, help="Audience that tokens must be meant for."),
        click.option(
            "--claim", default="role", show_default=True, help="Claim with the grants; dots lead into objects."
        ),
        click.option("--project", "projects", multiple=True, help="A project with users of its own; repeatable."),
        click.option(
            "--service", "services", multiple=True, help="An installed service; repeatable.  [default: EMCO's]"
        ),
        click.option("--namespace", default="emco", show_default=True, help="Where EMCO is installed."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@deploy.command("istio")
@click.option("--host", required=True, help="The name under which EMCO is reached.")
@_common
@click.option("--gateway-namespace", default="istio-system", show_default=True, help="Where the gateway's pods are.")
@click.option("--gateway-app", default="ingressgateway", show_default=True, help="Their label `istio`.")
@click.option(
    "--credential", default="emco-credential", show_default=True, help="Secret with the gateway's certificate."
)
@click.option("--browser", "image", metavar="IMAGE", help="Log browsers in, by authservice, whose image this is.")
@click.option("--client", default="emco", show_default=True, help="The confidential client for that.")
def print_istio(
    host: str, gateway_namespace: str, gateway_app: str, credential: str, image: str | None, client: str, **common: Any
) -> None:
    """Istio's resources, to be piped into `kubectl apply -f -`."""
    mesh = istio.Mesh(
        host,
        namespace=common["namespace"],
        gateway_namespace=gateway_namespace,
        gateway_app=gateway_app,
        credential=credential,
        browser=image is not None,
    )
    try:
        wanted = _wanted(**common)
        if image is not None and not wanted.issuers:
            raise ValueError("--browser needs --issuer, where browsers are sent to")
        made = istio.resources(wanted, mesh)
        if image is not None:
            made += authservice.resources(wanted, mesh, authservice.Browser(image, client))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(yaml.safe_dump_all(made, sort_keys=False, width=120), nl=False)


@deploy.command("envoy")
@_common
@click.option("--at", "places", multiple=True, metavar="SERVICE=HOST:PORT", help="Where a service is; repeatable.")
@click.option("--port", default=9443, show_default=True, type=click.IntRange(1, 65535))
@click.option("--certificate", default="", help="PEM file; without one Envoy speaks plain HTTP.")
@click.option("--key", default="", help="PEM file of its private key.")
@click.option("--issuers-ca", default=envoy.Listening.issuers_ca, show_default=True, help="PEM file of CAs of issuers.")
def print_envoy(places: tuple[str, ...], port: int, certificate: str, key: str, issuers_ca: str, **common: Any) -> None:
    """A configuration for Envoy without a mesh."""
    listening = envoy.Listening(port=port, certificate=certificate, key=key, issuers_ca=issuers_ca)
    try:
        made = envoy.configuration(_wanted(places=places, **common), listening)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(json.dumps(made, indent=2))


def _wanted(
    *,
    issuers: tuple[str, ...],
    audience: str,
    claim: str,
    projects: tuple[str, ...],
    services: tuple[str, ...],
    namespace: str,
    places: tuple[str, ...] = (),
) -> Wanted:
    hosts = in_cluster(services or OWN, namespace)
    for place in places:
        name, _, at = place.partition("=")
        if name not in hosts or not at.rpartition(":")[2].isdigit():
            raise ValueError(f"--at {place} is not SERVICE=HOST:PORT of one of {', '.join(hosts)}")
        hosts[name] = at
    found = [Issuer(*text.split("=", 1)) for text in issuers]
    if projects and not found:
        raise ValueError("--project needs --issuer: without one nobody is asked who they are")
    return Wanted(hosts, found, audience=audience, claim=claim, projects=projects)
