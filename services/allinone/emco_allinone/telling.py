"""``emco settings``: what each service can be told, from the settings themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import click
from pydantic import BaseModel, SecretStr

_WIDTH = 100


def _known() -> Mapping[str, type[BaseModel]]:
    from emco_agent.settings import AgentSettings
    from emco_allinone.catalogue import CATALOGUE
    from emco_ingress.settings import IngressSettings

    services: dict[str, type[BaseModel]] = {entry.name: entry.settings for entry in CATALOGUE}
    return services | {"ingress": IngressSettings, "agent": AgentSettings}


@click.command("settings", short_help="List what a service can be told, and how.")
@click.argument("service", required=False, default="")
def settings_command(service: str) -> None:
    """List what SERVICE can be told by environment variables, with defaults; without SERVICE what all of them can be.

    EMCO_<NAME> is for every service, EMCO_<SERVICE>_<NAME> for one of them and goes before. With _FILE after it, the
    variable names a file that holds the value."""
    from emco_common.settings import Settings

    known = _known()
    if service and service not in known:
        raise click.BadParameter(f"there is no service {service!r}; choose one of {', '.join(sorted(known))}")
    model = known.get(service, Settings)
    common = issubclass(model, Settings)
    for name, field in model.model_fields.items():
        own = service and (not common or _differs(name, model, Settings))
        variable = f"EMCO_{service.upper()}_{name.upper()}" if own else f"EMCO_{name.upper()}"
        click.echo(variable + _default(field.get_default(call_default_factory=True)))
        for line in textwrap.wrap(field.description or "", _WIDTH - 4):
            click.echo(f"    {line}")


def _differs(name: str, model: type[BaseModel], base: type[BaseModel]) -> bool:
    """Whether the service has a setting, or a default, of its own."""
    field, shared = model.model_fields[name], base.model_fields.get(name)
    return shared is None or field.default != shared.default


def _default(value: Any) -> str:
    shown = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"={shown}" if shown not in (None, "", ()) and isinstance(shown, str | int | float) else ""
