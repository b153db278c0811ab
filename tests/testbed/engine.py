"""Docker engine 20.10, docker-compose 1.29 and a small Debian to build images on, for the suite of docker-compose.yaml.

They come from Debian's packages, which are installed only where that is asked for (the CI), since that changes the
machine. Where nothing can be pulled images need a base all the same: it is made here, with what `deploy/Dockerfile`
needs in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "bookworm"
PYTHON = "3.11"
"""The Python in that base, which wheels must be for."""
PACKAGES = ("docker.io", "docker-compose", "mmdebstrap", "iproute2", "iptables", "containernetworking-plugins")
TOOLS = ("dockerd", "docker-compose", "mmdebstrap", "ip", "unshare", "nsenter")
NODE_TOOLS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", "unshare", "nsenter")
"""What a node of Kubernetes needs beside kubelet: the engine's own containerd, and plug-ins for the pods' network."""
NETWORK_PLUGINS = Path("/usr/lib/cni")
INCLUDED = ("ca-certificates", "git", "python3", "python3-venv")
SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"


def folder(root: Path) -> Path:
    """Where the base is once it is made."""
    digest = hashlib.sha256(repr((VERSION, INCLUDED)).encode()).hexdigest()[:12]
    return root / f"base-{VERSION}-{digest}"


def archive(root: Path) -> Path:
    """The base as a file that can be imported."""
    return folder(root) / "base.tar"


def impossible() -> str:
    """Why this user can run no container here, whatever is installed; ``""`` where nothing speaks against it."""
    if os.geteuid():
        return "it takes the rights of root"
    unshare = shutil.which("unshare", path=SEARCHED)
    if unshare is None:
        return ""
    tried = subprocess.run([unshare, "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True)
    return f"root may not make name spaces: {tried.stderr.strip()}" if tried.returncode else ""


def missing_tools() -> list[str]:
    missing = [tool for tool in TOOLS if shutil.which(tool, path=SEARCHED) is None]
    return missing + (["the rights of root"] if os.geteuid() else [])


def missing_for_nodes() -> list[str]:
    missing = [tool for tool in NODE_TOOLS if shutil.which(tool, path=SEARCHED) is None]
    plugins = [] if (NETWORK_PLUGINS / "bridge").exists() else [str(NETWORK_PLUGINS / "bridge")]
    return missing + plugins + (["the rights of root"] if os.geteuid() else [])


def install() -> None:
    """Install what is missing, without starting a service. Raises ``CalledProcessError``."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update", "-qq"], ["install", "--yes", "-qq", "--no-install-recommends", *PACKAGES]):
        _run("apt-get", *command, environment=environment)


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def build_into(staging: Path) -> None:
    """Make the base. Raises ``CalledProcessError``, whose ``stdout`` says why."""
    settings = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    ways = ("Acquire::Check-", "Acquire::http", "Acquire::Retries")
    own = [line for line in settings.splitlines() if line.startswith(ways)]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as options:
        options.write("\n".join(own) + "\n")  # how this machine reaches Debian's packages
        options.flush()
        _run(
            *("mmdebstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", f"--aptopt={options.name}"),
            *(VERSION, str(staging / "base.tar")),
        )


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
