"""A real node for a control plane of the tests: containerd and kubelet, whose pods are containers that really run.

The node has name spaces of its own for processes, mounts and the network, as the Docker engine of ``docker.py`` has:
pods, bridges, mounts and packet filters are not this machine's and are gone when the one process ends. A pair of
virtual interfaces joins it to this machine, so that tests reach pods by their addresses, and pods reach what the test
publishes at `HOST`: the API server, stores, simulated clusters, names.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import yaml

from tests.support.cluster_programs import takes_pods
from tests.support.controlplane import START_SECONDS, ControlPlane
from tests.support.nodesettings import (
    HOST,
    NAME,
    NODE,
    PODS,
    RUN,
    containerd_settings,
    kubelet_settings,
    network,
)
from tests.support.nodeways import Doors, NodeNames
from tests.support.program import Nest, StartError
from tests.support.realserver import skip_as_impossible, skip_or_fail
from tests.support.witness import Witness
from tests.testbed import engine
from tests.testbed.build import KUBELET, cache_root

LINK = "emco-node"
CGROUPS = Path("/sys/fs/cgroup")


def ready_or_skip() -> Path:
    """kubelet; the test is skipped where a node lacks something, with what that is."""
    kubelet = cache_root() / KUBELET.folder / "kubelet"
    if why := engine.impossible():
        skip_as_impossible(f"no node can run here: {why}")
    if missing := engine.missing_for_nodes():
        skip_or_fail(f"no node: there is no {', '.join(missing)}", remedy="run `make testbed CI=1` as root")
    if not kubelet.exists():
        skip_or_fail("no node: there is no kubelet", remedy="run `make testbed`")
    return kubelet


@contextmanager
def running_node(plane: ControlPlane, images: Path, *, ports: Iterable[int] = ()) -> Iterator[Node]:
    """The node of `plane`, Ready and with these images; one at a time on this machine.

    ``ports`` are those of 127.0.0.1 that pods reach at `HOST`.
    """
    kubelet = ready_or_skip()
    with ExitStack() as stack:
        lock = stack.enter_context((cache_root() / "node.lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        nest = stack.enter_context(closing(Nest("emco-node")))
        node = Node(nest, plane)
        stack.callback(node.stop)
        try:
            node.start()
            doors = stack.enter_context(closing(Doors()))
            for port in (port_of(plane.server), *ports):
                doors.open(port)
            witness = stack.enter_context(closing(Witness(plane.kubeconfig)))
            stack.enter_context(closing(NodeNames(witness, address=HOST)))
            node.load(images)
            node.join_cluster(witness, kubelet)
        except (StartError, OSError) as error:
            skip_or_fail(f"no node can be started here: {error}", remedy="its log says why")
        yield node


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


class Node:
    """containerd and kubelet; see the module."""

    def __init__(self, nest: Nest, plane: ControlPlane) -> None:
        self.folder = nest.folder
        self._nest = nest
        self._plane = plane
        own = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
        script = ("sh", "-c", RUN, "sh", nest.folder / "cgroup", nest.folder / "containerd.toml")
        self._containerd = nest.program("containerd", ["/usr/bin/env", f"PATH={engine.SEARCHED}", *own, *script])

    def start(self) -> None:
        """Raises ``StartError``."""
        (self.folder / "net").mkdir()
        self._nest.write("net/pods.conflist", json.dumps(network(self.folder)))
        self._nest.write("containerd.toml", containerd_settings(self.folder))
        self._nest.write("kubelet.yaml", yaml.safe_dump(kubelet_settings(self.folder)))
        self._nest.write("resolv.conf", "")
        self._nest.write("kubeconfig", self._kubeconfig())
        remove_link()  # what one that was killed has left
        remove_cgroup()
        make_cgroup()
        self._containerd.start()
        self._containerd.wait_until(self._serves, seconds=START_SECONDS)
        self._join()

    def join_cluster(self, witness: Witness, kubelet: Path) -> None:
        """Once images are there. Raises ``StartError``."""
        flags = (
            f"--config={self.folder / 'kubelet.yaml'}",
            f"--kubeconfig={self.folder / 'kubeconfig'}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'pki'}",
            f"--hostname-override={NODE}",  # the API server asks for logs by this name
            f"--node-ip={NODE}",
        )
        inside = ("nsenter", f"--target={self.pid}", "--mount", "--net", "--pid")
        self._kubelet = self._nest.program(
            "kubelet", ["/usr/bin/env", f"PATH={engine.SEARCHED}", *inside, kubelet, *flags]
        )
        self._kubelet.start()
        at = f"/api/v1/nodes/{NODE}"

        def ready() -> bool:
            answer = witness.send("GET", at)
            return answer.status == 200 and takes_pods(answer.body)

        self._kubelet.wait_until(ready, seconds=START_SECONDS, what="Ready, as a node")

    def load(self, archive: Path) -> None:
        """Take the images of ``docker save``."""
        run("ctr", f"--address={self.folder}/containerd.sock", "--namespace=k8s.io", "images", "import", str(archive))

    @property
    def pid(self) -> int:
        """containerd itself, as a process of this machine."""
        outer = self._containerd.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        return int(children[0])

    def log(self) -> str:
        """The end of kubelet's, for a test that failed."""
        return self._kubelet.tail()

    def stop(self) -> None:
        """Kill all there is of it, and wait until nothing of it is left on this machine."""
        self._containerd.kill()
        remove_link()
        remove_cgroup()

    def _serves(self) -> bool:
        with suppress(StartError):
            run("ctr", f"--address={self.folder}/containerd.sock", "version")
            return True
        return False

    def _join(self) -> None:
        """The pair of interfaces; it is gone with either end."""
        run("ip", "link", "add", LINK, "type", "veth", "peer", "name", "uplink", "netns", str(self.pid))
        run("ip", "address", "add", f"{HOST}/30", "dev", LINK)
        run("ip", "link", "set", LINK, "up")
        run("ip", "route", "add", PODS, "via", NODE)
        inside = ("nsenter", f"--net=/proc/{self.pid}/ns/net", "ip")
        run(*inside, "address", "add", f"{NODE}/30", "dev", "uplink")
        run(*inside, "link", "set", "uplink", "up")
        run(*inside, "route", "add", "default", "via", HOST)

    def _kubeconfig(self) -> str:
        """The administrator's, by the address at which the node finds the API server."""
        document = yaml.safe_load(self._plane.kubeconfig)
        cluster = document["clusters"][0]["cluster"]
        cluster["server"] = f"https://{HOST}:{port_of(cluster['server'])}"
        cluster["tls-server-name"] = "localhost"
        return yaml.safe_dump(document)


