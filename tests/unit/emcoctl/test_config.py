"""Which host and port a service has, by file, environment and default."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_emcoctl.config import DEFAULTS, load
from emco_emcoctl.errors import ConfigError

SAME = {
    "c.yaml": "Orchestrator:\n  HOST: h\n  port: '7'\n",
    "c.yml": "orchestrator: {host: h, port: 7.0}\n---\norchestrator: 1\n",
    "c.json": '{"orchestrator": {"host": "h", "port": 7}}',
    "c.toml": '[orchestrator]\nhost = "h"\nport = 7\n',
    "c.ini": "[orchestrator]\nhost = h\nport = 7\n",
    "c.properties": "# comment\norchestrator.host=h\norchestrator.port = 7\n",
    "c.env": "ORCHESTRATOR.HOST='h'\nexport ORCHESTRATOR.PORT=7\n",
}


def of(folder: Path, text: str, name: str = "c.yaml", environ: dict[str, str] | None = None) -> str:
    (folder / name).write_text(text)
    return load(name, environ=environ or {}, cwd=folder).endpoint("orchestrator").url


@pytest.mark.parametrize("name", SAME)
def test_every_format_says_the_same(name: str, tmp_path: Path) -> None:
    assert of(tmp_path, SAME[name], name) == "http://h:7"


def test_a_section_that_is_absent_takes_its_default(tmp_path: Path) -> None:
    assert of(tmp_path, "clm: {host: x, port: 1}\n") == "http://localhost:9015"


def test_a_key_that_is_absent_takes_its_default(tmp_path: Path) -> None:
    assert of(tmp_path, "orchestrator: {host: x}\n") == "http://x:9015"


def test_an_empty_file_counts_as_found(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")

    assert load("c.yaml", environ={}, cwd=tmp_path).path == "c.yaml"


def test_an_ingress_with_host_and_port_takes_everything(tmp_path: Path) -> None:
    assert of(tmp_path, "ingress: {host: i, port: 5}\norchestrator: {host: x, port: 1}\n") == "http://i:5"
    assert of(tmp_path, "ingress: {host: i}\norchestrator: {host: x, port: 1}\n") == "http://x:1"


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_hosts_get_brackets(host: str, tmp_path: Path) -> None:
    assert of(tmp_path, f"orchestrator: {{host: '{host}', port: 1}}\n") == "http://[::1]:1"


def test_the_environment_overrides_a_key_of_the_file_only(tmp_path: Path) -> None:
    environ = {"ORCHESTRATOR.PORT": "9", "ORCHESTRATOR.HOST": "e"}

    assert of(tmp_path, "orchestrator: {port: 1}\n", environ=environ) == "http://localhost:9"


def test_the_home_directory_is_searched_in_order(tmp_path: Path) -> None:
    (tmp_path / ".emco.yaml").write_text("clm: {}\n")
    (tmp_path / ".emco.json").write_text("{}")

    assert load("", environ={"HOME": str(tmp_path)}, cwd=Path("/")).path == str(tmp_path / ".emco.json")


def test_without_a_file_the_defaults_apply(tmp_path: Path) -> None:
    config = load("", environ={"HOME": str(tmp_path)}, cwd=tmp_path)

    assert config.path is None
    assert config.endpoint("clm").url == "http://localhost:9061"
    assert config.status_endpoint("dcm") == ("localhost", 9078)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope.yaml", None),
        ("c.yaml", "a: [1"),
        ("c.yaml", "- a\n"),
        ("c.yaml", "text"),
        ("c.json", "{"),
        ("c.toml", "=\n"),
        ("c.ini", "x\n"),
        ("c.properties", "just words\n"),
        ("c.properties", "a=1\na.b=2\n"),
        ("c.hcl", "orchestrator {}\n"),
        ("c.YAML", "orchestrator: {}\n"),
        ("c", "orchestrator: {}\n"),
    ],
)
def test_a_named_file_that_cannot_be_read_is_an_error_that_names_it(
    name: str, text: str | None, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(ConfigError, match=f"the configuration {name} cannot be read: "):
        load(name, environ={}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("orchestrator: text", "orchestrator must be a section"),
        ("orchestrator: {port: abc}", "orchestrator.port"),
        ("orchestrator: {port: 70000}", "orchestrator.port"),
        ("orchestrator: {port: 1.5}", "orchestrator.port"),
        ("orchestrator: {port: true}", "orchestrator.port"),
        ("orchestrator: {port: .inf}", "orchestrator.port"),
        ("orchestrator: {statusPort: [1]}", "orchestrator.statusPort"),
        ("orchestrator: {host: [a]}", "orchestrator.host"),
        ("orchestrator: {host: 'http://x'}", "orchestrator.host"),
        ("orchestrator: {host: ''}", "orchestrator.host is not set"),
        ("orchestrator: {port: 0}", "orchestrator.port is not set"),
    ],
)
def test_a_wrong_value_names_its_key_when_the_section_is_used(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=key):
        of(tmp_path, text)


def test_the_defaults_are_those_of_the_original() -> None:
    ports = {name: section.port for name, section in DEFAULTS.items() if section.port}

    assert ports == {
        "orchestrator": 9015, "clm": 9061, "ncm": 9081, "dcm": 9077, "ovnaction": 9051, "gac": 9020, "dtc": 9018,
        "hpaplacement": 9091, "sfc": 9055, "sfcclient": 9057, "workflowmgr": 9095, "tac": 9064, "cacert": 9036,
        "policy": 9060,
    }  # fmt: skip
