"""Takes from a worker process, before it sees a chart, what a render must not have or must not have much of."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from emco_common.helm.limits import RenderLimits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

CPU_BUDGETS = 2
"""A worker may use this many times the CPU time of one render before the kernel ends it; it is replaced after one."""


def limit_resources(limits: RenderLimits) -> None:
    """Hold for this process and for every child of its own."""
    for kind, value in (
        (resource.RLIMIT_CPU, limits.cpu_seconds * CPU_BUDGETS),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (_within(value, kind), _within(value, kind)))


def leave_network() -> bool:
    """Enter a network of our own in which there is nothing, where the kernel lets anybody do so; ``True`` if it did.

    Must come before any thread is started. Nothing in a render asks for the network; this holds should that change.
    """
    # Half way in there is no way back, so a child goes first.
    child = os.fork()
    if child == 0:
        os._exit(0 if _enter() else 1)
    return os.waitpid(child, 0)[1] == 0 and _enter()


def _enter() -> bool:
    uid, gid = os.getuid(), os.getgid()
    try:
        if ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return False
        # Without a mapping the files written from here on would belong to nobody.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    except (OSError, AttributeError):
        return False
    return True


def _within(value: int, kind: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
