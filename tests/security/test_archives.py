"""Archives from strangers: nothing leaves the folder, nothing grows without a limit, each refusal says why.

Specification: orchestrator-api 5.3 (check 8), robustness 1-9.
"""

import gzip
import json
import random
import tarfile
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emco_common.errors import EmcoError, TooLarge, Unprocessable
from emco_common.helm.archive import check_archive, check_chart, check_profile, unpack
from emco_common.helm.limits import MIB, ArchiveLimits
from tests.unit.helm.builders import CHART_FILES, chart, entry, profile, raw_tar, tarball

CORE = "Error in file format"
SMALL = ArchiveLimits(total_bytes=2 * MIB, file_bytes=MIB, entries=50, depth=4, ratio_from=MIB)


def packed(*entries: tuple[tarfile.TarInfo, bytes], **options: Any) -> bytes:
    return gzip.compress(raw_tar(*entries, **options))


def refusal(data: bytes, *, limits: ArchiveLimits = SMALL) -> EmcoError:
    with pytest.raises((Unprocessable, TooLarge)) as caught:
        check_archive(data, limits=limits)
    assert str(caught.value).startswith(CORE)
    assert len(str(caught.value)) < 300
    return caught.value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x", "leaves the archive"),
        ("a/../../x", "leaves the archive"),
        ("a/..", "leaves the archive"),
        ("/etc/passwd", "is an absolute path"),
        ("//x", "is an absolute path"),
        ("C:/x", "is an absolute path"),
        ("C:x", "is an absolute path"),
        ("..\\x", "a character that is not allowed"),
        ("a\\b", "a character that is not allowed"),
        ("a\nb", "a character that is not allowed"),
        ("a\x7fb", "a character that is not allowed"),
        ("a/b/c/d/e/f", "lies deeper than 4 folders"),
        ("x" * 300, "longer than 255 bytes"),
        ("y/" * 600 + "z", "longer than 1024 bytes"),
    ],
)
@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_that_could_do_harm_is_refused_and_named(name: str, reason: str, style: int) -> None:
    error = refusal(packed((entry(name), b"x"), format=style))
    assert reason in str(error)
    assert name[:10].encode("unicode_escape").decode() in str(error)


def test_a_nul_in_a_long_name_is_refused() -> None:
    data = packed((entry("x"), b""), format=tarfile.PAX_FORMAT, pax_headers={})
    assert check_archive(data).files == {"x": 0}
    assert "not allowed in a name" in str(refusal(packed((entry("x", pax_headers={"path": "a\0b"}), b""))))


def test_a_name_that_is_not_text_is_refused() -> None:
    assert "is not UTF-8" in str(refusal(packed((entry("a\udcff"), b""), format=tarfile.GNU_FORMAT, encoding="utf-8")))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "is a symbolic link"),
        (tarfile.LNKTYPE, "is a hard link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a named pipe"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file"),
        (b"Z", "is neither a file nor a folder"),
    ],
)
def test_only_files_and_folders_are_let_in(kind: bytes, reason: str) -> None:
    assert f"entry 'web/x' {reason}" in str(refusal(packed((entry("web/x", type=kind, linkname="/etc/passwd"), b""))))


def test_a_file_behind_a_link_to_elsewhere_is_not_written(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    data = packed((entry("web", type=tarfile.SYMTYPE, linkname=str(outside)), b""), (entry("web/x"), b"harm"))
    with pytest.raises(Unprocessable):
        unpack(data, inside, limits=SMALL)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_setuid_file_is_refused(mode: int) -> None:
    assert "setuid" in str(refusal(packed((entry("x", mode=mode), b""))))


def test_a_folder_that_hands_on_its_group_is_common_and_harmless() -> None:
    assert check_archive(packed((entry("a", type=tarfile.DIRTYPE, mode=0o2775), b""), (entry("a/b"), b""))).files


def test_a_global_header_is_refused() -> None:
    assert "is a global header" in str(refusal(packed((entry("x"), b""), pax_headers={"comment": "from git"})))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a", "a"], "'a' is there twice"),
        (["a", "./a"], "is there twice"),
        (["a", "A"], "differ in letter case only"),
        (["a/b", "A/c"], "differ in letter case only"),
        (["a", "a/b"], "is a file and a folder"),
        (["a/b", "a"], "is a file and a folder"),
    ],
)
def test_names_that_get_in_each_others_way_are_refused(names: list[str], reason: str) -> None:
    assert reason in str(refusal(packed(*((entry(name), b"") for name in names))))


