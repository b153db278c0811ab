"""docker-compose.yaml fits the program and the chart: ports, images, settings, secrets; and is closed throughout."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_allinone.catalogue import CATALOGUE
from emco_ingress.settings import IngressSettings

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
OURS = (*(entry.name for entry in CATALOGUE), "ingress")
SECRETS = ROOT / "deploy" / "compose" / "secrets.sh"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([SECRETS, folder], check=True, capture_output=True)
    return folder


def environment_of(service: str, secrets: Path) -> dict[str, str]:
    """As the container has it, with the secrets where they are here."""
    given: dict[str, str] = SERVICES[service]["environment"]
    known = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in given.items()}
    return {name: value.replace("/run/secrets", str(secrets)) for name, value in known.items()}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_service_takes_its_settings_and_listens_on_its_published_ports(entry: Any, secrets: Path) -> None:
    settings = entry.settings.load(entry.name, environment_of(entry.name, secrets))

    assert settings.host == "0.0.0.0"
    assert (settings.http_port, settings.grpc_port) == (
        entry.settings.load(entry.name, {}).http_port,
        entry.settings.load(entry.name, {}).grpc_port,
    )
    assert len(settings.data_key.get_secret_value()) == 64
    assert settings.retired_data_keys == ()
    assert re.fullmatch(
        r"mongodb://emco:\w{64}@mongo:27017/emco\?authSource=emco", settings.database_url.get_secret_value()
    )
    assert Path(settings.bus_key_file).exists()


def test_the_ingress_asks_nobody_and_leads_to_the_services_by_their_names(secrets: Path) -> None:
    settings = IngressSettings.load("ingress", environment_of("ingress", secrets))

    assert (settings.http_port, settings.oidc_issuer) == (9000, ())
    assert set(settings.upstreams) < set(SERVICES)


def test_every_port_is_published_under_its_own_number() -> None:
    for name in OURS:
        environment = SERVICES[name]["environment"]
        ports = {value for key, value in environment.items() if key in ("EMCO_HTTP_PORT", "EMCO_GRPC_PORT")}
        assert SERVICES[name]["ports"] == [f"${{EMCO_BIND:-127.0.0.1}}:{port}:{port}" for port in sorted(ports)], name


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_nothing_but_its_work(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert not [value for value in service.get("volumes", ()) if value.startswith("/")]


def test_stores_are_pinned_and_those_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "emco" / "values.yaml").read_text())
    for name in ("mongo", "etcd"):
        image = values[name]["image"]
        assert SERVICES[name]["image"] == f"{image['repository']}:{image['tag']}"


def test_the_image_is_that_of_the_chart() -> None:
    version = yaml.safe_load((ROOT / "deploy" / "helm" / "emco" / "Chart.yaml").read_text())["appVersion"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"${{EMCO_IMAGE:-emco:{version}}}"}
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_secrets_are_made_once_and_for_their_owner_alone(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    (secrets / "mongo-password").chmod(0o600)
    (secrets / "retired-data-keys").unlink()

    subprocess.run([SECRETS, secrets], check=True, capture_output=True)

    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o777 == 0o700
    files = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["secrets"]
    assert {name: entry["file"].rpartition("/")[2] for name, entry in files.items()} == {name: name for name in before}
    ignored = subprocess.run(["git", "check-ignore", "deploy/compose/secrets/data-key"], cwd=ROOT, capture_output=True)
    assert ignored.returncode == 0
