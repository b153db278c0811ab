"""``emco backup``, ``emco restore`` and ``emco rotate-data-key``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from emco_allinone.configuring import config_option
from emco_allinone.running import run
from emco_allinone.safekeeping import series
from emco_common.errors import BadRequest, Conflict
from emco_common.log import configure_logging
from emco_common.settings import Settings

_TOLD = 20
"""Values that are named at most; what is wrong with them is mostly the same."""
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


def _where(command: Callable[..., None]) -> Callable[..., None]:
    data = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Data folder of `emco up`; without it settings come from the environment and CONFIG, as for `emco serve`.",
    )
    return data(config_option(command))


@click.command("backup", short_help="Write store and bus to a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(1), help="Where FILE is a folder: how many of its backups are kept.")
@_where
def backup_command(file: Path, keep: int | None, data: Path | None, config: Path) -> None:
    """Write store and bus together to FILE, while EMCO is at work or stopped. In a folder, to one named by the time.

    Passwords and keys of clusters stay sealed in it; the data key is not in it and must be kept as well. What is
    deployed is in it as it is on the bus, Secrets of charts included: keep the file as you keep these."""
    configure_logging("warning")
    if file.is_dir():
        file = series.next_in(file, datetime.now(UTC))
    elif keep is not None:
        raise click.BadParameter(f"{file} is no folder, and --keep is for those", param_hint="--keep")
    run(_backup(file, keep, data, config))


@click.command("restore", short_help="Bring back what a backup holds.")
@_FILE
@click.option("--replace", is_flag=True, help="Replace all that is in store and bus.")
@_where
def restore_command(file: Path, replace: bool, data: Path | None, config: Path) -> None:
    """Bring back what `emco backup` wrote to FILE, also to another kind of store and bus. EMCO must be stopped."""
    configure_logging("warning")
    run(_restore(file, data, config, replace=replace))


@click.command("rotate-data-key", short_help="Seal every secret with the present data key.")
@_where
def rotate_command(data: Path | None, config: Path) -> None:
    """Seal every secret with the present data key, so that the retired ones are not needed any more.

    With --data a new key is made first, and EMCO must be stopped; else the new key is EMCO_DATA_KEY, the older ones are
    EMCO_RETIRED_DATA_KEYS, and EMCO may be at work. Cut off, it goes on where it was."""
    configure_logging("warning")
    run(_rotate(data, config))


def _settings(data: Path | None, config: Path) -> Settings:
    from emco_allinone.safekeeping import keyfile

    given: dict[str, Any] = {}
    if data is not None:
        given = keyfile.urls(data) | keyfile.data_keys(data, os.environ)
    return Settings.load("emco", os.environ, config=None if data else config, **given)


def _existing(data: Path | None) -> None:
    if data is not None and not (data / "store.db").exists():
        raise BadRequest(f"there is no data of `emco up` in {data}")


async def _backup(file: Path, keep: int | None, data: Path | None, config: Path) -> None:
    from emco_allinone.safekeeping.backup import backup
    from emco_common.contextbus.factory import open_reading
    from emco_common.runtime import wall_clock
    from emco_common.store.factory import open_store

    _existing(data)
    settings = _settings(data, config)
    tls = {"ca_file": settings.bus_ca_file, "cert_file": settings.bus_cert_file, "key_file": settings.bus_key_file}
    bus = await open_reading(settings.bus_url.get_secret_value(), **tls)
    try:
        store = await open_store(settings.database_url.get_secret_value())
        try:
            made = await backup(store, bus, file, now=wall_clock)
        finally:
            await store.close()
    finally:
        await bus.close()
    what = (
        f"{made.documents} documents, {made.blobs} files, {made.entries} entries of the bus at revision {made.revision}"
    )
    click.echo(f"{file}: {what}")
    for key in made.data_keys:
        click.echo(f"Not in it, and needed to restore it: data key {key}" + (f" ({data}/data.key)" if data else ""))
    for old in await asyncio.to_thread(series.forget_all_but, file.parent, keep) if keep is not None else ():
        click.echo(f"{old} removed")


async def _restore(file: Path, data: Path | None, config: Path, *, replace: bool) -> None:
    from emco_allinone.safekeeping.archive import opened
    from emco_allinone.safekeeping.restore import restore
    from emco_common.runtime import open_doors
    from emco_common.secrets import key_id

    settings = _settings(data, config)
    keys = [key.get_secret_value() for key in (settings.data_key, *settings.retired_data_keys)]
    with opened(file) as archive:
        made = archive.manifest
        missing = sorted(set(made.data_keys) - {key_id(key) for key in keys if key})
        if missing:
            place = f" or into {data}/data.key" if data else ""
            raise Conflict(
                f"what is sealed in {file} needs data key {', '.join(missing)}, which is not configured: put it into "
                f"EMCO_DATA_KEY or EMCO_RETIRED_DATA_KEYS{place}"
            )
        async with open_doors(settings) as (store, bus):
            await restore(store, bus, archive, in_place_of_all=replace)
    what = f"{made.documents} documents, {made.blobs} files, {made.entries} entries of the bus"
    click.echo(f"{file} of {made.created} restored: {what}. EMCO may be started.")


async def _rotate(data: Path | None, config: Path) -> int:
    from emco_allinone.safekeeping import keyfile
    from emco_allinone.safekeeping.rotation import rotate
    from emco_common.runtime import open_deps, sealer_of

    _existing(data)
    own = data if data is not None and not keyfile.is_elsewhere(os.environ) else None
    async with open_deps(_settings(data, config)) as deps:  # nobody else has the data folder from here on
        store, bus, sealer = deps.store, deps.bus, deps.sealer
        if own is not None:
            keyfile.begin_rotation(own)
            sealer = sealer_of(_settings(data, config))
        rotated = await rotate(store, bus, sealer)
    click.echo(f"{rotated.written} documents sealed anew; the present data key is {sealer.active}")
    for text in rotated.broken[:_TOLD]:
        click.echo(f"not opened: {text}", err=True)
    if len(rotated.broken) > _TOLD:
        click.echo(f"and {len(rotated.broken) - _TOLD} more were not opened", err=True)
    for key, count in sorted(rotated.left.items()):
        click.echo(
            f"{count} values were still being sealed with data key {key}: restart what uses it, run this again",
            err=True,
        )
    if rotated.broken or rotated.left:
        return 1
    if own is not None:
        keyfile.end_rotation(own)
    click.echo("No other data key is needed for what is stored." + ("" if own else " EMCO_RETIRED_DATA_KEYS can go."))
    return 0