def run(*command: str, seconds: float = 120) -> str:
    done = subprocess.run(
        command, env={"PATH": engine.SEARCHED}, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        raise StartError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def remove_link() -> None:
    with suppress(StartError):
        run("ip", "link", "delete", LINK)


def hierarchies() -> list[Path]:
    """The folders below which there are groups of processes: one with version 2, one for each controller with 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def make_cgroup() -> None:
    """kubelet wants all of these controllers where they are to be had; with version 1 they are there."""
    if (given := CGROUPS / "cgroup.subtree_control").exists():
        there = (CGROUPS / "cgroup.controllers").read_text().split()
        wanted = [name for name in ("cpu", "cpuset", "memory", "hugetlb", "pids") if name in there]
        given.write_text(" ".join(f"+{name}" for name in wanted))
    for hierarchy in hierarchies():
        (hierarchy / NAME).mkdir(exist_ok=True)
        for limit in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / limit).exists():
                (hierarchy / NAME / limit).write_text((hierarchy / limit).read_text())


def remove_cgroup(*, seconds: float = 10) -> None:
    """Once no process is in it any more, which takes a moment after they were killed."""
    deadline = time.monotonic() + seconds
    for hierarchy in hierarchies():
        for path, _, _ in os.walk(hierarchy / NAME, topdown=False):
            while True:
                try:
                    os.rmdir(path)
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
                else:
                    break
