"""``emco``: run the suite or one service of it, or see it at work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emco_allinone.configuring import config_option, tell_unused
from emco_allinone.deploying.command import deploy
from emco_allinone.running import run
from emco_allinone.safekeeping.command import backup_command, restore_command, rotate_command
from emco_allinone.stopping import watch_signals
from emco_allinone.telling import settings_command
from emco_common import __version__
from emco_common.log import configure_logging
from emco_common.settings import BadSettings

if TYPE_CHECKING:
    from emco_common.runtime import Service

_KUBECONFIG = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
_INGRESS_PORT = click.option(
    "--ingress-port",
    type=click.IntRange(0, 65535),
    default=9000,
    envvar="EMCO_INGRESS_PORT",
    show_default=True,
    show_envvar=True,
    help="One port in front of all services.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="emco")
def cli() -> None:
    """The Edge Multi-Cluster Orchestrator."""


for command in (deploy, backup_command, restore_command, rotate_command, settings_command):
    cli.add_command(command)


@cli.command(short_help="Run everything in one process, to try it or for little.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Folder of the store, the bus and the data key.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_INGRESS_PORT
@click.option("--log-level", default="info", show_default=True)
def up(data: Path, host: str, ingress_port: int, log_level: str) -> None:
    """Run every service in this process, on the embedded store and bus below DATA."""
    configure_logging(log_level)
    run(_up(data, host, ingress_port))


@cli.command(short_help="Run one service alone, as in production.")
@click.argument("service")
@config_option
def serve(service: str, config: Path) -> None:
    """Run one SERVICE alone: clm, dcm, ncm, orchestrator or rsync on MongoDB and etcd, `ingress`, one port in front of
    them, or `agent` in a cluster that EMCO cannot reach.

    Settings come from the environment, then from CONFIG: EMCO_DATABASE_URL, EMCO_BUS_URL and EMCO_DATA_KEY above all;
    `emco settings SERVICE` lists them. Stores that are not there yet are waited for."""
    if service == "agent":
        run(_agent())
    elif service == "ingress":
        run(_ingress(config))
    else:
        run(_serve(service, config))


@cli.command(short_help="See SmartCity at work on two simulated clusters.")
@click.option("--edge", type=_KUBECONFIG, help="Kubeconfig of a real edge cluster.")
@click.option("--cloud", type=_KUBECONFIG, help="Kubeconfig of a real cloud cluster.")
@click.option("--keep", is_flag=True, help="Leave everything running and print the addresses.")
@_INGRESS_PORT
@click.option("--log-level", default="error", show_default=True)
def demo(edge: Path | None, cloud: Path | None, keep: bool, ingress_port: int, log_level: str) -> None:
    """SmartCity from nothing to running on two clusters, simulated ones unless both kubeconfigs are given.

    Ports are free ones, and the published ones with --keep."""
    from emco_allinone.demo import run_demo

    if (edge is None) != (cloud is None):
        raise click.UsageError("give both --edge and --cloud, or neither for two simulated clusters")
    configure_logging(log_level)
    run(run_demo(edge, cloud, ingress_port=ingress_port if keep else None))


async def _up(data: Path, host: str, ingress_port: int) -> None:
    from emco_allinone.suite import running

    async with running(data, os.environ, ingress_port=ingress_port, host=host) as suite:
        stopped = watch_signals()
        for service in suite.services.values():
            ports = f"REST {service.http_port}" + (f", gRPC {service.grpc_port}" if service.grpc_port else "")
            click.echo(f"  {service.name:<14}{ports}")
        click.echo(f"EMCO is up: http://{host}:{suite.ingress_port}/v2/projects (data in {data}; stop with Ctrl-C)")
        await stopped.wait()
        click.echo("stopping")


async def _serve(name: str, config: Path) -> None:
    from emco_allinone.catalogue import CATALOGUE
    from emco_allinone.serving import serve_one

    entry = next((entry for entry in CATALOGUE if entry.name == name), None)
    if entry is None:
        names = sorted((*(entry.name for entry in CATALOGUE), "agent", "ingress"))
        raise BadSettings(f"there is no service {name!r}; choose one of {', '.join(names)}")
    settings = entry.settings.load(name, os.environ, config=config)
    configure_logging(settings.log_level)
    tell_unused(config)
    os.nice(settings.nice)
    await serve_one(entry, settings, stopped=watch_signals(), said=click.echo)


async def _agent() -> None:
    from emco_agent.app import create_service
    from emco_agent.settings import AgentSettings

    settings = AgentSettings.load(os.environ)
    configure_logging(settings.log_level)
    await _alone(create_service(settings), f"agent of {settings.cluster} is up: health {settings.host}")


async def _ingress(config: Path) -> None:
    from emco_common.tracing.opening import tracing_of
    from emco_ingress.app import create_service
    from emco_ingress.settings import IngressSettings

    settings = IngressSettings.load("ingress", os.environ, config=config)
    configure_logging(settings.log_level)
    tell_unused(config)
    async with tracing_of(settings) as tracing:
        await _alone(create_service(settings, tracing=tracing), f"ingress is up: {settings.host}")


async def _alone(service: Service, said: str) -> None:
    await service.start()
    stopped = watch_signals()
    try:
        click.echo(f"{said}:{service.http_port}")
        await stopped.wait()
    finally:
        await service.stop()


if __name__ == "__main__":
    cli()
