"""Packs the SmartCity charts and profiles into the archives that EMCO takes: ``python package.py [folder]``.

The same sources give the same bytes, so that an unchanged chart is an unchanged upload.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHARTS = ("edge", "cloud")
PROFILES = ("edge", "web")


def package(target: Path, *, source: Path = HERE) -> Sequence[Path]:
    """Write ``<chart>.tar.gz`` and ``<app>-profile.tar.gz`` into ``target``, which is made if missing."""
    target.mkdir(parents=True, exist_ok=True)
    archives = {f"{chart}.tar.gz": _files(source / chart, prefix=f"{chart}/") for chart in CHARTS}
    archives |= {f"{app}-profile.tar.gz": _files(source / "profiles" / app, prefix="") for app in PROFILES}
    for name, files in archives.items():
        (target / name).write_bytes(pack(files))
    return [target / name for name in archives]


def pack(files: Mapping[str, bytes]) -> bytes:
    """A gzip'd tar of these files, without times, owners or anything else that differs between two machines."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def _files(folder: Path, *, prefix: str) -> dict[str, bytes]:
    return {
        prefix + path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "packages"
    for path in package(target):
        print(path)


if __name__ == "__main__":
    main()