def bomb(size: int) -> bytes:
    """A gzip'd tar of one file of zeros, made without holding it."""
    packer = zlib.compressobj(9, wbits=31)
    data = packer.compress(entry("zeros", size=size).tobuf(format=tarfile.GNU_FORMAT))
    for _ in range(size // MIB):
        data += packer.compress(bytes(MIB))
    return data + packer.flush()


def test_a_bomb_is_stopped_before_it_is_unpacked() -> None:
    data = bomb(64 * MIB)
    tracemalloc.start()
    assert "ratio" not in str(refusal(data, limits=ArchiveLimits(file_bytes=64 * MIB)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * MIB


def test_each_limit_says_which_it_is() -> None:
    assert "200 times its size" in str(refusal(bomb(64 * MIB), limits=ArchiveLimits(file_bytes=64 * MIB)))
    assert "'zeros' is larger than 1048576 bytes" in str(refusal(bomb(2 * MIB)))
    noise = ArchiveLimits(total_bytes=1000)
    assert "unpacks to more than 1000 bytes" in str(refusal(packed((entry("a"), b"x" * 2000)), limits=noise))
    assert "more than 50 entries" in str(refusal(packed(*((entry(f"f{n}"), b"") for n in range(60)))))


def test_a_bomb_behind_the_end_mark_or_in_a_second_member_counts() -> None:
    good = raw_tar((entry("a"), b""))
    assert "times its size" in str(refusal(gzip.compress(good + bytes(32 * MIB)), limits=ArchiveLimits()))
    assert "times its size" in str(
        refusal(gzip.compress(good) + gzip.compress(bytes(32 * MIB)), limits=ArchiveLimits())
    )


def test_an_archive_in_an_archive_is_no_tar() -> None:
    assert "not a tar archive" in str(refusal(gzip.compress(tarball({"a": ""}))))


GOOD = raw_tar((entry("web/a"), b"x" * 700), (entry("web/b"), b"y"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a gzip file"),
        (b"hello", "not a gzip file"),
        (b"PK\x03\x04" + b"\0" * 100, "not a gzip file"),
        (GOOD, "not a gzip file"),
        (gzip.compress(b"hello"), "not a tar archive"),
        (gzip.compress(b""), "the archive is empty"),
        (gzip.compress(bytes(10240)), "the archive is empty"),
        (gzip.compress(GOOD)[:-20], "cut short"),
        (gzip.compress(GOOD)[:12], "cut short"),
        (gzip.compress(GOOD[:800]), "cut short in entry 'web/a'"),
        (gzip.compress(GOOD[:300]), "cut short"),
        (gzip.compress(GOOD)[:40] + b"\xff" * 40, "damaged"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "damaged"),
        (gzip.compress(GOOD) + b"and more", "bytes after the end of the gzip stream"),
    ],
    ids=[
        "nothing", "text", "zip", "plain tar", "gzip'd text", "gzip'd nothing", "end mark alone", "cut gzip",
        "cut at once", "cut entry", "cut header", "damaged data", "wrong checksum", "bytes behind",
    ],
)  # fmt: skip
def test_what_is_no_whole_archive_is_refused(data: bytes, reason: str) -> None:
    assert reason in str(refusal(data))


def test_what_the_original_takes_is_taken() -> None:
    assert check_archive(gzip.compress(GOOD[:2560])).files == {"web/a": 700, "web/b": 1}, "no end mark"
    assert check_archive(gzip.compress(GOOD) + bytes(512)).files, "zeros up to the block of a tape"
    assert check_archive(gzip.compress(GOOD[:1024]) + gzip.compress(GOOD[1024:])).files, "two members are one stream"
    assert check_archive(packed((entry("./"), b""), (entry("./a"), b""))).files == {"a": 0}
    long = "n" * 120
    for style in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        names = {f"d{'x' * 60}/{'y' * 60}/z": b"1", **({} if style == tarfile.USTAR_FORMAT else {long: b"2"})}
        archive = packed(*((entry(name), content) for name, content in names.items()), format=style)
        assert dict(check_archive(archive).files) == dict.fromkeys(names, 1)
    assert check_archive(packed((entry("ümläut"), b""))).files == {"ümläut": 0}


def test_a_forged_size_is_refused() -> None:
    header = bytearray(entry("a").tobuf())
    for size in (b"-0000000001\0", b"\x80" + b"\xff" * 11, b"99999999999\0", b"77777777777\0"):
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        refusal(gzip.compress(bytes(header)))


def test_a_forged_extension_is_refused() -> None:
    for records in (b"99 path=x\n", b"0 path=x\n", b"path=x\n", b"9 path x\n", b"-3 path=\n", b"20 GNU.sparse.map=0\n"):
        info = entry("x", type=tarfile.XHDTYPE, size=len(records))
        refusal(gzip.compress(info.tobuf() + records.ljust(512, b"\0") + raw_tar((entry("a"), b""))))
    refusal(gzip.compress(entry("x", type=tarfile.XHDTYPE, size=10 * MIB).tobuf()))
    refusal(gzip.compress(entry("x", type=tarfile.XHDTYPE, size=0).tobuf()))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 2000), st.booleans())
def test_no_bytes_do_more_than_be_refused(noise: bytes, position: int, inside: bool) -> None:
    broken = bytearray(GOOD if inside else gzip.compress(GOOD))
    broken[position : position + len(noise)] = noise
    try:
        report = check_archive(gzip.compress(bytes(broken)) if inside else bytes(broken), limits=SMALL)
    except (Unprocessable, TooLarge):
        return
    assert all(".." not in name.split("/") and not name.startswith("/") for name in report.files)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(
            st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/\\:."), min_size=1, max_size=40
        ),
        st.binary(max_size=2000),
        min_size=1,
        max_size=8,
    )
)
def test_what_was_packed_comes_out(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    if len({name.casefold() for name in files}) < len(files) or not all(
        name.isascii() or len(name) < 60 for name in files
    ):
        return
    target = tmp_path_factory.mktemp("out")
    unpack(tarball(files), target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files


def test_unpacked_files_are_for_nobody_else(tmp_path: Path) -> None:
    unpack(packed((entry("a/b", mode=0o777), b"x"), (entry("c", type=tarfile.DIRTYPE, mode=0o777), b"")), tmp_path)
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "c")} == {0o700}


