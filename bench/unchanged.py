"""What nothing costs: ``python -m bench.unchanged [--clusters 4]``. What is there already is brought again.

Once as an update to a context that is equal, and once as another instantiate of the same: no request that writes may
reach the API servers, which count them. Then one ConfigMap is changed by hand: how long until rsync tells of it, and,
where the deployment asks for it, until it is as it was. The reference, in the same run: ``kubectl diff --server-side``
of the same objects, one process per cluster at once. Real API servers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import workload
from bench.apiservers import Admin, Fleet, admin, api_servers, count_writes, scratch, written
from bench.child import Child, child
from bench.fanout import SIZE, program
from bench.table import Figure, middle, show

WANTED = 50.0
PATIENCE = 20.0
"""Seconds in which a change by hand has to be seen, and to be healed."""
BY_HAND = {"data": {"colour": "red"}}


@dataclass(frozen=True)
class Field:
    fleet: Fleet
    paths: Mapping[str, Path]
    rsync: Child
    folder: Path
    objects: list[workload.Json]

    async def write(self, identity: str, *, status_context: str = "", heal: bool = False) -> None:
        await self.rsync.ask(
            "write",
            id=identity,
            apps={"suite": self.objects},
            clusters=list(self.fleet),
            status_context=status_context,
            heal=heal,
        )


async def measure(clusters: int, repetitions: int) -> list[Figure]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        fleet = await stack.enter_async_context(api_servers(clusters))
        rsync = await stack.enter_async_context(child("bench.rsyncside", str(folder)))
        await rsync.ask("register", fleet=dict(fleet))
        found = Field(fleet, written(fleet, folder), rsync, folder, workload.objects(**SIZE, prefix="u"))
        await found.write("1000", heal=True)
        await rsync.ask("install", id="1000")
        await asyncio.sleep(2)  # the watch has seen everything by now
        rows = await _second_runs(found, repetitions)
        return rows + await _by_hand(found, f"{1000 + repetitions}")


async def _second_runs(found: Field, repetitions: int) -> list[Figure]:
    updates: list[float] = []
    installs: list[float] = []
    reference: list[float] = []
    writes = {"update": 0.0, "install": 0.0}
    for number in range(1, repetitions + 1):
        old, new = f"{999 + number}", f"{1000 + number}"
        await found.write(new, status_context="1000", heal=True)
        before = await count_writes(found.fleet)
        updates.append((await found.rsync.ask("update", old=old, new=new))["seconds"])
        between = await count_writes(found.fleet)
        installs.append((await found.rsync.ask("install", id=new))["seconds"])
        writes["install"] += await count_writes(found.fleet) - between
        writes["update"] += between - before
        reference.append(await _diff(found))
    count = len(found.objects) * len(found.fleet)
    rows = []
    for what, seconds in (("update", updates), ("install", installs)):
        ratio = middle(reference) / middle(seconds)
        ours, theirs = f"{middle(seconds):.3f} s", f"{middle(reference):.2f} s"
        rows.append(Figure(f"{what}, {count} unchanged objects", ours, theirs, ratio, f"≥ {WANTED:g}", ratio >= WANTED))
        sent = writes[what] / repetitions
        rows.append(Figure("  requests that write", f"{sent:g}", "–", None, "0", sent == 0))
    return rows


async def _by_hand(found: Field, identity: str) -> list[Figure]:
    """One object of one cluster is changed with another field manager, as with ``kubectl edit``."""
    name = "/api/v1/namespaces/default/configmaps/u-0"
    async with admin(next(iter(found.fleet.values()))) as cluster:
        waiting = asyncio.create_task(found.rsync.ask("drift", id=identity, within=PATIENCE, patience=PATIENCE - 2))
        await asyncio.sleep(0.3)
        before = await count_writes(found.fleet)
        changed = await _change(cluster, name)
        seen = await waiting
        healed = await _until_healed(cluster, name, changed)
        sent = await count_writes(found.fleet) - before - 1
    reference = await _diff(found)
    rows = []
    for what, seconds in (
        ("changed by hand: told", seen - changed if seen else None),
        ("changed by hand: healed", healed),
    ):
        if seconds is None:
            rows.append(Figure(what, f"not within {PATIENCE:g} s", f"{reference:.2f} s", None, f"≥ {WANTED:g}", False))
            continue
        ratio = reference / seconds
        rows.append(Figure(what, f"{seconds:.3f} s", f"{reference:.2f} s", ratio, f"≥ {WANTED:g}", ratio >= WANTED))
    return [*rows, Figure("  requests that write", f"{sent:g}", "–", None, "1", sent == 1)]


async def _change(cluster: Admin, path: str) -> float:
    """When it was done, by the clock that all processes share."""
    patch = json.dumps(BY_HAND)
    headers = {"Content-Type": "application/merge-patch+json"}
    url = f"{cluster.server}{path}?fieldManager=kubectl-edit"
    async with cluster.session.patch(url, data=patch, headers=headers) as answer:
        if answer.status != 200:
            raise SystemExit(f"the change by hand: {answer.status} {await answer.text()}")
    return time.perf_counter()


async def _until_healed(cluster: Admin, path: str, since: float) -> float | None:
    while time.perf_counter() - since < PATIENCE:
        live = json.loads(await cluster.call("GET", path))
        if live["data"]["colour"] == "blue":
            return time.perf_counter() - since
        await asyncio.sleep(0.01)
    return None


async def _diff(found: Field) -> float:
    file = found.folder / "suite.json"
    if not file.exists():
        file.write_text(workload.kubectl_list(found.objects, label=workload.label_of("1000", "suite")))
    began = time.perf_counter()
    await asyncio.gather(*(_diff_one(path, file) for path in found.paths.values()))
    return time.perf_counter() - began


async def _diff_one(kubeconfig: Path, file: Path) -> None:
    manager = f"--field-manager={workload.MANAGER}"
    command = (
        program(),
        "diff",
        "--server-side",
        "--force-conflicts",
        manager,
        f"--kubeconfig={kubeconfig}",
        "-f",
        str(file),
    )
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE)
    _, error = await process.communicate()
    if process.returncode not in (0, 1):  # 1: there are differences
        raise SystemExit(f"kubectl diff ended with {process.returncode}: {error.decode()[:500]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=4, help="real control planes, 370 MB each")
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    rows = asyncio.run(measure(given.clusters, given.repetitions))
    title = f"Second runs on {given.clusters} real API servers, beside kubectl diff --server-side of the same objects"
    show(title, rows, remarks=["Requests that write are those the API servers have counted, but for their own leases."])


if __name__ == "__main__":
    main()
