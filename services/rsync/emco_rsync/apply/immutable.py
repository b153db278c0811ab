"""Was an object refused because a field cannot be changed in place? By the server's words, as there is no code for it.

Pure. Only if nothing else is wrong with the object: what would be refused anew is not worth deleting for.
"""

from __future__ import annotations

import re

from emco_common.kube.errors import Cause, Invalid

_WORDS = re.compile(
    r"""(?ix)
      \b immutable \b
    | may \s not \s (be \s changed|change) \b
    | (cannot|can \s not|must \s not|can't) \s (be \s)? (change|changed|updated|modified) \b
    | updates \s to \s .* \s are \s forbidden
    | updates \s may \s not \s change
    | is \s (not \s updatable|read-?only) \b
    | failed \s rule: \s .* \b oldSelf \b
    """
)
_WHOLE = "the object"


def frozen_fields(error: Invalid) -> tuple[str, ...]:
    """The fields that cannot be changed in place; empty if that is not what is wrong, or not all."""
    if not error.causes:
        return (_WHOLE,) if _WORDS.search(str(error)) else ()
    if not all(_speaks_of_change(cause) for cause in error.causes):
        return ()
    return tuple(dict.fromkeys(cause.field or _WHOLE for cause in error.causes))


def _speaks_of_change(cause: Cause) -> bool:
    return _WORDS.search(cause.message) is not None
