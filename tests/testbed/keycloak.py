"""Keycloak, a real OpenID provider, from Maven; built once for a database in memory, so that it starts in seconds.

Needs Java 17 and Maven.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

VERSION = "26.0.7"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
TOOLS = ("java", "mvn")
OPTIONS = ("--db=dev-mem", "--health-enabled=true")


def folder(root: Path) -> Path:
    """Where it is once it is built."""
    digest = hashlib.sha256(repr((ARTIFACT, OPTIONS)).encode()).hexdigest()[:12]
    return root / f"keycloak-{VERSION}-{digest}"


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def build_into(staging: Path) -> None:
    """Raises ``CalledProcessError``, whose ``stdout`` says why."""
    _run("mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={staging}")
    (archive,) = staging.glob("*.zip")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(staging)
    archive.unlink()
    program = staging / f"keycloak-{VERSION}" / "bin" / "kc.sh"
    program.chmod(0o755)
    _run(str(program), "build", *OPTIONS)


def command(built: Path, port: int, *, password: str, management: int) -> list[str]:
    """Of a server without TLS on this machine alone, whose administrator is ``admin``."""
    program = built / f"keycloak-{VERSION}" / "bin" / "kc.sh"
    own = {
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    }
    flags = (
        f"--http-port={port}",
        f"--http-management-port={management}",
        "--http-host=127.0.0.1",
        "--http-enabled=true",
        "--cache=local",
        f"--hostname=http://127.0.0.1:{port}",
    )
    return ["/usr/bin/env", *(f"{k}={v}" for k, v in own.items()), str(program), "start", "--optimized", *flags]


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
