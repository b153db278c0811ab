"""Builders of charts and override profiles, and of archives that should be refused."""

import gzip
import io
import tarfile
from collections.abc import Mapping

CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-%s
data:
  colour: {{ .Values.colour }}
"""


def archive(files: Mapping[str, str]) -> bytes:
    """A gzip'd tar of regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def link_archive(name: str, target: str) -> bytes:
    """A chart in which one entry is a symbolic link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type = tarfile.SYMTYPE
        member.linkname = target
        tar.addfile(member)
    return gzip.compress(out.getvalue(), mtime=0)


def bomb(size: int) -> bytes:
    """A chart of which one file is ``size`` bytes of zeros: tiny compressed."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        member = tarfile.TarInfo("web/zeros")
        member.size = size
        tar.addfile(member, _Zeros(size))
    return out.getvalue()


class _Zeros(io.RawIOBase):
    def __init__(self, left: int) -> None:
        self._left = left

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, size if size >= 0 else self._left)
        self._left -= count
        return bytes(count)


def chart(name: str = "web", templates: Mapping[str, str] | None = None, values: str = "colour: red\n") -> bytes:
    """A chart of one ConfigMap ``<release>-<name>`` unless templates are given."""
    files = {
        f"{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n",
        f"{name}/values.yaml": values,
    }
    rendered = templates if templates is not None else {"config.yaml": CONFIG_MAP % name}
    return archive(files | {f"{name}/templates/{file}": text for file, text in rendered.items()})


def profile(values: str = "", manifest: str | None = None) -> bytes:
    """An override profile; its values file may be empty."""
    text = 'version: v1\ntype:\n  values: "override_values.yaml"\n' if manifest is None else manifest
    return archive({"manifest.yaml": text, "override_values.yaml": values})
