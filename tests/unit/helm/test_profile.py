"""The override profile: its manifest, its paths, its files (lifecycle 5.3)."""

from pathlib import Path

import pytest

from emco_common.errors import Unprocessable
from emco_common.helm.archive import check_profile
from emco_common.helm.profile import ConfigResource, apply_resources, parse_manifest
from tests.unit.helm.builders import profile, tarball


def manifest(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def test_keys_match_in_any_letter_case() -> None:
    parsed = parse_manifest(
        manifest("Version: v1", "TYPE:", "  Values: v.yaml", "  configResource:", "  - {FilePath: a, chartPath: web/b}")
    )
    assert parsed.values == "v.yaml"
    assert parsed.resources == (ConfigResource(source="a", target="web/b"),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (manifest("version: v1"), "no mapping 'type'"),
        (manifest("type: {values: 3}"), "type.values is missing or not text"),
        (manifest("type: {}"), "type.values is missing"),
        (manifest("type: {values: ../v.yaml}"), "not a path inside the archive"),
        (manifest("type: {values: /etc/passwd}"), "not a path inside the archive"),
        (manifest("type: {values: 'file:///etc/passwd'}"), "not a path inside the archive"),
        (manifest("type: {values: 'https://example.org/v.yaml'}"), "not a path inside the archive"),
        (manifest("type: {values: ./}"), "names no file"),
        (manifest("type: {values: v.yaml, configresource: {a: b}}"), "not a list"),
        (manifest("type: {values: v.yaml, configresource: [a]}"), r"configresource\[0\] is not a mapping"),
        (manifest("type: {values: v, configresource: [{filepath: a}]}"), r"configresource\[0\]\.chartpath is missing"),
        (manifest("type: {values: v, configresource: [{filepath: a, chartpath: web/../../b}]}"), "not a path inside"),
        (manifest("- a"), "not a YAML mapping"),
        (b"", "not a YAML mapping"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: [", "is not valid YAML"),
        (b"a: &a [*a]", "alias to itself"),
        (b"a: 0b_", "is not valid YAML"),
    ],
)
def test_a_manifest_that_cannot_be_followed_names_the_key(content: bytes, reason: str) -> None:
    with pytest.raises(Unprocessable, match=reason):
        parse_manifest(content)


def test_an_empty_values_file_is_a_values_file() -> None:
    assert check_profile(profile("")).manifest.values == "override_values.yaml"


def test_a_profile_without_manifest_is_refused() -> None:
    with pytest.raises(Unprocessable, match=r"Error in file format: a profile holds a file manifest\.yaml in its root"):
        check_profile(tarball({"override_values.yaml": "", "deep/manifest.yaml": ""}))


def test_a_file_that_the_manifest_names_must_be_there() -> None:
    with pytest.raises(Unprocessable, match=r"manifest\.yaml names 'v\.yaml', and the profile holds no such file"):
        check_profile(tarball({"manifest.yaml": "type: {values: v.yaml}"}))


def test_resources_are_copied_over_what_the_chart_has(tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "nginx.conf").write_text("new")
    (tmp_path / "chart" / "web" / "files").mkdir(parents=True)
    (tmp_path / "chart" / "web" / "files" / "nginx.conf").write_text("old and longer")
    parsed = parse_manifest(
        manifest("type: {values: v, configresource: [{filepath: nginx.conf, chartpath: web/files/nginx.conf}]}")
    )
    apply_resources(parsed, profile=tmp_path / "profile", chart=tmp_path / "chart")
    assert (tmp_path / "chart" / "web" / "files" / "nginx.conf").read_text() == "new"


def test_a_resource_needs_its_folder_in_the_chart(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    parsed = parse_manifest(manifest("type: {values: v, configresource: [{filepath: a, chartpath: web/none/a}]}"))
    with pytest.raises(Unprocessable, match="copies to 'web/none/a', and the chart has no such folder"):
        apply_resources(parsed, profile=tmp_path, chart=tmp_path)
