"""A quick MongoDB-wire server for benchmarks: mongo-java-server in memory, and the last PyMongo that speaks to it.

To it come the indexes that are not unique, which it does not have of itself: without them each search is of everything,
and what is measured grows with the square of what is stored. Ten thousand clusters take it more than half a gigabyte.
It has no transactions and answers some projections wrongly, so it says nothing about correctness. It speaks wire
version 8, which PyMongo refuses from 4.16 on; a process that is to reach it is started with ``environment``, in which
the older PyMongo goes before the installed one. Needs Java 17, ``javac`` and Maven to be built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
VERSION = "1.47.0"
PYMONGO = "4.15.5"
TOOLS = ("java", "javac", "mvn")


def folder(root: Path) -> Path:
    """Where it is once it is built; the name bears a hash of all it is made from."""
    digest = hashlib.sha256(f"{VERSION} {PYMONGO} {sys.version_info[:2]}".encode())
    for source in ("pom.xml", "QuickMongo.java"):
        digest.update((SOURCES / source).read_bytes())
    return root / f"quickmongo-{VERSION}-{digest.hexdigest()[:12]}"


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def build_into(staging: Path) -> None:
    """Raises ``CalledProcessError``, whose ``stdout`` says why."""
    jars, classes = staging / "jars", staging / "classes"
    copy = f"-DoutputDirectory={jars}"
    _run("mvn", "-q", "-B", "-f", str(SOURCES / "pom.xml"), "dependency:copy-dependencies", copy)
    _run("javac", "-cp", f"{jars}/*", "-d", str(classes), str(SOURCES / "QuickMongo.java"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _run(*pip, "--target", str(staging / "python"), f"pymongo=={PYMONGO}")


def command(built: Path, port: int) -> list[str]:
    return ["java", "-Xmx2g", "-cp", f"{built}/jars/*:{built}/classes", "QuickMongo", str(port)]


def environment(built: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a process that is to reach the server."""
    path = os.pathsep.join(filter(None, [str(built / "python"), given.get("PYTHONPATH", "")]))
    return {**given, "PYTHONPATH": path}


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
