"""App dependencies: unknown apps and cycles are refused by name."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.errors import Conflict
from emco_orchestrator.dependencies import check_dependencies, find_cycle

APPS = "abcdef"


def test_a_chain_is_fine() -> None:
    check_dependencies("shop", {"web": ["db"], "db": [], "job": ["db", "web"]})


def test_a_cycle_is_printed() -> None:
    with pytest.raises(Conflict, match="composite app:shop: a → b → c → a"):
        check_dependencies("shop", {"a": ["b"], "b": ["c"], "c": ["a"]})


def test_an_app_that_waits_for_itself_is_a_cycle() -> None:
    assert find_cycle({"a": ["a"]}) == ("a", "a")


def test_an_unknown_app_is_named() -> None:
    with pytest.raises(Conflict, match="web waits for ghost, which is no app of it"):
        check_dependencies("shop", {"web": ["ghost"]})


@given(st.dictionaries(st.sampled_from(APPS), st.lists(st.sampled_from(APPS), max_size=3), max_size=6))
def test_a_cycle_is_found_exactly_when_there_is_no_order(needs: dict[str, list[str]]) -> None:
    graph = {app: [other for other in others if other in needs] for app, others in needs.items()}
    cycle = find_cycle(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in pairwise(cycle))
    else:
        assert _can_be_ordered(graph)


def _can_be_ordered(graph: dict[str, list[str]]) -> bool:
    left = {app: set(others) for app, others in graph.items()}
    while left:
        free = [app for app, others in left.items() if not others & left.keys()]
        if not free:
            return False
        for app in free:
            del left[app]
    return True
