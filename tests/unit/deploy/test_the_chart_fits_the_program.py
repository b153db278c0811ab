"""What the chart tells the program is what the program can be told: ports, settings, commands."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from emco_agent.settings import AgentSettings
from emco_allinone.catalogue import CATALOGUE
from emco_common.access.routes import HTTP_PORTS, OWN
from emco_common.settings import Settings
from emco_dcm.settings import DcmSettings
from emco_ingress.settings import IngressSettings
from tests.support.helm import CHARTS, Json, named, pods, rendered
from tests.support.suite import running_suite
from tests.unit.deploy.sets import SETS

FILES = CHARTS / "emco" / "files"
SETTINGS: dict[str, type[Settings]] = {entry.name: entry.settings for entry in CATALOGUE} | {"ingress": IngressSettings}
OF_OTHERS = {"HOME", "POD_IP"}


def _environment(container: Json, documents: Any) -> dict[str, str]:
    """As the kubelet would make it; of secrets that are not the chart's there is nothing but a URL that fits."""
    made = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Secret"}
    found = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {}).get("secretKeyRef")
        if source is None:
            found[variable["name"]] = variable.get("value", "10.1.2.3").replace("$(POD_IP)", "10.1.2.3")
        elif source["name"] in made:
            found[variable["name"]] = base64.b64decode(made[source["name"]]["data"][source["key"]]).decode()
    return found


