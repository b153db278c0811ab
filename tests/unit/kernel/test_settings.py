"""What a service is told: environment first, then config.json, then the default; nonsense stops the start."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from emco_allinone.catalogue import CATALOGUE
from emco_allinone.configuring import tell_unused
from emco_allinone.main import cli
from emco_common.settings import BadSettings, Settings, unused_keys
from emco_rsync.settings import RsyncSettings


def load(environment: dict[str, str] | None = None, config: Path | None = None) -> Settings:
    return Settings.load("clm", environment or {}, config=config)


def test_the_environment_beats_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({"service-port": "9061", "database-ip": "mongo", "log-level": "warn", "plugin-dir": "x"})
    )
    settings = load({"EMCO_LOG_LEVEL": "debug"}, file)
    assert (settings.http_port, settings.log_level) == (9061, "debug")
    assert settings.database_url.get_secret_value() == "mongodb://mongo:27017"


def test_what_is_meant_for_one_service_goes_before_what_is_meant_for_all() -> None:
    environment = {"EMCO_HTTP_PORT": "1000", "EMCO_CLM_HTTP_PORT": "2000", "EMCO_DCM_HTTP_PORT": "3000"}
    assert load(environment).http_port == 2000


def test_the_port_that_kubernetes_injects_is_the_grpc_port() -> None:
    assert load({"CLM_SERVICE_PORT": "9999"}).grpc_port == 9999


def test_the_port_that_the_file_names_goes_before_the_one_that_kubernetes_injects(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"grpc-port": "9037"}')
    assert load({"CLM_SERVICE_PORT": "9999"}, tmp_path / "config.json").grpc_port == 9037
    assert load({"CLM_SERVICE_PORT": "9999", "EMCO_GRPC_PORT": "1"}, tmp_path / "config.json").grpc_port == 1


def test_the_port_of_a_service_with_a_hyphen_is_injected_with_an_underscore() -> None:
    assert Settings.load("ca-certs", {"CA_CERTS_SERVICE_PORT": "9037"}).grpc_port == 9037


def test_credentials_go_to_the_addresses_that_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"database-ip": "emco-mongo", "etcd-ip": "emco-etcd"}')
    logins = {"DB_EMCO_USERNAME": "emco", "DB_EMCO_PASSWORD": "p", "CONTEXTDB_EMCO_USERNAME": "root"}
    settings = load({**logins, "CONTEXTDB_EMCO_PASSWORD": "q"}, tmp_path / "config.json")
    assert settings.database_url.get_secret_value() == "mongodb://emco:p@emco-mongo:27017/?authSource=emco"
    assert settings.bus_url.get_secret_value() == "etcd://root:q@emco-etcd:2379"


@pytest.mark.parametrize(
    ("url", "with_login"),
    [
        ("mongodb://h/emco", "mongodb://u:p@h/emco?authSource=emco"),
        ("mongodb://a,b/emco?replicaSet=r", "mongodb://u:p@a,b/emco?replicaSet=r&authSource=emco"),
        ("mongodb+srv://h/?authSource=admin", "mongodb+srv://u:p@h/?authSource=admin"),
        ("mongodb://x:y@h", "mongodb://x:y@h"),
        ("sqlite:///tmp/x.db", "sqlite:///tmp/x.db"),
    ],
)
def test_credentials_leave_the_rest_of_the_address_as_it_is(url: str, with_login: str) -> None:
    settings = load({"EMCO_DATABASE_URL": url, "DB_EMCO_USERNAME": "u", "DB_EMCO_PASSWORD": "p"})
    assert settings.database_url.get_secret_value() == with_login


def test_credentials_do_not_lead_the_embedded_store_astray() -> None:
    environment = {"DB_EMCO_USERNAME": "u", "DB_EMCO_PASSWORD": "p"}
    settings = Settings.load("emco", environment, database_url="sqlite:///data/store.db")
    assert settings.database_url.get_secret_value() == "sqlite:///data/store.db"


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


PUBLISHED = {
    "database-type": "mongo",
    "database-ip": "emco-mongo",
    "etcd-ip": "emco-etcd",
    "etcd-cert": "",
    "etcd-key": "",
    "etcd-ca-file": "",
    "zipkin-ip": "",
    "zipkin-port": "9411",
    "service-port": "9015",
    "log-level": "warn",
    "max-retries": "",
    "db-schema-backoff": 5,
    "db-schema-max-backoff": 60,
    "grpc-enable-tls": "disable",
    "grpc-ca-file": "",
    "grpc-server-name-override": "",
    "grpc-server-cert": "",
    "grpc-server-key": "",
    "grpc-conn-ready-time": 1000,
    "grpc-conn-timeout": 1000,
    "grpc-call-timeout": 20000,
    "ca-file": "ca.cert",
    "server-cert": "server.cert",
    "server-key": "server.key",
    "password": "",
    "plugin-dir": "",
    "kubernetes-label-name": "",
}
"""Every key of the original (spec deployment 3.1)."""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.json"
    file.write_text(text)
    return file


def test_every_key_of_the_original_is_taken_by_every_service(tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(PUBLISHED))
    for entry in CATALOGUE:
        settings = entry.settings.load(entry.name, {}, config=file)
        assert (settings.http_port, settings.grpc_call_timeout) == (9015, 20.0)


def test_keys_that_mean_nothing_here_are_told(tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(PUBLISHED | {"plugin-dir": "/x"}))
    told = unused_keys(file)
    assert "plugin-dir" in told
    assert {"password", "database-type", "service-port"}.isdisjoint(told)


def test_retries_of_the_original_are_for_rsync_alone(tmp_path: Path) -> None:
    file = written(tmp_path, '{"max-retries": "3"}')
    assert RsyncSettings.load("rsync", {}, config=file).max_retries == 3
    assert not hasattr(load(config=file), "max_retries")
    assert RsyncSettings.load("rsync", {}, config=written(tmp_path, '{"max-retries": "-1"}')).max_retries is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"line 1: this is not JSON"),
        ("[1]", r"must hold a JSON object"),
        (
            '{\n "service-port": "9036",\n}',
            r"line 2 after key service-port: the comma before the closing bracket must go",
        ),
        ('{"service-port": "1"\n"log-level": "warn"}', r"line 2 after key service-port: this is not JSON"),
        ('{\n\n"servce-port": "1"}', r"line 3: key servce-port: there is no such key \(is service-port meant\?\)"),
        ('{"service_port": "1"}', r"line 1: key service_port: there is no such key \(is service-port meant\?\)"),
        ('{"colour": "red"}', r"key colour: there is no such key; what has no published key is set in the environment"),
        ('{"service-port": "many"}', r"key service-port: it must be a port between 0 and 65535, and is a text"),
        ('{"service-port": true}', r"key service-port: it must be a port between 0 and 65535, and is a truth value"),
        ('{"grpc-call-timeout": "10000"}', r"key grpc-call-timeout: it must be a whole number of milliseconds above 0"),
        ('{"grpc-conn-timeout": 0}', r"key grpc-conn-timeout: .*, and is 0"),
        ('{"grpc-conn-ready-time": -1}', r"key grpc-conn-ready-time: .*, and is -1"),
        ('{"database-ip": 5}', r"key database-ip: it must be a text, and is 5"),
        ('{"database-type": "redis"}', r"key database-type: it must be mongo"),
        ('{"grpc-enable-tls": "maybe"}', r"key grpc-enable-tls: it must be enable, enable-mtls or disable"),
        ('{"max-retries": "few"}', r"key max-retries: it must be a whole number"),
        ('{"etcd-ip": "a",\n"etcd-ip": "b"}', r"line 2: key etcd-ip: it is there twice"),
        ("[" * 100_000, r"nested too deeply"),
        ('{"zipkin-ip": {"service-port": 1}}', r"key zipkin-ip: it must be a text, and is an object"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_line_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(BadSettings, match=told) as caught:
        load(config=file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_text_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        load(config=written(tmp_path, '{"service-port": "canary"}'))
    assert "canary" not in str(caught.value)


def test_a_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"log-level": "\xff"}')
    with pytest.raises(BadSettings, match=r"config\.json is not UTF-8"):
        load(config=tmp_path / "config.json")


def test_addresses_of_ipv6_are_put_in_brackets(tmp_path: Path) -> None:
    settings = load(config=written(tmp_path, '{"database-ip": "::1", "etcd-ip": "fd00::2"}'))
    assert settings.database_url.get_secret_value() == "mongodb://[::1]:27017"
    assert settings.bus_url.get_secret_value() == "etcd://[fd00::2]:2379"


def test_a_file_that_is_named_on_the_command_line_must_be_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["serve", "clm", "--config", str(tmp_path / "nowhere.json")])
    assert done.exit_code == 2
    assert "there is no file" in done.output


def test_what_the_file_says_in_vain_is_logged_by_name_only(tmp_path: Path) -> None:
    with capture_logs() as lines:
        tell_unused(written(tmp_path, '{"password": "canary", "plugin-dir": "", "log-level": "warn"}'))
        tell_unused(tmp_path / "nowhere.json")
    assert [(line["event"], line["keys"]) for line in lines] == [("config_keys_unused", ["password"])]
    assert "canary" not in str(lines)
