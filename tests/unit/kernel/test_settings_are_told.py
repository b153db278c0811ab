"""``emco settings`` lists what there is, and nothing that is not."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from emco_agent.settings import AgentSettings
from emco_allinone.catalogue import CATALOGUE
from emco_allinone.main import cli
from emco_common.settings import Settings


def told(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["settings", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(EMCO_\w+)=?(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_setting_of_a_service_is_told_as_it_is_read(entry: object) -> None:
    name, settings = entry.name, entry.settings  # type: ignore[attr-defined]
    text = told(name)

    assert len(variables(text)) == len(settings.model_fields)
    values = {variable: value for variable, value in variables(text).items() if value}
    assert settings.load(name, values | {"EMCO_DATA_KEY": "k"}) == settings.load(name, {"EMCO_DATA_KEY": "k"})
    assert all(field.description.split()[0] in text for field in settings.model_fields.values() if field.description)


def test_without_a_service_it_is_what_all_can_be_told() -> None:
    assert len(variables(told())) == len(Settings.model_fields)
    assert variables(told())["EMCO_DATABASE_URL"] == "mongodb://127.0.0.1:27017"
    assert variables(told("rsync"))["EMCO_RSYNC_GRPC_PORT"] == "9031"


def test_the_agent_has_settings_of_its_own() -> None:
    assert set(variables(told("agent"))) == {f"EMCO_AGENT_{name.upper()}" for name in AgentSettings.model_fields}


def test_a_service_that_there_is_not_is_named() -> None:
    done = CliRunner().invoke(cli, ["settings", "clam"])
    assert (done.exit_code, "there is no service 'clam'" in done.output) == (2, True)
