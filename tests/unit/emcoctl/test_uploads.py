"""How files are told apart, found, and framed."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_emcoctl.errors import InputError
from emco_emcoctl.planning import Upload
from emco_emcoctl.sniffing import content_type
from emco_emcoctl.uploads import find, multipart


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
        (b"PK\x03\x04x", "application/zip"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"  <html><body>", "text/html; charset=utf-8"),
        (b"<bold>", "application/octet-stream"),
        (b'\n<?xml version="1.0"?>', "text/xml; charset=utf-8"),
        (b"a: 1\n", "application/octet-stream"),
        (b"a: 1\n" * 200, "text/plain; charset=utf-8"),
        (b"a" * 511, "application/octet-stream"),
        (b"a" * 512, "text/plain; charset=utf-8"),
        (b"a" * 511 + b"\x01", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_type_is_told_from_the_first_bytes(data: bytes, type_: str) -> None:
    assert content_type(data) == type_


def test_a_path_is_meant_from_the_working_directory_then_from_the_document(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/only").touch()
    (tmp_path / "sub/both").touch()
    (tmp_path / "both").touch()

    assert find("only", source="sub/r.yaml", cwd=tmp_path) == tmp_path / "sub/only"
    assert find("both", source="sub/r.yaml", cwd=tmp_path) == tmp_path / "both"


@pytest.mark.parametrize(("path", "reason"), [("nope", "does not exist"), ("folder", "is a folder")])
def test_a_file_that_is_not_there_is_named(path: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(InputError, match=f"r.yaml: the file {path} {reason}"):
        find(path, source="r.yaml", cwd=tmp_path)


def test_parts_are_framed_as_the_original_does(tmp_path: Path) -> None:
    (tmp_path / 'q"č.txt').write_bytes(b"1")
    upload = Upload("files", ('./q"č.txt',), None)

    type_, body = multipart("{}", upload, source="", cwd=tmp_path)

    mark = type_.removeprefix("multipart/form-data; boundary=").encode()
    assert body.split(b"--" + mark) == [
        b"",
        b'\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{}\r\n',
        '\r\nContent-Disposition: form-data; name="files"; filename="q\\"č.txt"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n1\r\n".encode(),
        b"--\r\n",
    ]
