"""The published example files, applied with emcoctl: what concerns the core services is accepted as it stands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_emcoctl import gotemplate
from tests.api.clm.kubeconfigs import kubeconfig
from tests.support.charts import chart, profile
from tests.support.process import Command
from tests.support.suite import RunningSuite, suite
from tests.unit.emcoctl.test_examples import values_for

__all__ = ["suite"]
EXAMPLES = Path(os.environ.get("EMCO_SHARED") or Path(__file__).parents[3] / "shared") / "emco" / "examples"
MULTI = ("multi-cluster/00-controllers.yaml", "multi-cluster/01-prerequisites.yaml")
SETS = {
    "gac": tuple(
        f"test-gac/{name}.yaml" for name in ("projects", "clusters", "logicalclouds", "controllers", "apps", "intents")
    ),
    "multi-cluster": (*MULTI, "multi-cluster/03-deployment-intent.yaml"),
    "monitor": (*MULTI, "single-cluster/monitor-deployment.yaml"),
    "collectd": (*MULTI, "single-cluster/test-prometheus-collectd-deployment.yaml"),
    "dtc": (*MULTI, "single-cluster/test-dtc-deployment.yaml"),
    "vfw": ("vfw/prerequisites.yaml", "vfw/test-vfw.yaml"),
    "hpa": ("hpa/prerequisites.yaml", "hpa/hpa-test-simple.yaml"),
    "hpa-example": ("hpa/prerequisites.yaml", "hpa/hpa-example.yaml"),
}
ELSEWHERE = re.compile(
    "/(dtc-controllers|generic-k8s-intents|hpa-intents|traffic-group-intents|network-controller-intent)(/|$)"
)
"""What services answer that are not the core's."""
SKIPPED = re.compile("/(approve|instantiate|terminate|apply|update|rollback|stop|migrate)$|^clm-controllers$")
"""What is done needs clusters and controllers that listen; it is shown with the project's own examples."""
SHARED = {
    **dict.fromkeys(("AdminCloud", "LogicalCloud"), "default"),
    "HpaPlacementControllerName": "hpa-placement-controller-1",
    "HpaActionControllerName": "hpa-action-controller-1",
    "Clusters": [{"Name": "cluster1", "KubeConfig": "kubeconfig"}],
    "Applist": [{"Name": "app1", "Cluster": ["cluster1"]}],
}
"""What several files of a set must mean the same by, and lists that they walk through."""
FILES: dict[str, Callable[[], bytes]] = {"apps": chart, "profiles": profile, "clusters": kubeconfig}


def rendered(names: tuple[str, ...]) -> list[dict[str, Any]]:
    text = "\n---\n".join((EXAMPLES / name).read_text(encoding="utf-8") for name in names)
    values = values_for(text)
    values |= SHARED
    values |= {name: 9000 + number for number, name in enumerate(re.findall(r"port: *\{\{ *\.(\w+)", text))}
    documents = yaml.safe_load_all(gotemplate.render(text, values, name=names[-1]))
    return [one for one in documents if one and not SKIPPED.search(one["resourceContext"]["anchor"])]


def with_its_files(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The file that a document names, made as what it is sent to wants it."""
    make = FILES.get(document["resourceContext"]["anchor"].rpartition("/")[2])
    if make is not None and "file" in document:
        path = folder / re.sub(r"\W", "-", document["file"])
        path.write_bytes(make())
        return document | {"file": str(path)}
    return document


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="EMCO_SHARED names no folder with the published examples")
@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
async def test_what_concerns_the_core_services_is_accepted(
    names: tuple[str, ...], suite: RunningSuite, tmp_path: Path
) -> None:
    missing = [name for name in names if not (EXAMPLES / name).exists()]
    if missing:
        pytest.skip(f"EMCO_SHARED lacks {', '.join(missing)}")
    documents = [with_its_files(one, tmp_path) for one in rendered(names)]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    services = ("orchestrator", "clm", "ncm", "dcm", "rsync", "dtc", "gac", "hpaplacement", "ovnaction")
    config = {name: {"host": "127.0.0.1", "port": suite.suite.ingress_port} for name in services}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))

    command = Command(
        *("--config", "config.yaml", "apply", "-f", "all.yaml"),
        module="emco_emcoctl",
        folder=tmp_path,
        log=tmp_path / "log",
    )
    _, output = await command.run()

    answers = re.findall(r"--> URL: http://[^/]+(\S+)\nResponse Code: (\d+)\nResponse: (.*)", output)
    assert len(answers) == len(documents), output
    core = {path: (code, text) for path, code, text in answers if not ELSEWHERE.search(path)}
    assert {path: answer for path, answer in core.items() if answer[0] not in ("200", "201")} == {}
    assert {code for path, code, _ in answers if ELSEWHERE.search(path)} <= {"404"}