def test_a_chart_is_a_folder_with_a_chart_file_whatever_its_name() -> None:
    assert check_chart(chart({"a.yaml": ""}), folder="shop").folder == "web"
    two = tarball({"web/Chart.yaml": "name: web", "shop/Chart.yaml": "name: shop", "notes/a": ""})
    assert check_chart(two, folder="shop").folder == "shop"
    assert check_chart(two).archive.files
    with pytest.raises(
        Unprocessable, match=r"several folders hold a Chart\.yaml \(shop, web\), and none is named 'bar'"
    ):
        check_chart(two, folder="bar")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"web/values.yaml": ""}, r"one folder with a Chart\.yaml in it, and this one does not"),
        ({"Chart.yaml": "name: web"}, r"one folder with a Chart\.yaml"),
        ({"deep/web/Chart.yaml": "name: web"}, r"one folder with a Chart\.yaml"),
        ({"web/Chart.yaml": ""}, r"web/Chart\.yaml is not a YAML mapping"),
        ({"web/Chart.yaml": "- a"}, r"web/Chart\.yaml is not a YAML mapping"),
        ({"web/Chart.yaml": "version: 1"}, "gives the chart no name"),
        ({"web/Chart.yaml": "name:"}, "gives the chart no name"),
        ({"web/Chart.yaml": "name: [a]"}, "gives the chart no name"),
        ({"web/Chart.yaml": b"\xff"}, "is not UTF-8"),
    ],
)
def test_what_is_no_chart_is_refused_at_upload(files: dict[str, str | bytes], reason: str) -> None:
    with pytest.raises(Unprocessable, match=f"{CORE}: .*{reason}"):
        check_chart(tarball(files))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://169.254.169.254/latest"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"allOf": [{"$ref": "other.json"}]},
        {"$dynamicRef": "https://example.org/x"},
        {"$schema": "http://example.org/dialect"},
        {"$ref": 3},
    ],
    ids=json.dumps,
)
def test_a_values_schema_that_points_outside_is_refused(schema: object) -> None:
    files = {**CHART_FILES, "web/values.schema.json": json.dumps(schema)}
    with pytest.raises(Unprocessable, match=r"web/values\.schema\.json (refers to|is written in)"):
        check_chart(tarball(files))
    sub = tarball({"sub/Chart.yaml": "name: sub", "sub/values.schema.json": json.dumps(schema)})
    with pytest.raises(Unprocessable, match=r"\(in web/charts/sub-1\.tgz\)"):
        check_chart(tarball({**CHART_FILES, "web/charts/sub-1.tgz": sub}))


