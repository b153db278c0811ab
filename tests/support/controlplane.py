"""A real Kubernetes control plane for tests: etcd, API server, controller-manager, scheduler, and KWOK for the nodes.

The programs come from ``KUBEBUILDER_ASSETS`` or from what ``make testbed`` built. Tests ask for the fixture
``control_plane`` (one cluster) or ``control_planes`` (two, the first of which is that one), so at most two run in a
test process. Under pytest-xdist such tests form one group (``--dist loadgroup``), so at most two run at all.
"""

import os
import shutil
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.support import cluster_programs
from tests.support.certificates import Authority
from tests.support.program import Nest, Program, free_ports
from tests.support.realserver import skip_or_fail
from tests.testbed.build import cache_root, programs_folder

REMEDY = "run `make testbed`"
START_SECONDS = 120
"""Long, since the machine may be busy; a program that fails to start ends, and that is noticed at once."""
NAMES = ("edge", "cloud")


def find_assets(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of the programs: ``KUBEBUILDER_ASSETS``, else what ``make testbed`` built, else None.

    A folder of the user's own is returned whatever it lacks; see `missing_programs`.
    """
    if own := environment.get("KUBEBUILDER_ASSETS"):
        return Path(own).expanduser().absolute()
    built = programs_folder(cache_root(environment))
    return built if built.is_dir() else None


def missing_programs(assets: Path) -> list[str]:
    """Which programs of a control plane are not in the folder; envtest's own archives lack three of the five."""
    return [name for name in cluster_programs.PROGRAMS if shutil.which(name, path=str(assets)) is None]


def assets_or_skip() -> Path:
    """The folder of the programs, complete; otherwise the running test is skipped with what is missing."""
    assets = find_assets()
    if assets is None:
        skip_or_fail("no Kubernetes control plane: KUBEBUILDER_ASSETS is not set and none was built", remedy=REMEDY)
    if missing := missing_programs(assets):
        source = "KUBEBUILDER_ASSETS" if os.environ.get("KUBEBUILDER_ASSETS") else "the built testbed"
        remedy = f"put them there, or unset KUBEBUILDER_ASSETS and {REMEDY}" if "KUBE" in source else REMEDY
        skip_or_fail(f"{source} ({assets}) has no {', '.join(missing)}", remedy=remedy)
    return assets


def helm_binary() -> Path | None:
    """The `helm` that ``make testbed`` built, else one on the PATH, else None."""
    path = f"{programs_folder(cache_root())}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("helm", path=path)
    return Path(found) if found else None


class ControlPlane:
    """One cluster with fake nodes, whose pods become Running and Ready a moment after they are scheduled.

    With no ``nodes`` KWOK does not run, so that real ones may join (`tests.support.node`).

    A context manager: entering starts it, leaving stops it. `kubeconfig` is text with everything inline, for an
    administrator; `server` is the API server's URL. Both are good for the whole life of the object.
    """

    def __init__(self, assets: Path, *, name: str = "cluster", nodes: int = 1) -> None:
        self.name = name
        self._assets = assets
        self._nodes = [f"{name}-node-{number}" for number in range(nodes)]
        self._ports = cluster_programs.Ports(*free_ports(cluster_programs.Ports.COUNT))
        self._authority = Authority.new(f"{name}-ca")
        self._admin = self._authority.issue("admin", organizations=["system:masters"])
        self.server = f"https://127.0.0.1:{self._ports.api}"
        self.kubeconfig = cluster_programs.kubeconfig(
            name, server=self.server, authority=self._authority.certificate, user=self._admin
        )
        self._running = ExitStack()
        self._programs: dict[str, Program] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything; return when nodes take pods and every program says it is ready.

        Raises `StartError` with the end of the failing program's log.
        """
        try:
            nest = self._running.enter_context(closing(Nest(f"emco-{self.name}")))
            written = cluster_programs.files(self._authority, self._admin, kubeconfig=self.kubeconfig)
            for name, content in written.items():
                nest.write(name, content)
            self._client = self._running.enter_context(self._connect(nest.folder))
            commands = cluster_programs.commands(self._assets, nest.folder, self._ports)
            self._programs = {name: nest.program(name, command) for name, command in commands.items()}
            self._start_store()
            self.start_apiserver()
            self._start_controllers()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every program and remove its files. Nothing happens when it does not run."""
        self._programs = {}
        self._running.close()

    def log(self, program: str) -> str:
        """The end of a program's log, for a test that failed."""
        return self._programs[program].tail()

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Take the API server away, as a planned stop or, with `kill`, as a crash; everything else keeps running."""
        server = self._programs["kube-apiserver"]
        if kill:
            server.kill()
        else:
            server.stop()

    def start_apiserver(self) -> None:
        """Bring the API server back on the same address with the same data; return when it is ready."""
        server = self._programs["kube-apiserver"]
        server.start()
        server.wait_until(lambda: self._answers(f"{self.server}/readyz"), seconds=START_SECONDS)

    def restart_apiserver(self, *, kill: bool = False) -> None:
        """Stop and start the API server; its clients find nobody there for some seconds."""
        self.stop_apiserver(kill=kill)
        self.start_apiserver()

    def _start_store(self) -> None:
        etcd = self._programs["etcd"]
        etcd.start()
        health = f"http://127.0.0.1:{self._ports.etcd}/health"
        etcd.wait_until(lambda: self._answers(health), seconds=START_SECONDS)

    def _start_controllers(self) -> None:
        names = ("kube-controller-manager", "kube-scheduler", "kwok")
        manager, scheduler, kwok = (self._programs[name] for name in names)
        for node in self._nodes:
            self._client.post("/api/v1/nodes", json=cluster_programs.fake_node(node)).raise_for_status()
        for program in (manager, scheduler, *([kwok] if self._nodes else [])):
            program.start()
        account = f"{self.server}/api/v1/namespaces/default/serviceaccounts/default"
        manager.wait_until(lambda: self._answers(account), seconds=START_SECONDS, what="making service accounts")
        ready = f"https://127.0.0.1:{self._ports.scheduler}/readyz"
        scheduler.wait_until(lambda: self._answers(ready), seconds=START_SECONDS)
        if self._nodes:
            kwok.wait_until(self._nodes_take_pods, seconds=START_SECONDS, what="keeping the nodes ready")

    def _connect(self, folder: Path) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        return httpx.Client(base_url=self.server, verify=context, timeout=10, trust_env=False)

    def _answers(self, url: str) -> bool:
        try:
            return self._client.get(url).is_success
        except httpx.TransportError:
            return False

    def _nodes_take_pods(self) -> bool:
        answer = self._client.get("/api/v1/nodes")
        return answer.is_success and all(cluster_programs.takes_pods(node) for node in answer.json()["items"])


class Clusters:
    """The clusters of one test process, started when first asked for, several of them side by side."""

    def __init__(self) -> None:
        self._started: list[ControlPlane] = []

    def first(self, count: int) -> tuple[ControlPlane, ...]:
        """The first `count` clusters, running. Skips the test where their programs are missing."""
        if missing := NAMES[len(self._started) : count]:
            assets = assets_or_skip()
            planes = [ControlPlane(assets, name=name) for name in missing]
            try:
                with ThreadPoolExecutor(len(planes)) as pool:
                    list(pool.map(ControlPlane.start, planes))
            except BaseException:
                for plane in planes:
                    plane.stop()
                raise
            self._started += planes
        return tuple(self._started[:count])

    def stop(self) -> None:
        while self._started:
            self._started.pop().stop()


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Where `control_plane` and `control_planes` come from; tests ask for those."""
    running = Clusters()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def control_plane(clusters: Clusters, request: pytest.FixtureRequest) -> ControlPlane:
    """One real cluster, shared by the whole run: a test works in namespaces of its own."""
    # Starting both at once costs little more than one, so it is done where some test of this run wants two.
    two = any("control_planes" in getattr(item, "fixturenames", ()) for item in request.session.items)
    return clusters.first(2 if two else 1)[0]


@pytest.fixture(scope="session")
def control_planes(clusters: Clusters) -> tuple[ControlPlane, ControlPlane]:
    """Two real clusters, ``edge`` and ``cloud``, shared like `control_plane`, which is the first of them."""
    edge, cloud = clusters.first(2)
    return edge, cloud


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests that pytest-xdist runs in one process")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests on real clusters in one process; first of all, since pytest-xdist reads the mark in this hook."""
    for item in items:
        if "clusters" in getattr(item, "fixturenames", ()) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("cluster"))
