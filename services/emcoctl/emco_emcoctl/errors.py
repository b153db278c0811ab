"""What can go wrong on the way from a command line to its last answer, and the exit code each kind ends with.

::

    CtlError
    ├── UsageError       1   the command line asks for something that does not exist
    ├── NoInput          1   a command without file and without anchor
    ├── NotWatchableError 1   a watch of something that has no status, or with a filter that is none
    ├── ConfigError      1   the configuration cannot be read, or leads nowhere
    │   └── NoServiceError   1   a service that is needed is not in it
    ├── InputError       2   a file, a template, a document or an anchor is wrong; nothing was sent for it
    │   └── YamlError    2   the text is not YAML, or not of the shape of a resource
    ├── TransportError   4   a server could not be reached, or broke off
    ├── RefusedReadError 3   a service answered outside 200-299 to something that had to be read
    └── NotReachedError  5   what was waited for failed, or did not come in time

An answer outside 200-299 is not an exception: it is reported and ends the run with 3. ``compat_code`` is the code the
original client ends with, used under ``--compat`` (emcoctl 8.3).
"""

from __future__ import annotations

from typing import ClassVar

OK = 0
API_FAILED = 3
INTERRUPTED = 130
ENDED_BY_INTERRUPT = -2
"""What a process counts as that an interrupt ended, as it ends the original."""


class CtlError(Exception):
    """Base of everything emcoctl reports. ``str(error)`` is one sentence for the user."""

    exit_code: ClassVar[int] = 1
    compat_code: ClassVar[int] = 0


class UsageError(CtlError):
    compat_code = 1


class NoInput(CtlError):
    pass


class NotWatchableError(CtlError):
    pass


class ConfigError(CtlError):
    pass


class NoServiceError(ConfigError):
    compat_code = 1


class InputError(CtlError):
    exit_code = 2


class YamlError(InputError):
    compat_code = 1


class TransportError(CtlError):
    exit_code = 4