def test_a_second_member_of_one_name_hides_nothing() -> None:
    text = '{"$ref": "http://example.org", "$ref": "#/definitions/a"}'
    with pytest.raises(Unprocessable, match=r"refers to 'http://example\.org'"):
        check_chart(tarball({**CHART_FILES, "web/values.schema.json": text}))


def test_a_schema_of_its_own_is_fine_and_a_deep_one_is_not() -> None:
    fine = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$ref": "#/definitions/b"}}}
    assert check_chart(tarball({**CHART_FILES, "web/values.schema.json": json.dumps(fine)})).folder == "web"
    for deep in ('{"a":' * 100 + "1" + "}" * 100, "[" * 100_000):
        with pytest.raises(Unprocessable, match=r"nested deeper|is not a JSON document"):
            check_chart(tarball({**CHART_FILES, "web/values.schema.json": deep}))


def test_packed_sub_charts_share_the_limits_of_the_whole() -> None:
    inner = tarball({"sub/Chart.yaml": "name: sub", "sub/big": bytes(range(256)) * 2000})
    several = tarball({**CHART_FILES, **{f"web/charts/s{n}.tgz": inner for n in range(5)}})
    assert check_chart(several).folder == "web"
    with pytest.raises(TooLarge, match=r"unpacks to more than"):
        check_chart(several, limits=SMALL)
    nest = inner
    for level in range(4):
        nest = tarball({f"l{level}/Chart.yaml": f"name: l{level}", f"l{level}/charts/next.tgz": nest})
    with pytest.raises(TooLarge, match="packed deeper than 3 charts"):
        check_chart(nest)


def test_a_profile_that_is_a_chart_and_a_chart_that_is_a_profile_are_refused() -> None:
    with pytest.raises(Unprocessable, match=r"a file manifest\.yaml in its root"):
        check_profile(chart())
    with pytest.raises(Unprocessable, match=r"one folder with a Chart\.yaml"):
        check_chart(profile())


def test_reading_takes_no_more_memory_than_the_archive_needs() -> None:
    noise = random.Random(1).randbytes(100_000)
    data = packed(*((entry(f"web/f{n}"), noise) for n in range(100)))
    tracemalloc.start()
    check_archive(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * MIB
