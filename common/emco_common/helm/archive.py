"""What may be uploaded as a chart or as an override profile, and how it gets onto disk.

The checks hold at upload, so that a user learns of a mistake at once, and again before every render, since what lies
in the store may come from an older release or an import.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emco_common.errors import TooLarge, Unprocessable
from emco_common.helm import profile as profiles
from emco_common.helm.gzip import BAD_FORMAT, refused
from emco_common.helm.limits import ArchiveLimits
from emco_common.helm.schema import check_values_schema
from emco_common.helm.tar import read_tar
from emco_common.kubeyaml import BadYaml, load_mapping

CHART_FILE = "Chart.yaml"
_SCHEMA_FILE = "values.schema.json"
_NAME_CHARACTERS = 250
_DEFAULT = ArchiveLimits()


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """``files``: name to size in bytes of every file, in archive order. ``expanded_bytes`` counts headers as well."""

    files: Mapping[str, int]
    expanded_bytes: int


@dataclass(frozen=True, slots=True)
class ChartReport:
    """``folder``: the top-level folder that holds the chart."""

    folder: str
    archive: ArchiveReport


@dataclass(frozen=True, slots=True)
class ProfileReport:
    manifest: profiles.ProfileManifest
    archive: ArchiveReport


def check_archive(data: bytes, *, limits: ArchiveLimits = _DEFAULT) -> ArchiveReport:
    """The names and sizes in a gzip'd tar that is safe to unpack.

    Raises ``Unprocessable`` with ``Error in file format: <what>`` (orchestrator-api 5.3, check 8, and robustness 1-5)
    or ``TooLarge`` naming the limit.
    """
    return _read(data, limits=limits, wanted=lambda name: False)[0]


def check_chart(data: bytes, *, folder: str | None = None, limits: ArchiveLimits = _DEFAULT) -> ChartReport:
    """A chart archive: one top-level folder holds ``Chart.yaml``; of several the one named ``folder`` counts.

    Without a name the first of several stands for the one that will be asked for.

    Raises as ``check_archive``, also for what is packed in ``charts/`` and for a values schema that points outside.
    """
    report, contents = _read(data, limits=limits, wanted=_of_interest)
    found = _chart_folder(report, folder)
    _check_metadata(f"{found}/{CHART_FILE}", contents[f"{found}/{CHART_FILE}"])
    _check_contents(contents, limits=limits, level=0)
    return ChartReport(folder=found, archive=report)


def check_profile(data: bytes, *, limits: ArchiveLimits = _DEFAULT) -> ProfileReport:
    """A profile archive: ``manifest.yaml`` in its root, and every file that it names (lifecycle 5.3)."""
    report, contents = _read(data, limits=limits, wanted=lambda name: name == profiles.MANIFEST)
    if profiles.MANIFEST not in contents:
        raise refused(f"a profile holds a file {profiles.MANIFEST} in its root, and this one does not")
    manifest = profiles.parse_manifest(contents[profiles.MANIFEST])
    for path in manifest.files:
        if path not in report.files:
            raise refused(f"{profiles.MANIFEST} names {path!r}, and the profile holds no such file")
    return ProfileReport(manifest=manifest, archive=report)


def unpack(data: bytes, target: Path, *, limits: ArchiveLimits = _DEFAULT) -> None:
    """Write the archive below ``target``, an existing folder of the caller's own that nobody else writes to.

    Modes of the archive are not taken over: folders 0700, files 0600. Raises as ``check_archive``; what was written up
    to there stays for the caller to remove.
    """
    for entry, content in read_tar(data, limits):
        path = target / entry.name
        if entry.is_dir:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in content:
                file.write(piece)


def _read(
    data: bytes, *, limits: ArchiveLimits, wanted: Callable[[str], bool]
) -> tuple[ArchiveReport, dict[str, bytes]]:
    files: dict[str, int] = {}
    contents: dict[str, bytes] = {}
    expanded = 0
    for entry, content in read_tar(data, limits):
        expanded += 512 + entry.size
        if entry.is_dir:
            continue
        files[entry.name] = entry.size
        if wanted(entry.name):
            contents[entry.name] = b"".join(content)
    return ArchiveReport(files=files, expanded_bytes=expanded), contents


def _of_interest(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name in (CHART_FILE, _SCHEMA_FILE) or _is_packed_chart(path)


def _is_packed_chart(path: PurePosixPath) -> bool:
    return path.suffix == ".tgz" and path.parent.name == "charts"


def _chart_folder(report: ArchiveReport, wanted: str | None) -> str:
    tops = [name.partition("/")[0] for name in report.files if name.count("/") == 1 and name.endswith(f"/{CHART_FILE}")]
    if wanted is not None and wanted in tops:
        return wanted
    if len(tops) == 1 or (tops and wanted is None):
        return tops[0]
    if tops:
        raise refused(f"several folders hold a {CHART_FILE} ({', '.join(sorted(tops))}), and none is named {wanted!r}")
    raise refused(f"a chart archive holds one folder with a {CHART_FILE} in it, and this one does not")


def _check_metadata(name: str, content: bytes) -> None:
    try:
        metadata = load_mapping(content)
    except BadYaml as error:
        raise refused(f"{name} {error}") from error
    title = metadata.get("name")
    if not isinstance(title, str) or not title:
        raise refused(f"{name} gives the chart no name")
    if title in (".", "..") or "/" in title or len(title) > _NAME_CHARACTERS:
        raise refused(f"{name} gives the chart a name that cannot be one: {title[:40]!r}")


def _check_contents(contents: Mapping[str, bytes], *, limits: ArchiveLimits, level: int) -> int:
    """Look into schemas and packed sub-charts; returns how many bytes these expanded to."""
    expanded = 0
    for name, content in contents.items():
        path = PurePosixPath(name)
        if path.name == _SCHEMA_FILE:
            check_values_schema(name, content)
        elif _is_packed_chart(path):
            if level >= limits.nested:
                raise TooLarge(f"{BAD_FORMAT}: {name} is packed deeper than {limits.nested} charts")
            left = replace(limits, total_bytes=limits.total_bytes - expanded)
            expanded += _check_packed(name, content, limits=left, level=level + 1)
    return expanded


def _check_packed(name: str, content: bytes, *, limits: ArchiveLimits, level: int) -> int:
    try:
        report, inner = _read(content, limits=limits, wanted=_of_interest)
        return report.expanded_bytes + _check_contents(
            inner, limits=replace(limits, total_bytes=limits.total_bytes - report.expanded_bytes), level=level
        )
    except (Unprocessable, TooLarge) as error:
        raise type(error)(f"{error} (in {name})") from error