@pytest.mark.parametrize("case", SETS)
def test_every_service_takes_its_settings(case: str) -> None:
    documents = rendered(values=SETS[case])
    for name, settings in SETTINGS.items():
        (container,) = named(documents, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["serve", name]
        environment = _environment(container, documents)
        prefixes = (f"EMCO_{name.upper()}_", "EMCO_")
        for variable in environment.keys() - OF_OTHERS:
            field = next(variable.removeprefix(p).lower() for p in prefixes if variable.startswith(p))
            assert field in settings.model_fields, f"{name} knows no {variable}"
        loaded = settings.load(name, environment)
        assert loaded.host == "0.0.0.0"
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["http"] == loaded.http_port
        assert ports.get("grpc", 0) == loaded.grpc_port


def test_whether_there_are_logical_clouds_of_level_0_arrives() -> None:
    for word in ("allowed", "forbidden"):
        documents = rendered(values={"logicalClouds": {"level0": word}})
        (container,) = named(documents, "Deployment", "dcm")["spec"]["template"]["spec"]["containers"]
        assert DcmSettings.load("dcm", _environment(container, documents)).level0 == word


def test_there_is_a_deployment_for_every_service() -> None:
    deployments = {one["metadata"]["name"] for one in rendered() if one["kind"] == "Deployment"}
    assert deployments == set(SETTINGS)


def test_services_are_where_the_ingress_and_the_table_look_for_them() -> None:
    documents = rendered()
    for name in OWN:
        assert named(documents, "Service", name)["spec"]["ports"][0] == {
            "name": "http",
            "port": HTTP_PORTS[name],
            "targetPort": "http",
        }


def test_what_is_asked_for_arrives() -> None:
    documents = rendered(values=SETS["published"])
    loaded = {}
    for name in ("ingress", "rsync"):
        (container,) = named(documents, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        loaded[name] = SETTINGS[name].load(name, _environment(container, documents)).model_dump()
    assert loaded["ingress"]["oidc_issuer"] == tuple(SETS["published"]["oidc"]["issuers"])
    assert loaded["ingress"]["oidc_claim"] == "resource_access.emco.roles"
    assert loaded["ingress"]["oidc_ca_file"] == "/etc/emco/oidc/ca.crt"
    assert loaded["rsync"]["agents_port"] == 9034
    assert loaded["rsync"]["agents_client_ca_file"] == "/etc/emco/agents/ca.crt"
    assert loaded["rsync"]["advertise"] == "10.1.2.3:9031"


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        ("as supplied", "off"),
        ("mutual TLS between services", "mtls"),
        ("a certificate of one's own between services", "tls"),
        ("certificates of cert-manager", "mtls"),
    ],
)
def test_every_service_speaks_grpc_the_same_way(case: str, mode: str) -> None:
    documents = rendered(values=SETS[case])
    for name in SETTINGS.keys() - {"ingress"}:
        (container,) = named(documents, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        loaded = SETTINGS[name].load(name, _environment(container, documents))
        files = (loaded.grpc_ca_file, loaded.grpc_cert_file, loaded.grpc_key_file)
        assert loaded.grpc_tls == mode
        there = tuple(f"/etc/emco/grpc/{file}" for file in ("ca.crt", "tls.crt", "tls.key"))
        assert files == (there if mode != "off" else ("", "", ""))
        assert loaded.grpc_server_name == ("rsync" if name == "rsync" and mode != "off" else "")


def test_a_password_may_hold_anything() -> None:
    documents = rendered(values={"global": {"db": {"emcoPassword": "a/b@c:d e+f%"}}})
    (container,) = named(documents, "Deployment", "clm")["spec"]["template"]["spec"]["containers"]
    assert _environment(container, documents)["EMCO_DATABASE_URL"] == (
        "mongodb://emco:a%2Fb%40c%3Ad%20e%2Bf%25@emco-mongo:27017/emco?authSource=emco"
    )


def test_the_agent_takes_its_settings() -> None:
    values = {"server": "emco.example.org:9034", "cluster": "p+c", "clientCertificate": True, "serverName": "rsync"}
    documents = rendered("emco-agent", values)
    (container,) = named(documents, "Deployment", "emco-agent")["spec"]["template"]["spec"]["containers"]
    environment = _environment(container, documents)
    assert {f"EMCO_AGENT_{name.upper()}" for name in AgentSettings.model_fields} >= environment.keys()
    loaded = AgentSettings.load(environment)
    assert (loaded.cluster, loaded.server_name, loaded.cert_file) == ("p+c", "rsync", "/etc/emco-agent/tls.crt")
    assert loaded.http_port == container["ports"][0]["containerPort"]


def test_the_agents_chart_makes_what_the_manifest_says() -> None:
    """Apart from labels, and the namespace, which is helm's to make."""
    folder = CHARTS.parent / "agent"
    wanted = [
        one
        for name in ("agent.yaml", "admin.yaml")
        for one in yaml.safe_load_all((folder / name).read_text())
        if one["kind"] != "Namespace"
    ]
    values = {"server": "emco.example.org:9034", "cluster": "provider+cluster", "global": {"emcoTag": "latest"}}
    made = rendered("emco-agent", values | {"admin": True}, namespace="emco-agent")
    key = lambda one: (one["kind"], one["metadata"]["name"])  # noqa: E731
    assert [_plain(one) for one in sorted(made, key=key)] == [_plain(one) for one in sorted(wanted, key=key)]


def _plain(document: Json) -> Json:
    copied: Json = json.loads(json.dumps(document))
    copied["metadata"] = {"name": copied["metadata"]["name"]}
    if copied["kind"] == "Deployment":
        del copied["spec"]["selector"], copied["spec"]["template"]["metadata"]
        pod = copied["spec"]["template"]["spec"]
        pod.pop("enableServiceLinks", None)
        (container,) = pod["containers"]
        container.pop("imagePullPolicy", None)
        container["env"] = {one["name"]: one["value"] for one in container["env"]}
        container["env"].pop("EMCO_AGENT_LOG_LEVEL", None)
    return copied


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("emco_chart_hooks", FILES / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_its_hooks_are_those_of_a_running_suite(tmp_path: Path) -> None:
    module = hooks()
    async with running_suite(tmp_path / "data") as suite:
        services = suite.suite.services
        at = [
            f"{name}=127.0.0.1:{one.http_port}" + (f"/{one.grpc_port}" if one.grpc_port else "")
            for name, one in services.items()
        ]
        assert await asyncio.to_thread(module.troubles, at) == []
        assert await asyncio.to_thread(module.troubles, ["clm=127.0.0.1:1/1"]) != []
        orchestrator = f"http://127.0.0.1:{suite.port('orchestrator')}"
        assert await asyncio.to_thread(module.main, "register", "20", orchestrator) == 0
        registered = (await suite.client.get("/v2/controllers/rsync")).json()
        assert registered["spec"] == registered["spec"] | {"host": "rsync", "port": 9031}
        other = {"metadata": {"name": "rsync"}, "spec": {"host": "elsewhere", "port": 1}}
        await suite.client.put("/v2/controllers/rsync", json=other)
        assert await asyncio.to_thread(module.register, orchestrator) == []
        assert (await suite.client.get("/v2/controllers/rsync")).json()["spec"]["host"] == "elsewhere"


def test_what_is_told_prometheus_and_grafana_arrives_as_it_is() -> None:
    documents = rendered(values=SETS["watched"])
    rules = named(documents, "PrometheusRule", "emco")["spec"]
    assert rules == yaml.safe_load((FILES / "alerts.yaml").read_text())
    data = named(documents, "ConfigMap", "emco-dashboard")["data"]["emco.json"]
    assert json.loads(data) == json.loads((FILES / "dashboard.json").read_text())
    assert (
        named(documents, "ConfigMap", "emco-hooks")["data"]["hooks.py"].strip()
        == (FILES / "hooks.py").read_text().strip()
    )


def test_the_image_is_the_one_that_is_asked_for() -> None:
    of = {"registry.example.com/emco/emco:1.2.3"}
    ours = [
        pod for name, pod in pods(rendered(values=SETS["highly available"])) if name not in ("emco-mongo", "emco-etcd")
    ]
    assert {container["image"] for pod in ours for container in pod["spec"]["containers"]} == of
    digest = f"sha256:{'0' * 64}"
    documents = rendered(values={"global": {"emcoDigest": digest, "emcoTag": "x"}})
    (container,) = named(documents, "Deployment", "clm")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"emco@{digest}"
