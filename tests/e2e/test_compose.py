"""docker-compose.yaml with the image of ``deploy/Dockerfile``: it starts, is as closed as it says, works and stops.

Nothing can be pulled, so the image is built on a Debian made here, from a wheelhouse, and the two stores are others
(``tests/e2e/compose``); all else is the file as it stands. The walk-through is the one of docs/compose.md.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker import ROOT, Engine, base, built, context_of_emco, context_of_stores, running_engine

pytestmark = [
    pytest.mark.skipif("EMCO_TEST_SLOW" not in os.environ, reason="takes its time; set EMCO_TEST_SLOW=1 to run it"),
    pytest.mark.xdist_group("docker"),
]
SERVICES = ("orchestrator", "clm", "dcm", "ncm", "rsync", "ingress")
STORES = ("mongo", "etcd")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GRACE = 30.0
PATIENCE = 90.0
GROUP = "projects/smartcity/composite-apps/smartcity/v1/deployment-intent-groups/city"
Json = dict[str, Any]


class Composed:
    """The installation: docker-compose with the file, and what stands in for the stores."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.secrets = folder / "secrets"
        self._environment = {"EMCO_IMAGE": "emco-test", "EMCO_SECRETS": str(self.secrets)}

    def compose(self, *arguments: str, seconds: float = 120, check: bool = True) -> str:
        files = ("--file", "docker-compose.yaml", "--file", "tests/e2e/compose/override.yaml")
        command = ("docker-compose", "--project-name", "emco", *files, *arguments)
        return self.engine.run(*command, folder=ROOT, environment=self._environment, seconds=seconds, check=check)

    def make_secrets(self) -> None:
        self.engine.run("deploy/compose/secrets.sh", self.secrets, folder=ROOT)

    def container(self, service: str) -> Json:
        [found] = self.engine.inspect(f"emco_{service}_1")
        return found

    def containers(self) -> dict[str, Json]:
        return {service: self.container(service) for service in (*SERVICES, *STORES)}

    def until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            health = {name: found["State"]["Health"]["Status"] for name, found in self.containers().items()}
            if set(health.values()) == {"healthy"}:
                return
            assert time.monotonic() < deadline, f"{health}\n{self.compose('logs', '--tail=30')}"
            time.sleep(0.5)

    def ask(self, path: str) -> Any:
        """Through the published port of the ingress."""
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
        return json.loads(self.engine.inside("python3", "-c", program, f"http://127.0.0.1:9000/v2/{path}"))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder: Callable[[str], Path] = tmp_path_factory.mktemp
    with running_engine() as engine:
        under = base(engine)
        emco = context_of_emco(folder("emco"))
        arguments = {"BASE": under, "EMCO_META_EMCO_SHA": COMMIT}
        built(engine, "emco-test", emco, file=emco / "deploy" / "Dockerfile", **arguments)
        stores = context_of_stores(folder("stores"))
        built(engine, "emco-test-stores", stores, file=stores / "Dockerfile", BASE=under)
        made = Composed(engine, folder("installation"))
        made.make_secrets()
        down = ("--profile", "demo", "down", "--volumes", "--remove-orphans", "--timeout", "5")
        try:
            made.compose(*down)
            made.compose("--profile", "demo", "up", "--detach", seconds=240)
            yield made
        finally:
            made.compose(*down, check=False)


def test_the_file_is_understood_by_the_old_docker_compose_too(composed: Composed) -> None:
    understood = yaml.safe_load(composed.compose("--profile", "demo", "--profile", "tools", "config"))

    assert set(understood["services"]) == {*SERVICES, *STORES, "clusters", "emcoctl"}


def test_every_service_becomes_healthy(composed: Composed) -> None:
    composed.until_healthy()


def test_the_image_says_what_it_is(composed: Composed) -> None:
    config = composed.container("clm")["Config"]

    assert config["Entrypoint"] == ["emco"]
    assert config["Labels"]["org.opencontainers.image.revision"] == COMMIT
    assert f"EMCO_META_EMCO_SHA={COMMIT}" in config["Env"]
    assert composed.engine.docker("exec", "emco_clm_1", "git", "--version").startswith("git version")
    missing = "import importlib.util as u, sys; sys.exit(u.find_spec('pip') is not None)"
    composed.engine.docker("exec", "emco_clm_1", "python", "-c", missing)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_nobody_in_particular_and_may_do_nothing_else(composed: Composed, service: str) -> None:
    found = composed.container(service)
    host = found["HostConfig"]
    status = composed.engine.docker("exec", f"emco_{service}_1", "cat", "/proc/1/status")
    attempt = "import pathlib; pathlib.Path('/opt/emco/x').touch()"
    refused = composed.engine.docker("exec", "--user=0", f"emco_{service}_1", "python", "-c", attempt, check=False)

    assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert "Read-only file system" in refused
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert [mount["Destination"] for mount in found["Mounts"] if mount["RW"]] == []


