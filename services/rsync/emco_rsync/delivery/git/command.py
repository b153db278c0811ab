"""The ``git`` program as a child process: a deadline on each run, capped output, credentials in its environment alone.

Decision 11 says why not a library: what speaks to a foreign server can be stopped and its memory is its own.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from emco_common.kube import errors
from emco_rsync.delivery.git.errors import GitMissing, error_of, without
from emco_rsync.delivery.git.remote import Remote

_PASSED_ON = ("PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
_TOLD = 20_000
"""Bytes of what it says that are kept."""
_CHUNK = 65_536
ENDING_SECONDS = 2.0


class Git:
    """Runs ``git`` in one bare repository. ``timeout`` seconds, ``max_file`` bytes of any file it writes."""

    def __init__(self, directory: Path, remote: Remote, *, timeout: float, max_file: int) -> None:
        self.directory = directory
        self.remote = remote
        self._timeout = timeout
        self._max_file = max_file
        self._environment: dict[str, str] = {}

    async def prepare(self) -> None:
        """Make the repository if it is not there."""
        if (self.directory / "HEAD").exists():
            return
        await asyncio.to_thread(self._lay_out)
        await self.run("init", "--quiet", "--bare", str(self.directory))

    async def run(self, *arguments: str, given: bytes = b"", limit: int = 64 * 2**20) -> bytes:
        """What it answers. Any ``KubeError``; ``BadAnswer`` beyond ``limit`` bytes."""
        self._environment = self._environment or _environment(self.remote, self.directory)
        program = shutil.which("git")
        if program is None:
            raise GitMissing("the program git is not installed where rsync runs; install it")
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=self.directory,
            start_new_session=True,
        )
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self._max_file, self._max_file))
        try:
            async with asyncio.timeout(self._timeout):
                answer, told, _ = await asyncio.gather(
                    _read(process.stdout, limit), _read(process.stderr, _TOLD), _write(process.stdin, given)
                )
                code = await process.wait()
        except TimeoutError:
            raise errors.Unreachable(
                f"{self.remote.server}: git {arguments[0]} did not end within {self._timeout:g} s"
            ) from None
        finally:
            if process.returncode is None:
                await _end(process)
                await asyncio.to_thread(self._unlock)
        if code != 0:
            words = without(told.decode(errors="replace"), self.remote.secrets)
            raise error_of(words, server=self.remote.server)
        if len(answer) > limit:
            raise errors.BadAnswer(f"{self.remote.server}: git {arguments[0]} answered more than {limit} bytes")
        return answer

    def _unlock(self) -> None:
        """What was killed may have left its locks, and nobody else works here."""
        for lock in self.directory.rglob("*.lock"):
            lock.unlink(missing_ok=True)

    def _lay_out(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.remote.ca:
            (self.directory / "ca.pem").write_text(self.remote.ca)


def _environment(remote: Remote, directory: Path) -> dict[str, str]:
    """Nothing of the machine's own configuration; the credentials go to this URL only, and nowhere it may point to."""
    config = {
        f"http.{remote.url}.extraHeader": f"Authorization: Basic {remote.basic}",
        "http.followRedirects": "false",
        "credential.helper": "",
        "core.hooksPath": "/dev/null",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "init.defaultBranch": "main",
        "safe.directory": "*",
        "pack.threads": "1",
    }
    if remote.ca:
        config["http.sslCAInfo"] = str(directory / "ca.pem")
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {
        "GIT_DIR": str(directory),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "https:http",
        "GIT_CONFIG_COUNT": str(len(config)),
        "HOME": str(directory),
        "LC_ALL": "C",
    }
    for number, (name, value) in enumerate(config.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    """At most one byte more than ``limit``; what comes after it is read and dropped."""
    assert stream is not None
    found = bytearray()
    while chunk := await stream.read(_CHUNK):
        found += chunk[: max(0, limit + 1 - len(found))]
    return bytes(found)


async def _write(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    assert stream is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(given)
        await stream.drain()
    stream.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """With all it has started; asked first, so that it may clear up."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await process.wait()
