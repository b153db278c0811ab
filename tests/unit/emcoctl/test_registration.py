"""The words after ``watch``."""

from __future__ import annotations

import pytest

from emco_emcoctl.errors import NotWatchableError
from emco_emcoctl.registration import registration

DIG = "projects/p/composite-apps/c/v1/deployment-intent-groups/d/status"


@pytest.mark.parametrize(
    ("anchor", "service", "key", "identifiers"),
    [
        (DIG, "orchestrator", "digKey", ("p", "c", "v1", "d")),
        ("projects/p/logical-clouds/l/status", "dcm", "lcKey", ("p", "l")),
        ("cluster-providers/cp/clusters/c/status", "ncm", "clusterKey", ("cp", "c")),
        ("projects//logical-clouds//status", "dcm", "lcKey", ("", "")),
    ],
)
def test_an_anchor_names_service_and_object(anchor: str, service: str, key: str, identifiers: tuple[str, ...]) -> None:
    found = registration(anchor, [])

    assert (found.service, found.key, found.identifiers) == (service, key, identifiers)
    assert (found.output, found.status) == ("SUMMARY", "READY")


def test_filters_add_up() -> None:
    found = registration(DIG, ["format=all", "status=deployed", "app=a", "app=b", "cluster=p+c", "resource=", "x=1"])

    assert (found.output, found.status) == ("ALL", "DEPLOYED")
    assert (found.apps, found.clusters, found.resources) == (("a", "b"), ("p+c",), ("",))
    assert found.ignored == ("x=1",)


@pytest.mark.parametrize(
    ("anchor", "word"),
    [
        (f"{DIG}?status=ready", ""),
        ("projects/p", ""),
        (DIG, "app=a=b"),
        (DIG, "app"),
        (DIG, "format=short"),
        (DIG, "status=gone"),
    ],
)
def test_a_bad_word_is_named(anchor: str, word: str) -> None:
    with pytest.raises(NotWatchableError) as caught:
        registration(anchor, [word] if word else [])

    assert f"'{word or anchor}'" in str(caught.value)