def test_no_secret_shows_in_a_container_its_logs_or_the_configuration(composed: Composed) -> None:
    names = ("data-key", "mongo-root-password", "mongo-password", "store-url", "etcd.key")
    secrets = [line for name in names for line in (composed.secrets / name).read_text().split("\n") if len(line) > 30]
    shown = json.dumps(composed.containers()) + composed.compose("logs") + composed.compose("config")

    assert len(secrets) >= 5
    assert [text for text in secrets if text in shown] == []
    assert oct(composed.secrets.stat().st_mode) == "0o40700"


def test_secrets_that_are_there_stay_as_they_are(composed: Composed) -> None:
    before = {path.name: path.read_bytes() for path in composed.secrets.iterdir()}

    composed.make_secrets()

    assert {path.name: path.read_bytes() for path in composed.secrets.iterdir()} == before


def test_the_stores_let_nobody_in_without_a_password_or_a_certificate(composed: Composed) -> None:
    url = (composed.secrets / "store-url").read_text().strip()
    program = "import sys, pymongo as p; print(p.MongoClient(sys.argv[1], timeoutMS=5000).emco.list_collection_names())"
    nobody = composed.engine.docker(
        *("exec", "emco_clm_1", "python", "-c", program, "mongodb://mongo:27017/emco"), check=False
    )
    plain = composed.engine.docker(
        *("exec", "emco_etcd_1", "etcdctl", "--endpoints=https://127.0.0.1:2379", "--command-timeout=3s"),
        *("--cacert=/run/secrets/etcd-ca.crt", "get", "/"),
        check=False,
    )

    assert "resources" in composed.engine.docker("exec", "emco_clm_1", "python", "-c", program, url)
    assert "OperationFailure" in nobody
    assert "bad certificate" in plain


def test_ports_are_published_for_this_machine_only_and_those_of_the_stores_not_at_all(composed: Composed) -> None:
    expected = {
        "orchestrator": {9015, 9016},
        "clm": {9061},
        "dcm": {9077, 9078},
        "ncm": {9081, 9082},
        "rsync": {9023, 9031},
        "ingress": {9000},
        "mongo": set(),
        "etcd": set(),
    }
    bound = {
        service: [entry for entries in found["NetworkSettings"]["Ports"].values() for entry in entries or ()]
        for service, found in composed.containers().items()
    }

    assert {service: {int(entry["HostPort"]) for entry in entries} for service, entries in bound.items()} == expected
    assert {entry["HostIp"] for entries in bound.values() for entry in entries} == {"127.0.0.1"}
    connect = "import socket, sys; [socket.create_connection(('127.0.0.1', int(p)), 5).close() for p in sys.argv[1:]]"
    composed.engine.inside("python3", "-c", connect, *(str(port) for ports in expected.values() for port in ports))


def test_the_walk_through_of_the_documentation_works_and_outlives_a_restart(composed: Composed) -> None:
    *before, status, remove = walk_through()
    for command in before:
        composed.compose(*command, seconds=240)

    assert "Ready" in composed.compose(*status)
    assert composed.ask(f"{GROUP}/status?status=ready")["readyStatus"] == "Ready"

    ended = stopped(composed)
    assert {service: code for service, (code, _) in ended.items()} == dict.fromkeys(ended, 0)
    assert max(seconds for _, seconds in ended.values()) < GRACE
    composed.compose("--profile", "demo", "up", "--detach", seconds=240)
    composed.until_healthy()

    assert composed.ask(f"{GROUP}/status?status=ready")["deployedStatus"] == "Instantiated"
    composed.compose(*remove, seconds=240)
    assert composed.ask("projects") == []


def walk_through() -> list[tuple[str, ...]]:
    """The commands of the documentation after the start, without `docker compose`."""
    text = (ROOT / "docs" / "compose.md").read_text()
    section = text.partition("## The walk-through")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if "docker compose run" in line]
    return [("run", "-T", *command[3:]) for command in commands]


def stopped(composed: Composed) -> dict[str, tuple[int, float]]:
    """Ends every service of ours by itself; exit codes, and how long each took."""
    ended = {}
    for service in SERVICES:
        begun = time.monotonic()
        composed.engine.docker("stop", "--time=30", f"emco_{service}_1")
        ended[service] = (int(composed.container(service)["State"]["ExitCode"]), time.monotonic() - begun)
    return ended
