"""Reading a request's body: plain, or a form of the parts ``metadata`` and ``file`` (spec orchestrator-api 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from emco_common.errors import Unprocessable

_MAX_PARTS = 32


@dataclass(frozen=True, slots=True)
class Form:
    metadata: bytes
    file: bytes | None


async def read_form(request: Request, *, json_allowed: bool) -> Form:
    """The two parts. A JSON body stands for a form without a file where ``json_allowed``.

    Raises ``Unprocessable`` with the reason if the body is no form.
    """
    content_type = request.headers.get("content-type", "")
    if json_allowed and content_type.split(";")[0].strip() == "application/json":
        return Form(await request.body(), None)
    if content_type.split(";")[0].strip() != "multipart/form-data":
        raise Unprocessable("request Content-Type isn't multipart/form-data")
    if "boundary=" not in content_type:
        raise Unprocessable("no multipart boundary param in Content-Type")
    try:
        form = await request.form(max_files=_MAX_PARTS, max_fields=_MAX_PARTS, max_part_size=1 << 20)
    except (HTTPException, KeyError, UnicodeDecodeError) as error:
        raise Unprocessable(f"the form cannot be read: {getattr(error, 'detail', error)}") from error
    try:
        metadata = form.get("metadata") or request.query_params.get("metadata", "")
        file = form.get("file")
        return Form(
            metadata.encode() if isinstance(metadata, str) else b"",
            await file.read() if isinstance(file, UploadFile) else None,
        )
    finally:
        await form.close()
