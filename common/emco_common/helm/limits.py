"""How much an uploaded archive and a render may take, and why the defaults are what they are."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits of one uploaded gzip'd tar. Bytes, unless said otherwise.

    The defaults leave room for every published chart (the largest unpack to some 10 MiB and 2,000 files) and keep a
    hostile one from costing more than a moment.
    """

    total_bytes: int = 100 * MIB
    """Sum of everything the gzip stream expands to, tar headers included."""
    file_bytes: int = 32 * MIB
    entries: int = 10_000
    depth: int = 32
    """Folders above a file."""
    ratio: int = 200
    """Expanded to compressed size, counted from ``ratio_from`` on: text reaches 20, a bomb 1000."""
    ratio_from: int = 4 * MIB
    name_bytes: int = 1024
    nested: int = 3
    """Levels of sub-charts packed as archives inside ``charts/``."""


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """Limits of one render. The archive limits hold besides."""

    seconds: float = 30.0
    """Wall clock from the moment a worker takes the request."""
    cpu_seconds: int = 20
    memory_bytes: int = 512 * MIB
    """Private writable memory of the process that renders (``RLIMIT_DATA``); reserved address space is not counted."""
    file_bytes: int = 128 * MIB
    open_files: int = 256
    output_bytes: int = 16 * MIB
    objects: int = 5_000
    object_bytes: int = 1_500_000
    """One manifest: etcd of a cluster refuses requests above 1.5 MiB."""
    yaml_nodes: int = 200_000
    """Nodes of one document after its aliases are expanded."""
    yaml_depth: int = 100
    archive: ArchiveLimits = ArchiveLimits()
