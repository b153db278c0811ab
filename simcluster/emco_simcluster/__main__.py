"""``python -m emco_simcluster``: simulated clusters on loopback, until they are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from emco_simcluster.cluster import SimCluster, SimFleet


@click.command()
@click.option("--clusters", default="edge,cloud", show_default=True, help="Names of the clusters, comma-separated.")
@click.option("--write-kubeconfigs", "folder", type=click.Path(path_type=Path), help="Folder for <name>.kubeconfig.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--advertise", default="", help="Name by which clients reach that address.  [default: the address]")
@click.option("--port-base", default=0, help="First of consecutive ports; 0 takes free ones.")
@click.option("--ready-after", default=0.5, show_default=True, help="Seconds until a pod is ready.")
@click.option("--seed", default=0, show_default=True, help="Makes uids and random faults repeatable.")
def main(
    clusters: str, folder: Path | None, host: str, advertise: str, port_base: int, ready_after: float, seed: int
) -> None:
    """Run simulated Kubernetes clusters. Nothing is deployed anywhere: whatever they show is simulated."""
    names = [n.strip() for n in clusters.split(",") if n.strip()]
    if len(set(names)) != len(names) or not names:
        raise click.BadParameter("name each cluster once", param_hint="--clusters")
    place = {"host": host, "advertise": advertise, "port_base": port_base}
    asyncio.run(_run(names, folder, place=place, ready_after=ready_after, seed=seed))


async def _run(
    names: list[str], folder: Path | None, *, place: Mapping[str, Any], ready_after: float, seed: int
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    fleet = SimFleet(names, ready_after=ready_after, seed=seed)
    await fleet.start(**place)
    try:
        for cluster in fleet.clusters:
            click.echo(f"simulated cluster {cluster.name}: {cluster.url}{_kubeconfig(cluster, folder)}")
        click.echo("These clusters are simulated. Stop them with Ctrl-C.")
        await stop.wait()
    finally:
        await fleet.stop()


def _kubeconfig(cluster: SimCluster, folder: Path | None) -> str:
    """Write the kubeconfig, readable by its owner alone."""
    if folder is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cluster.name}.kubeconfig"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(cluster.kubeconfig)
    return f"  kubeconfig {path}"


if __name__ == "__main__":
    main()
