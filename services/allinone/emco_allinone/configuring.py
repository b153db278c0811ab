"""The option that names EMCO's ``config.json``, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import click
import structlog
from click.core import ParameterSource

from emco_common.settings import unused_keys

_log = structlog.get_logger()


def _there(context: click.Context, parameter: click.Parameter, value: Path) -> Path:
    """A file that was named must be there; the one in the working directory may be."""
    named = context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    if named and not value.is_file():
        raise click.BadParameter(f"there is no file {value}")
    return value


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("config.json"),
    show_default=True,
    callback=_there,
    help="EMCO's config.json.",
)


def tell_unused(config: Path) -> None:
    """Log what the file says in vain. ``BadSettings``."""
    keys = unused_keys(config) if config.exists() else ()
    if keys:
        _log.warning("config_keys_unused", file=str(config), keys=list(keys))
