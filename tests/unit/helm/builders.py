"""Archives, charts and profiles for tests, made of what matters to the test."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from typing import Any

from emco_common.helm.api import RenderRequest

CHART_FILES = {"web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n"}


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def raw_tar(*entries: tuple[tarfile.TarInfo, bytes], **options: Any) -> bytes:
    """A tar as ``tarfile`` writes it, whatever the entries are; the size is taken from the content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for info, content in entries:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tarball(files: Mapping[str, str | bytes]) -> bytes:
    contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return gzip.compress(raw_tar(*((entry(name), content) for name, content in contents.items())), mtime=0)


def chart(templates: Mapping[str, str] | None = None, **others: str) -> bytes:
    """A chart ``web``. ``templates`` are files below ``templates/``; ``others`` are files by their path in the chart,
    with ``__`` for a slash and ``_`` for the dot before the extension."""
    files: dict[str, str | bytes] = dict(CHART_FILES)
    files |= {f"web/templates/{name}": text for name, text in (templates or {}).items()}
    for name, text in others.items():
        path, _, extension = name.replace("__", "/").rpartition("_")
        files[f"web/{path}.{extension}"] = text
    return tarball(files)


def profile(values: str = "", **files: str) -> bytes:
    manifest = "version: v1\ntype:\n  values: override_values.yaml\n"
    return tarball({"manifest.yaml": manifest, "override_values.yaml": values, **files})


def object_of(kind: str, name: str, *, api: str = "v1", body: str = "") -> str:
    return f"apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n{body}"


def config_map(name: str, **data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return object_of("ConfigMap", name, body=f"data:\n{lines}" if data else "")


def request(chart_archive: bytes, **fields: Any) -> RenderRequest:
    values: dict[str, Any] = {"folder": "web", "profile": None, "release": "r1", "namespace": "shop", **fields}
    return RenderRequest(chart=chart_archive, **values)
