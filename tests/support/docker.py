"""A Docker engine of one's own, and docker-compose with it, for the suite of docker-compose.yaml.

The engine has name spaces of its own for processes, mounts and the network: its published ports, bridges and packet
filters are not this machine's, and all of it is gone when the one process ends that was started here. What it has
built stays in the cache of the testbed, outside the checkout, for the next time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tests.support.program import Nest, StartError
from tests.support.realserver import skip_as_impossible, skip_or_fail
from tests.testbed import engine
from tests.testbed.build import cache_root, only_builder, staged

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
KEPT = "72h"
"""How long stages of earlier builds are kept, from which the next one is quicker."""
RUN = """
mkdir "$1" && mount --rbind /sys/fs/cgroup "$1" && mount -t sysfs sysfs /sys && mount --rbind "$1" /sys/fs/cgroup
ip link set lo up
shift
exec dockerd "$@"
"""
"""The folder of devices must show those of the engine's own network."""
Json = dict[str, Any]


class Engine:
    """``dockerd``, and the ways to speak to it."""

    def __init__(self, nest: Nest, data: Path) -> None:
        self.folder = nest.folder
        self._socket = nest.folder / "docker.sock"
        own = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
        flags = (
            f"--data-root={data}",
            f"--exec-root={nest.folder / 'run'}",
            f"--pidfile={nest.folder / 'docker.pid'}",
            f"--host=unix://{self._socket}",
            f"--cgroup-parent=/{nest.folder.name}",
            "--log-level=warn",
        )
        path = f"PATH={engine.SEARCHED}"
        script = ("sh", "-c", RUN, "sh", nest.folder / "cgroup")
        self._program = nest.program("dockerd", ["/usr/bin/env", path, *own, *script, *flags])

    def start(self) -> None:
        """Raises ``StartError``."""
        self._program.start()
        self._program.wait_until(self._answers, seconds=START_SECONDS)

    def stop(self) -> None:
        """Let it end well, so that what it keeps is whole; kill it and all in it when it does not."""
        if (inner := self._inner()) is not None:
            os.kill(inner, 15)
            deadline = time.monotonic() + 30
            while self._inner() is not None and time.monotonic() < deadline:
                time.sleep(0.1)
        self._program.kill()
        self._remove_groups()

    def docker(self, *arguments: str | Path, stdin: Path | None = None, seconds: float = 60, check: bool = True) -> str:
        """Standard output; all it said where it fails without ``check``, which makes that an ``AssertionError``."""
        return self.run("docker", *arguments, stdin=stdin, seconds=seconds, check=check)

    def inspect(self, *names: str) -> list[Json]:
        found: list[Json] = json.loads(self.docker("inspect", *names))
        return found

    def inside(self, *command: str, seconds: float = 30, check: bool = True) -> str:
        """Run in the network of the engine's host, where the published ports are."""
        return self.run("nsenter", f"--net=/proc/{self._inner()}/ns/net", *command, seconds=seconds, check=check)

    def run(
        self,
        *command: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: Path | None = None,
        seconds: float = 60,
        check: bool = True,
    ) -> str:
        surroundings = {
            "PATH": engine.SEARCHED,
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self._socket}",
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_HTTP_TIMEOUT": "300",
            **(environment or {}),
        }
        with ExitStack() as stack:
            given: IO[bytes] | int = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
            done = subprocess.run(
                list(map(str, command)),
                cwd=folder or self.folder,
                env=surroundings,
                stdin=given,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        said = f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said
        return done.stdout if done.returncode == 0 else said

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        return "Server Version" in self.docker("info", check=False)

    def _remove_groups(self) -> None:
        """The groups of processes that containers were in outlive them, empty."""
        for top in Path("/sys/fs/cgroup").glob(f"**/{self.folder.name}"):
            for path, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    Path(path).rmdir()

    def _inner(self) -> int | None:
        """The engine itself, as a process of this machine."""
        outer = self._program.pid
        if outer is None:
            return None
        try:
            children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None


@contextmanager
def running_engine() -> Iterator[Engine]:
    """One at a time on this machine, with the base of images imported. Skips the test where there can be none."""
    root = cache_root()
    if why := engine.impossible():
        skip_as_impossible(f"no Docker engine can run here: {why}")
    if missing := engine.missing_tools():
        skip_or_fail(f"no Docker engine: there is no {', '.join(missing)}", remedy="run `make testbed CI=1` as root")
    if not engine.archive(root).exists():
        skip_or_fail("there is no base for images", remedy="run `make testbed CI=1`")
    data = root / "docker"
    data.mkdir(parents=True, exist_ok=True)
    with (root / "docker.lock").open("w") as lock, closing(Nest("emco-docker")) as nest:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = Engine(nest, data)
        try:
            try:
                started.start()
            except StartError:  # what it kept may be of no use any more
                started.stop()
                shutil.rmtree(data)
                started.start()
        except StartError as error:
            skip_or_fail(f"the Docker engine does not start here: {error}", remedy="its log says why")
        try:
            yield started
        finally:
            started.stop()


def base(on: Engine) -> str:
    """The name of the base of images, imported if it is not there yet."""
    made = engine.folder(cache_root())
    name = f"emco-test-{made.name}"
    if not on.docker("images", "--quiet", name).strip():
        on.docker("import", "-", name, stdin=engine.archive(cache_root()), seconds=120)
    return name


def built(on: Engine, name: str, context: Path, *, file: Path, **arguments: str) -> str:
    """Build an image without a network; answers its id."""
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    on.docker("build", "--network=none", "--quiet", f"--tag={name}", f"--file={file}", *given, context, seconds=360)
    on.docker("image", "prune", "--force", f"--filter=until={KEPT}", seconds=120)
    return on.docker("images", "--quiet", "--no-trunc", name).strip()


def context_of_emco(target: Path) -> Path:
    """What ``deploy/Dockerfile`` is built from, with a wheelhouse, as a user without a package index would have it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for name in ("pyproject.toml", "README.md", ".dockerignore"):
        shutil.copy(ROOT / name, target / name)
    for name in ("common", "services", "simcluster", "deploy"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "secrets", "*.whl"))
    _lay(wheels("emco", needed), target / "deploy" / "wheelhouse")
    return target


def context_of_stores(target: Path) -> Path:
    """What stands in for the images of the stores; see the Dockerfile there."""
    for path in (ROOT / "tests" / "e2e" / "compose").iterdir():
        if path.is_file():
            shutil.copy(path, target / path.name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [line for line in project["optional-dependencies"]["test"] if line.startswith(("etcd-", "secantusdb"))]
    _lay(wheels("stores", needed), target / "wheels")
    return target


def wheels(name: str, needed: Sequence[str]) -> Path:
    """A folder of the cache with wheels of these requirements and all that they require."""
    digest = hashlib.sha256(repr((sorted(needed), engine.PYTHON)).encode()).hexdigest()[:12]
    root = cache_root()
    target = root / f"wheels-{name}-{digest}"
    with only_builder(root):
        if not target.exists():
            with staged(target) as staging:
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
                only = ["--only-binary=:all:", f"--python-version={engine.PYTHON}", f"--dest={staging}"]
                done = subprocess.run([*pip, *only, *needed], capture_output=True, text=True, timeout=600)
                assert done.returncode == 0, done.stderr[-3000:]
    return target


def _lay(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for wheel in source.glob("*.whl"):
        try:
            os.link(wheel, target / wheel.name)
        except OSError:  # another file system
            shutil.copy(wheel, target / wheel.name)
