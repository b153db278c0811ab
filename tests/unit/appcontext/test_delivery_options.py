"""How a context is to be delivered lies in a key of its own; a context that asks for nothing has none."""

import json

import pytest

from emco_common.appcontext import AppContext, DeliveryOptions, MalformedContext, codec, keys
from emco_common.contextbus.api import Put
from tests.unit.appcontext.builders import entries_of

KEY = keys.delivery("71")


def test_nothing_is_written_where_nothing_is_asked_for() -> None:
    assert KEY not in {put.key for put in codec.encode(AppContext("71"))}


def test_what_is_asked_for_is_written_as_json() -> None:
    puts = {put.key: put.value for put in codec.encode(AppContext("71", options=DeliveryOptions(True, False, 30.0)))}
    assert json.loads(puts[KEY]) == {"heal": True, "replace": False, "readyTimeout": 30.0}


@pytest.mark.parametrize("text", ["7", "[]", '{"heal": "yes"}', '{"readyTimeout": -1}', '{"readyTimeout": true}'])
def test_what_does_not_say_how_to_deliver_names_the_key(text: str) -> None:
    puts = [*codec.encode(AppContext("71")), Put(KEY, text.encode())]
    with pytest.raises(MalformedContext, match="delivery"):
        codec.decode(entries_of(puts))
