"""Settings that make no sense stop the start with one sentence; what could be read on the way is not sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_agent.settings import AgentSettings
from emco_common.settings import BadSettings

GOOD = {
    "EMCO_AGENT_SERVER": "emco.example.org:9034",
    "EMCO_AGENT_CLUSTER": "acme+lisbon-1",
    "EMCO_AGENT_TOKEN": "a token that nobody guesses",
}


def test_three_settings_are_enough() -> None:
    settings = AgentSettings.load({**GOOD, "PATH": "/bin"})
    assert (settings.server, settings.cluster, settings.plaintext) == ("emco.example.org:9034", "acme+lisbon-1", False)
    assert "guesses" not in repr(settings)


def test_the_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("the first one\n")
    settings = AgentSettings.load({**GOOD, "EMCO_AGENT_TOKEN": "", "EMCO_AGENT_TOKEN_FILE": str(file)})
    assert settings.present_token() == "the first one"
    file.write_text("the second one\n")
    assert settings.present_token() == "the second one"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"EMCO_AGENT_SERVER": "emco.example.org"}, "host:port"),
        ({"EMCO_AGENT_CLUSTER": "lisbon-1"}, "EMCO_AGENT_CLUSTER"),
        ({"EMCO_AGENT_TOKEN": ""}, "token"),
        ({"EMCO_AGENT_TOKEN_FILE": "/t"}, "token"),
        ({"EMCO_AGENT_CERT_FILE": "/c"}, "belong together"),
        ({"EMCO_AGENT_PLAINTEXT": "true"}, "loopback"),
        ({"EMCO_AGENT_HTTP_PORT": "x"}, "EMCO_AGENT_HTTP_PORT"),
    ],
)
def test_nonsense_stops_the_start(wrong: dict[str, str], word: str) -> None:
    with pytest.raises(BadSettings, match=word):
        AgentSettings.load({**GOOD, **wrong})


def test_without_tls_only_this_machine_is_spoken_to() -> None:
    for server in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        assert AgentSettings.load({**GOOD, "EMCO_AGENT_SERVER": server, "EMCO_AGENT_PLAINTEXT": "true"}).plaintext
