"""Reading a request's body: plain, or a form of the parts ``metadata`` and ``file`` (spec orchestrator-api 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from emco_common.errors import BadRequest, Unprocessable

T = TypeVar("T")
_MAX_PARTS = 32


@dataclass(frozen=True, slots=True)
class Form:
    metadata: bytes
    file: bytes | None


def is_form(request: Request) -> bool:
    return _media_type(request) == "multipart/form-data"


async def read_form(request: Request, *, json_allowed: bool) -> Form:
    """The two parts. A JSON body stands for a form without a file where ``json_allowed``.

    Raises ``Unprocessable`` with the reason if the body is no form, ``BadRequest`` if it has a part twice.
    """
    if json_allowed and _media_type(request) == "application/json":
        return Form(await request.body(), None)
    if not is_form(request):
        raise Unprocessable("request Content-Type isn't multipart/form-data")
    if "boundary=" not in request.headers["content-type"]:
        raise Unprocessable("no multipart boundary param in Content-Type")
    try:
        form = await request.form(max_files=_MAX_PARTS, max_fields=_MAX_PARTS, max_part_size=1 << 20)
    except (HTTPException, KeyError, UnicodeDecodeError) as error:
        raise Unprocessable(f"the form cannot be read: {getattr(error, 'detail', error)}") from error
    try:
        # Only what came with a file name is a file, and what came with one is no metadata.
        texts = [value for value in form.getlist("metadata") if isinstance(value, str)]
        files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
        metadata = _only("metadata", texts) or request.query_params.get("metadata", "")
        file = _only("file", files)
        return Form(metadata.encode(), None if file is None else await file.read())
    finally:
        await form.close()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _only(name: str, parts: Sequence[T]) -> T | None:
    if len(parts) > 1:
        raise BadRequest(f"the form has {len(parts)} parts named {name}; send one")
    return parts[0] if parts else None
