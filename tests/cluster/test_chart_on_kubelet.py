"""The chart on a node whose containers really run: the image, as it is built, as the chart would have it.

Nothing can be pulled, so the two stores are this machine's; all else is in pods, reached as in any cluster.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from urllib3.exceptions import HTTPError

from tests.support.controlplane import ControlPlane, assets_or_skip
from tests.support.docker import base, built, context_of_emco, running_engine
from tests.support.etcd import EtcdServer, etcd_programs
from tests.support.helm import CHARTS, Values, helm
from tests.support.mongodb import MongoServer
from tests.support.node import Node, port_of, ready_or_skip, running_node
from tests.support.nodesettings import HOST, NAME, PAUSE
from tests.support.program import Nest
from tests.support.shop import Shop
from tests.support.witness import Witness, eventually

pytestmark = [
    pytest.mark.skipif("EMCO_TEST_SLOW" not in os.environ, reason="takes its time; set EMCO_TEST_SLOW=1 to run it"),
    pytest.mark.xdist_group("docker"),
]
SPACE = "emco"
SERVICES = {"orchestrator", "clm", "dcm", "ncm", "rsync", "ingress"}
IMAGE = "registry.invalid/emco:test"
Json = dict[str, Any]


class Ends:
    """How every pod of the services ends, as kubelet reports it."""

    def __init__(self, witness: Witness) -> None:
        self.codes: dict[str, int] = {}
        self.badly: list[str] = []
        """Those that ended unasked, or after their grace was over."""
        self._witness = witness
        self._thread = threading.Thread(target=self._watch, name="ends", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        path = f"/api/v1/namespaces/{SPACE}/pods"
        with suppress(HTTPError):  # at the end the API server goes
            self._take(self._witness.watch(path, seconds=600, labelSelector="app.kubernetes.io/component"))

    def _take(self, events: Iterator[Json]) -> None:
        for event in events:
            meta, status = event["object"]["metadata"], event["object"]["status"]
            for container in status.get("containerStatuses", ()):
                if (ended := container["state"].get("terminated")) and container["name"] in SERVICES:
                    self.codes[meta["name"]] = ended["exitCode"]
                    if event["type"] == "MODIFIED" and not in_time(ended["finishedAt"], meta.get("deletionTimestamp")):
                        self.badly.append(meta["name"])


def in_time(finished: str, due: str | None) -> bool:
    """``due`` is when the grace is over of a pod that is to go."""
    return due is not None and datetime.fromisoformat(finished) <= datetime.fromisoformat(due)


@dataclass(frozen=True)
class Place:
    """A cluster with a real node, what the chart is told there, and a cluster to deploy to."""

    witness: Witness
    node: Node
    kubeconfig: Path
    values: Values
    edge: bytes
    ends: Ends

    def helm(self, verb: str, *arguments: str, values: Values | None = None) -> CompletedProcess[str]:
        where = ("--namespace", SPACE, "--kubeconfig", str(self.kubeconfig))
        done = helm(verb, *arguments, *where, values=values, seconds=240)
        assert done.returncode == 0, f"{done.stderr}\n{self.trouble()}"
        return done

    def pods(self) -> dict[str, Json]:
        """Those of the services that are not on their way out, by service."""
        answer = self.witness.send("GET", f"/api/v1/namespaces/{SPACE}/pods")
        found = [pod for pod in answer.body["items"] if "deletionTimestamp" not in pod["metadata"]]
        pods = {pod["metadata"]["labels"].get("app.kubernetes.io/component", ""): pod for pod in found}
        return {name: pod for name, pod in pods.items() if name in SERVICES}

    def url(self, pod: Json) -> str:
        """Of its REST, by the address of the pod."""
        [container] = pod["spec"]["containers"]
        [port] = [port["containerPort"] for port in container["ports"] if port["name"] == "http"]
        return f"http://{pod['status']['podIP']}:{port}"

    def trouble(self) -> str:
        """What the pods say that do not work."""
        told = [f"{event.involved_object.name}: {event.message}" for event in self._events() if event.type == "Warning"]
        for log in sorted((self.node.folder / "pods").glob("*/*/*.log")):
            told += [f"{log.parent.name}: {line}" for line in log.read_text(errors="replace").splitlines()[-8:]]
        return "\n".join([*told, self.node.log()])

    def _events(self) -> list[Any]:
        return list(self.witness.core.list_namespaced_event(SPACE).items)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What ``deploy/Dockerfile`` makes, and what keeps a pod's name spaces, as a file."""
    ready_or_skip()
    archive = tmp_path_factory.mktemp("images") / "images.tar"
    with running_engine() as engine:
        under = base(engine)
        emco, pause = tmp_path_factory.mktemp("emco"), tmp_path_factory.mktemp("pause")
        context_of_emco(emco)
        built(engine, IMAGE, emco, file=emco / "deploy" / "Dockerfile", BASE=under)
        (pause / "Dockerfile").write_text('ARG BASE\nFROM ${BASE}\nCMD ["sleep", "infinity"]\n')
        built(engine, PAUSE, pause, file=pause / "Dockerfile", BASE=under)
        engine.docker("save", "--output", archive, IMAGE, PAUSE, seconds=240)
    yield archive
    archive.unlink()  # half a gigabyte


