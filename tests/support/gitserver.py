"""A real Git server over HTTPS on loopback: ``git http-backend`` behind Python's web server, for one user."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority
from tests.support.realserver import skip_or_fail

BACKEND = "/usr/lib/git-core/git-http-backend"
CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
}


@dataclass
class GitServer:
    """``away``: it refuses everything with 503. ``requests``: what was asked for, with the user."""

    folder: Path
    authority: Authority
    port: int = 0
    user: str = "bot"
    token: str = "t0ken-CANARY-1"
    away: bool = False
    requests: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.folder / "edge.git"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/edge.git"

    def pairs(self, **other: str) -> list[dict[str, str]]:
        """The pairs of a sync object that describes the repository."""
        values = {"userName": self.user, "gitToken": self.token, "repoName": "edge", "branch": "main", "url": self.url}
        lines = self.authority.certificate.decode().splitlines()
        return [{name: value} for name, value in (values | other).items()] + [{"caCert": line} for line in lines]

    def git(self, *arguments: str, given: str = "", folder: Path | None = None) -> str:
        """Run git on the server's side."""
        done = subprocess.run(
            ["git", *arguments], cwd=folder or self.repository, input=given, env=CLEAN, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self, branch: str = "main") -> dict[str, str]:
        """Path and text of what a branch holds."""
        commit = self.branches().get(branch)
        if commit is None:
            return {}
        names = [name for name in self.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0") if name]
        return {name: self.raw(name, commit).decode(errors="replace") for name in names}

    def raw(self, path: str, branch: str = "main") -> bytes:
        command = ["git", "cat-file", "blob", f"{branch}:{path}"]
        return subprocess.run(
            command, cwd=self.repository, env=CLEAN, capture_output=True, timeout=30, check=True
        ).stdout

    def branches(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").split("\n")
        return dict(line.split(" ") for line in lines if line)

    def messages(self, branch: str = "main") -> list[str]:
        """Newest first."""
        return [text.strip() for text in self.git("log", "--format=%B%x00", branch).split("\0") if text.strip()]

    def commit(self, files: dict[str, str | None], *, branch: str = "main", message: str = "by somebody else") -> None:
        """What somebody else pushes; ``None`` removes a file."""
        stream = [
            f"commit refs/heads/{branch}\ncommitter s <s@example.org> 1700000000 +0000\n",
            f"data {len(message)}\n{message}\n",
        ]
        if branch in self.branches():
            stream.append(f"from refs/heads/{branch}^0\n")
        for path, text in files.items():
            data = (text or "").encode()
            stream.append(f'D "{path}"\n' if text is None else f'M 100644 inline "{path}"\ndata {len(data)}\n{text}\n')
        self.git("fast-import", "--quiet", given="".join(stream))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until the repository is so."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  # seen by asking git
                await asyncio.sleep(0.05)

    def refuse(self, words: str, *, pattern: str = "") -> None:
        """Pushes (that touch a path with the pattern) are refused with these words."""
        hook = self.repository / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        look = f'git diff-tree -r --name-only "$old" "$new" | grep -q "{pattern}" || continue' if pattern else ":"
        hook.write_text(f'#!/bin/sh\nwhile read old new ref; do {look}; echo "{words}" >&2; exit 1; done\nexit 0\n')
        hook.chmod(0o755)

    def relent(self) -> None:
        (self.repository / "hooks" / "pre-receive").unlink()


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    """A server with one private repository that has a first commit."""
    if not shutil.which("git") or not Path(BACKEND).exists():
        skip_or_fail("git with http-backend is not installed", remedy="apt-get install git")
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority.new("git authority")
    server = GitServer(folder, authority)
    server.git("init", "--quiet", "--bare", "--initial-branch=main", "edge.git", folder=folder)
    server.git("config", "http.receivepack", "true")
    server.git("config", "uploadpack.allowAnySHA1InWant", "true")
    server.commit({"README.md": "of others\n"}, message="first")
    pair = authority.issue("127.0.0.1", hosts=["127.0.0.1"])
    (folder / "server.pem").write_bytes(pair.certificate + pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    handler = type("Handler", (_Handler,), {"git_server": server})
    web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    web.daemon_threads = True
    web.socket = tls.wrap_socket(web.socket, server_side=True, do_handshake_on_connect=False)
    server.port = web.server_address[1]
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
        thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    git_server: GitServer

    def do_GET(self) -> None:  # the name http.server calls
        self._serve()

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        server = self.git_server
        body = self._body()
        server.requests.append(f"{self.command} {self.path}")
        expected = "Basic " + base64.b64encode(f"{server.user}:{server.token}".encode()).decode()
        if server.away:
            self._answer(503, {}, b"away")
        elif self.headers.get("Authorization") != expected:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"who are you?")
        else:
            self._answer(*self._backend(body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _backend(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        path, _, query = self.path.partition("?")
        environment = CLEAN | {
            "GIT_PROJECT_ROOT": str(self.git_server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": self.git_server.user,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, timeout=30, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = (line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        headers = dict(pair for pair in lines)
        return int(headers.pop("Status", "200").split(" ")[0]), headers, content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
