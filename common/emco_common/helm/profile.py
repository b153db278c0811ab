"""The override profile of an app: ``manifest.yaml``, values, and files put into the chart (lifecycle 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emco_common.helm.api import RenderError
from emco_common.kubeyaml import BadYaml, load_mapping

MANIFEST = "manifest.yaml"


@dataclass(frozen=True, slots=True)
class ConfigResource:
    """Copy ``source`` (in the profile) over ``target`` (in the chart archive, so it starts with the chart's folder)."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ProfileManifest:
    values: str
    resources: tuple[ConfigResource, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that the manifest expects in the profile."""
        return (self.values, *(resource.source for resource in self.resources))


def parse_manifest(content: bytes) -> ProfileManifest:
    """Raises ``RenderError`` naming the key; keys match in any letter case, paths stay inside their archive."""
    try:
        manifest = _lowered(load_mapping(content))
    except BadYaml as error:
        raise RenderError(f"{MANIFEST} {error}") from error
    kind = manifest.get("type")
    if not isinstance(kind, Mapping):
        raise RenderError(f"{MANIFEST} has no mapping 'type'")
    resources = kind.get("configresource") or []
    if not isinstance(resources, list):
        raise RenderError(f"{MANIFEST}: type.configresource is not a list")
    return ProfileManifest(
        values=_path(kind.get("values"), "type.values"),
        resources=tuple(_resource(index, item) for index, item in enumerate(resources)),
    )


def apply_resources(manifest: ProfileManifest, *, profile: Path, chart: Path) -> None:
    """Copy the config resources; ``chart`` is where the chart archive was unpacked. Raises ``RenderError``."""
    for resource in manifest.resources:
        source, target = profile / resource.source, chart / resource.target
        if not source.is_file():
            raise RenderError(f"{MANIFEST} names {resource.source!r}, and the profile holds no such file")
        if not target.parent.is_dir() or target.is_dir():
            raise RenderError(f"{MANIFEST} copies to {resource.target!r}, and the chart has no such folder")
        target.write_bytes(source.read_bytes())


def _resource(index: int, item: object) -> ConfigResource:
    name = f"type.configresource[{index}]"
    if not isinstance(item, Mapping):
        raise RenderError(f"{MANIFEST}: {name} is not a mapping")
    return ConfigResource(
        source=_path(item.get("filepath"), f"{name}.filepath"),
        target=_path(item.get("chartpath"), f"{name}.chartpath"),
    )


def _path(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise RenderError(f"{MANIFEST}: {name} is missing or not text")
    if value.startswith("/") or "\\" in value or "\0" in value or ":" in value or ".." in value.split("/"):
        raise RenderError(f"{MANIFEST}: {name} is {value!r}, which is not a path inside the archive")
    path = str(PurePosixPath(value))
    if path == ".":
        raise RenderError(f"{MANIFEST}: {name} is {value!r}, which names no file")
    return path


def _lowered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key).lower(): _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
