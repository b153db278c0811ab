"""A context as the original wrote it: read, and written back byte for byte."""

import json
import os
import re
from pathlib import Path

import pytest

from emco_common.appcontext import App, Dependency, QueueElement, codec, status
from emco_common.contextbus.api import Entry

SHARED = Path(os.environ.get("EMCO_SHARED") or Path(__file__).parents[4] / "shared")
GOLDEN = SHARED / "emco" / "golden" / "appcontext-hooks.json"
CONTEXT_ID = "7043"

TIME = "2024-03-01T08:00:00Z"
MASK = re.compile("<[a-z]+>")
"""The recording masks ids and times with ``<…>``; what the original wrote had none of these characters."""

BY_RSYNC = (
    *("readystatus/", "reference/", "resourcesready/", "resready/", "ressuccess/", "status/", "stopflag/"),
    *("CurrentState/", "DesiredState/", "PendingTerminateFlag/", "AppContextEventQueue/"),
)


@pytest.fixture
def recorded() -> dict[str, bytes]:
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN.name} of the published EMCO data is not there; remedy: set EMCO_SHARED to its folder")
    ((masked, values),) = json.loads(GOLDEN.read_text())["contexts"].items()
    return {
        key.replace(masked, CONTEXT_ID): MASK.sub(TIME, value.replace(masked, CONTEXT_ID)).encode()
        for key, value in values.items()
    }


def entries(values: dict[str, bytes]) -> list[Entry]:
    return [Entry(key, value, 1, 1) for key, value in sorted(values.items())]


def written_by_rsync(key: str) -> bool:
    return key.endswith(BY_RSYNC)


def test_what_the_creator_wrote_comes_back_byte_for_byte(recorded: dict[str, bytes]) -> None:
    context = codec.decode(entries(recorded))
    assert {put.key: put.value for put in codec.encode(context)} == {
        key: value for key, value in recorded.items() if not written_by_rsync(key)
    }


def test_what_the_resource_synchronizer_wrote_comes_back_byte_for_byte(recorded: dict[str, bytes]) -> None:
    seen = status.decode_status(CONTEXT_ID, entries(recorded))
    assert {put.key: put.value for put in status.encode_status(seen)} == {
        key: value for key, value in recorded.items() if written_by_rsync(key)
    }


def test_the_recorded_context_reads_as_it_was_meant(recorded: dict[str, bytes]) -> None:
    context = codec.decode(entries(recorded))
    hooked, database = context.apps
    assert [app.name for app in context.apps] == ["hk", "db"]
    assert hooked.dependencies == (Dependency("db", "Deployed", 2),)
    (cluster,) = hooked.clusters
    assert (cluster.name, cluster.group) == ("larh+c1", "1")
    assert [resource.name for resource in cluster.crds] == ["larwidgets.lar.example.com+CustomResourceDefinition"]
    assert [resource.name for resource in cluster.hooks["pre-install"]] == ["larr6-pre2+ConfigMap", "larr6-pre+Job"]
    assert cluster.hooks["post-delete"] == cluster.hooks["pre-upgrade"]
    assert cluster.resources[0].name == "larr6-sa+ServiceAccount"
    assert database == App("db", database.clusters)
    assert context.meta is not None
    assert (context.meta.project, context.meta.child_contexts) == ("larproj-h", ())


def test_the_recorded_status_reads_as_it_was_meant(recorded: dict[str, bytes]) -> None:
    seen = status.decode_status(CONTEXT_ID, entries(recorded))
    assert (seen.status, seen.stop, seen.pending_terminate) == ("Instantiated", False, False)
    assert seen.queue == (QueueElement("Instantiate", "Done"),)
    assert seen.cluster("hk", "larh+c1").connectivity == "Available"
    assert seen.resource("hk", "larh+c1", "larr6-pre+Job").success is True
    assert seen.resource("hk", "larh+c1", "larr6-postdel+ConfigMap").status is None
