"""What a service is told: environment first, then config.json, then the default; nonsense stops the start."""

import json
from pathlib import Path

import pytest

from emco_common.settings import BadSettings, Settings


def load(environment: dict[str, str] | None = None, config: Path | None = None) -> Settings:
    return Settings.load("clm", environment or {}, config=config)


def test_the_environment_beats_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({"service-port": "9061", "database-ip": "mongo", "log-level": "warn", "unknown-key": "x"})
    )
    settings = load({"EMCO_LOG_LEVEL": "debug"}, file)
    assert (settings.http_port, settings.log_level) == (9061, "debug")
    assert settings.database_url.get_secret_value() == "mongodb://mongo:27017"


def test_what_is_meant_for_one_service_goes_before_what_is_meant_for_all() -> None:
    environment = {"EMCO_HTTP_PORT": "1000", "EMCO_CLM_HTTP_PORT": "2000", "EMCO_DCM_HTTP_PORT": "3000"}
    assert load(environment).http_port == 2000


def test_the_port_that_kubernetes_injects_is_the_grpc_port() -> None:
    assert load({"CLM_SERVICE_PORT": "9999"}).grpc_port == 9999


def test_the_credentials_of_the_original_become_part_of_the_address() -> None:
    settings = load({"DB_EMCO_USERNAME": "emco", "DB_EMCO_PASSWORD": "p@ss"})
    assert settings.database_url.get_secret_value() == "mongodb://emco:p%40ss@127.0.0.1:27017/?authSource=emco"


def test_a_value_may_be_in_a_file(tmp_path: Path) -> None:
    for name, text in (("key", "of the file\n"), ("older", "one,two\n"), ("clm", "of clm")):
        (tmp_path / name).write_text(text)
    files = {"EMCO_DATA_KEY_FILE": str(tmp_path / "key"), "EMCO_RETIRED_DATA_KEYS_FILE": str(tmp_path / "older")}

    settings = load(files)

    assert settings.data_key.get_secret_value() == "of the file"
    assert [key.get_secret_value() for key in settings.retired_data_keys] == ["one", "two"]
    own = load(files | {"EMCO_CLM_DATA_KEY_FILE": str(tmp_path / "clm")})
    assert own.data_key.get_secret_value() == "of clm"


def test_a_file_that_cannot_be_read_or_is_one_too_many_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(BadSettings, match=f"EMCO_DATA_KEY_FILE: {missing} cannot be read: No such file"):
        load({"EMCO_DATA_KEY_FILE": missing})
    with pytest.raises(BadSettings, match="EMCO_DATA_KEY and EMCO_DATA_KEY_FILE are both set"):
        load({"EMCO_DATA_KEY_FILE": missing, "EMCO_DATA_KEY": "another"})


def test_secrets_do_not_show_in_the_representation() -> None:
    assert "canary" not in repr(load({"EMCO_DATA_KEY": "canary", "EMCO_DATABASE_URL": "mongodb://u:canary@h"}))


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"EMCO_HTTP_PORT": "70000"}, "http_port"),
        ({"EMCO_MAX_BODY": "lots"}, "max_body"),
        ({"EMCO_GRPC_CALL_TIMEOUT": "0"}, "grpc_call_timeout"),
    ],
)
def test_nonsense_is_refused_in_one_sentence_that_names_the_setting(environment: dict[str, str], field: str) -> None:
    with pytest.raises(BadSettings, match=f"^setting {field}: ") as caught:
        load(environment)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{,}")
    with pytest.raises(BadSettings, match=r"config\.json is not JSON"):
        load(config=tmp_path / "config.json")
