"""The files of a process that speaks gRPC over TLS, and what its settings say of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority, KeyPair

NAMES = ("127.0.0.1", "localhost", "rsync")


@dataclass(frozen=True)
class Pki:
    """Below ``folder``: ``ca.crt``, ``tls.crt``, ``tls.key``, as in a secret of Kubernetes."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, authority: Authority, pair: KeyPair) -> Pki:
        folder.mkdir(parents=True, exist_ok=True)
        pki = cls(folder)
        pki.put("ca.crt", authority.certificate)
        pki.exchange(pair)
        return pki

    def exchange(self, pair: KeyPair) -> None:
        """Other certificate and key, each file at once."""
        self.put("tls.crt", pair.certificate)
        self.put("tls.key", pair.key)

    def put(self, name: str, content: bytes) -> None:
        beside = self.folder / f".{name}"
        beside.touch(mode=0o600)
        beside.write_bytes(content)
        os.replace(beside, self.folder / name)

    def settings(self, mode: str, *, server_name: str = "") -> dict[str, Any]:
        """As keyword arguments of ``Settings``."""
        files = {f"grpc_{what}_file": str(self.folder / name) for what, name in _FILES.items()}
        return {"grpc_tls": mode, "grpc_server_name": server_name, **files}

    def environment(self, mode: str, *, server_name: str = "") -> dict[str, str]:
        return {
            f"EMCO_{name.upper()}": value
            for name, value in self.settings(mode, server_name=server_name).items()
            if value
        }


_FILES = {"cert": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
