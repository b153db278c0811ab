"""Store and bus with something around some of their calls: what times or traces them stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

Call = Callable[..., Coroutine[Any, Any, Any]]


class Door:
    """Everything as behind it, but for ``calls``, by name."""

    def __init__(self, inner: object, calls: Mapping[str, Call]) -> None:
        self._inner = inner
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