@pytest.fixture(scope="module")
def place(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Callable[[str], Path] = tmp_path_factory.mktemp
    assets = assets_or_skip()
    with ExitStack() as stack:
        mongo = MongoServer(folder("mongo"))
        mongo.start()
        stack.callback(mongo.stop)
        etcd = stack.enter_context(closing(EtcdServer(etcd_programs())))
        etcd.start()
        plane = stack.enter_context(ControlPlane(assets, name="kubelet", nodes=0))
        stores = (port_of(mongo.uri), port_of(etcd.endpoints[0]))
        node = stack.enter_context(running_node(plane, images, ports=stores))
        values = {
            "global": {"repository": "registry.invalid/", "emcoTag": "test"},
            "mongo": {"enabled": False, "external": {"url": f"mongodb://{HOST}:{stores[0]}/emco"}},
            "etcd": {"enabled": False, "external": {"url": f"etcd://{HOST}:{stores[1]}"}},
        }
        edge = stack.enter_context(closing(Nest("emco-edge")))
        clusters = (sys.executable, "-m", "emco_simcluster", "--clusters", "edge", "--host", HOST)
        program = edge.program("edge", [*clusters, "--write-kubeconfigs", edge.folder])
        program.start()
        written = edge.folder / "edge.kubeconfig"
        program.wait_until(lambda: written.exists() and written.stat().st_size > 0, seconds=30)
        kubeconfig = folder("kubeconfig") / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(plane.kubeconfig)
        witness = stack.enter_context(closing(Witness(plane.kubeconfig)))
        assert witness.send("POST", "/api/v1/namespaces", {"metadata": {"name": SPACE}}).status == 201
        yield Place(witness, node, kubeconfig, values, written.read_bytes(), Ends(witness))


def test_every_service_becomes_available_and_says_so(place: Place) -> None:
    place.helm("install", "emco", str(CHARTS / "emco"), "--wait", "--timeout", "180s", values=place.values)

    found = place.pods()
    assert set(found) == SERVICES
    deployments = place.witness.send("GET", f"/apis/apps/v1/namespaces/{SPACE}/deployments").body["items"]
    assert {one["metadata"]["name"]: one["status"].get("availableReplicas") for one in deployments} == dict.fromkeys(
        SERVICES, 1
    )
    for pod in found.values():
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        assert httpx.get(f"{place.url(pod)}/readyz", timeout=10).status_code == 200


def test_a_service_is_nobody_in_particular_and_may_do_nothing_else(place: Place) -> None:
    """As the kernel sees it, not as the chart asks for it."""
    running = processes()
    assert set(running) >= SERVICES
    for name in SERVICES:
        status = dict(line.split(":\t", 1) for line in (running[name] / "status").read_text().splitlines())
        assert status["Uid"].split() == ["65532"] * 4, name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, name
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), name
        mounts = [line.split() for line in (running[name] / "mounts").read_text().splitlines()]
        [root] = [options.split(",") for _, at, _, options, *_ in mounts if at == "/"]
        assert "ro" in root, name
        assert not [at for _, at, *_ in mounts if "serviceaccount" in at], name


def processes() -> dict[str, Path]:
    """The services that run in containers of the node, by name: their folder below /proc."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            there = f"/{NAME}/" in (folder / "cgroup").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if there and b"serve" in words:
            found[words[words.index(b"serve") + 1].decode()] = folder
    return found


def test_helms_own_test_passes(place: Place) -> None:
    assert "Succeeded" in place.helm("test", "emco", "--timeout", "90s").stdout


async def test_an_application_is_deployed_through_the_ingress(place: Place) -> None:
    async with client(place) as asked:
        shop = Shop(asked, rsync_port=9031)
        await shop.post("/v2/cluster-providers", {"metadata": {"name": "acme"}})
        await shop.register({"metadata": {"name": "edge"}}, place.edge)
        await shop.stock(["edge"])
        path = await shop.group()
        await shop.post(f"{path}/instantiate", expect=202)

        assert (await shop.ready(path))["deployedStatus"] == "Instantiated"


async def test_an_upgrade_replaces_the_pods_and_what_was_deployed_stays(place: Place) -> None:
    before = {name: pod["metadata"]["name"] for name, pod in place.pods().items()}
    values = {**place.values, "grpc": {"tls": {"enabled": True}}}
    place.helm("upgrade", "emco", str(CHARTS / "emco"), "--wait", "--timeout", "180s", values=values)

    after = {name: pod["metadata"]["name"] for name, pod in place.pods().items()}
    replaced = {name for name in SERVICES if before[name] != after[name]}
    assert replaced >= SERVICES - {"ingress"}  # which speaks no gRPC
    assert ended(place, [before[name] for name in replaced]) == {before[name]: 0 for name in replaced}
    place.helm("test", "emco", "--timeout", "90s")
    async with client(place) as asked:
        shop = Shop(asked, rsync_port=9031)
        path = "/v2/projects/p/composite-apps/shop/v1/deployment-intent-groups/g"
        await shop.ready(path)
        await shop.post(f"{path}/terminate", expect=202)
        await shop.gone(path)


def test_uninstalled_every_pod_ends_by_itself_within_its_grace(place: Place) -> None:
    last = [pod["metadata"]["name"] for pod in place.pods().values()]
    assert len(last) == len(SERVICES)
    place.helm("uninstall", "emco", "--wait", "--timeout", "90s")

    assert ended(place, last) == dict.fromkeys(last, 0)
    assert place.ends.badly == []
    assert eventually(lambda: not place.pods())
    assert not processes()


def ended(place: Place, pods: list[str]) -> Mapping[str, int]:
    """Exit codes of these, once all are known."""
    eventually(lambda: set(pods) <= set(place.ends.codes), seconds=60)
    return {name: code for name, code in place.ends.codes.items() if name in pods}


def client(place: Place) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=place.url(place.pods()["ingress"]), timeout=30)
