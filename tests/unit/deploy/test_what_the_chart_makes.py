"""What is in the chart's objects, whatever the values."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from emco_allinone.main import cli
from tests.support.helm import CHARTS, Json, helm, named, pods, refusal, rendered
from tests.unit.deploy.sets import ISSUER, PEER, SETS

GIVEN = {"store", "store-tls", "bus", "bus-tls", "key", "mongo-own", "etcd-own", "issuer-ca", "agents", "tls"} | {
    "grpc-own",
    "emco-grpc-issued",
}
GIVEN_BY_ISTIO = {"emco-authservice-client"}
USERS = {"orchestrator", "clm", "dcm", "ncm", "rsync", "operations"}


@pytest.mark.parametrize("chart", ["emco", "emco-agent"])
def test_lint_has_nothing_to_say(chart: str) -> None:
    values = {"server": "a:1", "cluster": "p+c"} if chart == "emco-agent" else {}
    answer = helm("lint", "--strict", str(CHARTS / chart), "--kube-version", "1.33.0", values=values)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "[ERROR]" not in answer.stdout
    assert "[WARNING]" not in answer.stdout


@pytest.mark.parametrize("case", SETS)
def test_every_pod_has_little_to_do_harm_with(case: str) -> None:
    found = pods(rendered(values=SETS[case]))
    assert len(found) >= 7
    for name, pod in found:
        spec = pod["spec"]
        if name != "emco-authservice":  # which reads its client's secret
            assert spec["automountServiceAccountToken"] is False, name
            assert spec["enableServiceLinks"] is False, name
            assert spec["securityContext"]["runAsNonRoot"] is True, name
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest"), name
            if len(container.get("ports", [])) > 0 and name != "emco-authservice":
                assert container.keys() >= {"livenessProbe", "readinessProbe", "startupProbe"}, name


@pytest.mark.parametrize("case", SETS)
def test_everything_that_is_referred_to_is_there(case: str) -> None:
    documents = rendered(values=SETS[case])
    there = {(one["kind"], one["metadata"]["name"]) for one in documents}
    there |= {("Secret", name) for name in GIVEN | GIVEN_BY_ISTIO} | {("PersistentVolumeClaim", "nightly")}
    for name, pod in pods(documents):
        for kind, wanted in _referred(pod["spec"]):
            assert (kind, wanted) in there, f"{name} refers to {kind} {wanted}"
        mounted = {mount["name"] for c in pod["spec"]["containers"] for mount in c["volumeMounts"]}
        claims = named_claims(documents, name)
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]} | claims, name
    for service in (one for one in documents if one["kind"] == "Service"):
        chosen = [pod for _, pod in pods(documents) if _selects(service["spec"]["selector"], pod)]
        assert chosen, service["metadata"]["name"]
        names = {port["name"] for pod in chosen for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names | {10003}


def named_claims(documents: Sequence[Json], name: str) -> set[str]:
    stateful = [one for one in documents if (one["kind"], one["metadata"]["name"]) == ("StatefulSet", name)]
    return {claim["metadata"]["name"] for one in stateful for claim in one["spec"].get("volumeClaimTemplates", ())}


def test_backups_are_made_of_what_is_installed_and_survive_it() -> None:
    documents = rendered(values=SETS["highly available"])
    job = named(documents, "CronJob", "emco-backup")["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = job["spec"]["containers"]
    service = named(documents, "Deployment", "clm")["spec"]["template"]["spec"]["containers"][0]
    assert cli.get_command(None, container["args"][0])  # type: ignore[arg-type]
    assert container["args"] == ["backup", "/backups", "--keep", "30"]
    given = {variable["name"]: variable for variable in service["env"]}
    assert {one["name"]: one for one in container["env"]}.items() <= given.items()
    assert "EMCO_DATA_KEY" not in {one["name"] for one in container["env"]}
    claim = named(documents, "PersistentVolumeClaim", "emco-backups")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for store, port in (("mongo", "mongo"), ("etcd", "tls-client")):
        assert "operations" in _admitted(documents, store, port)


def test_backups_go_to_a_volume_of_ones_own() -> None:
    documents = rendered(values=SETS["stores of one's own"])
    job = named(documents, "CronJob", "emco-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert {"persistentVolumeClaim": {"claimName": "nightly"}, "name": "backups"} in job["volumes"]
    assert not [one for one in documents if one["kind"] == "PersistentVolumeClaim"]


def test_nothing_is_backed_up_unless_it_is_asked_for() -> None:
    assert not [one for one in rendered() if one["kind"] == "CronJob"]


def test_a_route_of_the_gateway_api_leads_to_the_ingress() -> None:
    parents = [{"name": "edge", "namespace": "gateways", "sectionName": "https"}]
    documents = rendered(values={"expose": {"gateway": {"parents": parents, "hosts": ["emco.example.com"]}}})
    route = named(documents, "HTTPRoute", "emco")
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert (route["spec"]["parentRefs"], route["spec"]["hostnames"]) == (parents, ["emco.example.com"])
    ((backend,),) = (rule["backendRefs"] for rule in route["spec"]["rules"])
    ports = named(documents, "Service", backend["name"])["spec"]["ports"]
    assert backend["port"] in [port["port"] for port in ports]
    assert not [one for one in rendered() if one["kind"] == "HTTPRoute"]


def _referred(spec: Json) -> Iterator[tuple[str, str]]:
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec["volumes"]:
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for container in spec["containers"]:
        for variable in container.get("env", ()):
            if source := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield "Secret", source["name"]


def _selects(selector: Json, pod: Json) -> bool:
    return bool(selector.items() <= pod["metadata"].get("labels", {}).items())


def _component(pod: Json) -> str:
    return str(pod["metadata"]["labels"].get("app.kubernetes.io/component"))


def _admitted(documents: Sequence[Json], component: str, port: str) -> set[str]:
    """Which components get to a port; ``*`` for anybody."""
    every = [pod for _, pod in pods(documents)]
    target = next(pod for pod in every if pod["metadata"].get("labels") and _component(pod) == component)
    found: set[str] = set()
    for policy in (one for one in documents if one["kind"] == "NetworkPolicy"):
        if not _selects(policy["spec"]["podSelector"]["matchLabels"], target):
            continue
        for rule in policy["spec"]["ingress"]:
            if port in [one["port"] for one in rule["ports"]]:
                found |= set(_peers(rule.get("from"), every))
    return found


def _peers(peers: Iterable[Json] | None, every: Sequence[Json]) -> Iterator[str]:
    for peer in peers if peers is not None else [None]:
        if peer is None:
            yield "*"
        elif "namespaceSelector" in peer:
            yield peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        else:
            labels = peer["podSelector"]["matchLabels"]
            yield labels["app.kubernetes.io/component"]


@pytest.mark.parametrize("name", ["orchestrator", "clm", "dcm", "ncm", "rsync", "ingress", "mongo", "etcd"])
def test_every_pod_has_a_policy(name: str) -> None:
    documents = rendered()
    pod = next(pod for _, pod in pods(documents) if _component(pod) == name)
    policies = [one for one in documents if one["kind"] == "NetworkPolicy"]
    assert [one for one in policies if _selects(one["spec"]["podSelector"]["matchLabels"], pod)]
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    for policy in policies:
        if _selects(policy["spec"]["podSelector"]["matchLabels"], pod):
            assert {one["port"] for rule in policy["spec"]["ingress"] for one in rule["ports"]} <= ports


def test_nobody_gets_past_the_ingress_or_to_the_stores() -> None:
    documents = rendered()
    assert _admitted(documents, "ingress", "http") == {"*"}
    for name in ("orchestrator", "clm", "dcm", "ncm"):
        assert _admitted(documents, name, "http") == {"ingress", "hook"}
    assert _admitted(documents, "rsync", "grpc") == {"orchestrator", "dcm", "ncm", "rsync", "hook"}
    assert _admitted(documents, "mongo", "mongo") == USERS
    assert _admitted(documents, "etcd", "tls-client") == USERS | {"etcd"}
    assert _admitted(documents, "etcd", "tls-peer") == {"etcd"}


def test_others_are_let_in_where_it_is_said() -> None:
    watched = rendered(values=SETS["watched"])
    assert "monitoring" in _admitted(watched, "rsync", "http") & _admitted(watched, "etcd", "http-metrics")
    mesh = rendered(values=SETS["in a mesh"])
    assert _admitted(mesh, "clm", "http") == {"ingress", "hook", "istio-system"}
    assert _admitted(mesh, "rsync", "grpc") == {"orchestrator", "dcm", "ncm", "rsync", "hook"}
    assert _admitted(rendered(values=SETS["published"]), "rsync", "grpc-agents") == {"*"}
    assert _admitted(rendered(values={"networkPolicy": {"from": [PEER]}}), "rsync", "grpc") >= {"monitoring"}


def test_node_ports_are_those_published() -> None:
    services = [one for one in rendered(values=SETS["published"]) if one["kind"] == "Service"]
    documents = [one for one in services if one["spec"].get("type") == "NodePort"]
    found = {
        (one["metadata"]["name"].removesuffix("-published"), port["name"]): port["nodePort"]
        for one in documents
        for port in one["spec"]["ports"]
    }
    assert found == {
        ("orchestrator", "http"): 30415,
        ("orchestrator", "grpc"): 30416,
        ("clm", "http"): 30461,
        ("ncm", "http"): 30481,
        ("ncm", "grpc"): 30482,
        ("dcm", "http"): 30477,
        ("dcm", "grpc"): 30478,
        ("rsync", "grpc"): 30431,
        ("ingress", "http"): 30400,
        ("rsync-agents", "grpc-agents"): 30434,
    }
    assert [one for one in rendered() if one["kind"] == "Service" and "type" in one["spec"]] == []


def test_several_replicas_have_a_budget_and_a_single_one_none() -> None:
    assert [one for one in rendered() if one["kind"] == "PodDisruptionBudget"] == []
    documents = rendered(values=SETS["highly available"])
    budgets = {one["metadata"]["name"] for one in documents if one["kind"] == "PodDisruptionBudget"}
    assert budgets == {"orchestrator", "clm", "dcm", "ncm", "rsync", "ingress", "emco-etcd"}
    assert named(documents, "Deployment", "clm")["spec"]["replicas"] == 3
    assert named(documents, "Deployment", "rsync")["spec"]["replicas"] == 2


def test_the_members_of_etcd_find_and_believe_one_another() -> None:
    documents = rendered(values=SETS["highly available"])
    (container,) = named(documents, "StatefulSet", "emco-etcd")["spec"]["template"]["spec"]["containers"]
    peers = next(a for a in container["args"] if a.startswith("--initial-cluster=")).partition("=")[2].split(",")
    assert peers == [f"emco-etcd-{n}=https://emco-etcd-{n}.emco-etcd.emco.svc:2380" for n in range(3)]
    url = base64.b64decode(named(documents, "Secret", "emco-bus")["data"]["url"]).decode()
    assert url == "etcds://" + ",".join(f"emco-etcd-{n}.emco-etcd:2379" for n in range(3))
    secret = named(documents, "Secret", "emco-etcd-tls")["data"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["tls.crt"]))
    authority = x509.load_pem_x509_certificate(base64.b64decode(secret["ca.crt"]))
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"*.emco-etcd", "*.emco-etcd.emco.svc"} <= set(names.get_values_for_type(x509.DNSName))
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= set(uses)
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(container["args"])


def test_one_certificate_serves_all_who_speak_grpc() -> None:
    documents = rendered(values=SETS["mutual TLS between services"])
    secret = named(documents, "Secret", "emco-grpc-tls")["data"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["tls.crt"]))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(base64.b64decode(secret["ca.crt"])))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = set(names.get_values_for_type(x509.DNSName))
    assert found >= {"orchestrator", "dcm.emco", "ncm.emco.svc", "rsync", "localhost"}
    assert not {"ingress", "clm"} & found
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= set(uses)
    issued = named(rendered(values=SETS["certificates of cert-manager"]), "Certificate", "emco-grpc")["spec"]
    assert set(issued["dnsNames"]) == found
    assert issued["issuerRef"] == {"name": "ours", "kind": "ClusterIssuer", "group": "cert-manager.io"}


def test_certificates_of_grpc_are_there_for_reading_and_only_where_they_are_used() -> None:
    def mounted(values: Any) -> dict[str, str]:
        found = {}
        for name, pod in pods(rendered(values=values)):
            volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
            if "grpc" in volumes:
                (container,) = pod["spec"]["containers"]
                mounts = [one for one in container["volumeMounts"] if one["name"] == "grpc"]
                assert mounts == [{"name": "grpc", "mountPath": "/etc/emco/grpc", "readOnly": True}]
                found[name] = volumes["grpc"]["secret"]["secretName"]
        return found

    users = ("orchestrator", "clm", "dcm", "ncm", "rsync")
    assert mounted({}) == {}
    assert mounted(SETS["mutual TLS between services"]) == dict.fromkeys(users, "emco-grpc-tls")
    assert mounted(SETS["a certificate of one's own between services"]) == dict.fromkeys(users, "grpc-own")
    assert mounted(SETS["certificates of cert-manager"]) == dict.fromkeys(users, "emco-grpc-issued")


def test_stores_of_ones_own_are_all_there_is() -> None:
    documents = rendered(values=SETS["stores of one's own"])
    assert [one for one in documents if one["kind"] in ("StatefulSet", "Secret")] == []
    assert [one for one in rendered(values=SETS["secrets of one's own"]) if one["kind"] == "Secret"] == [
        named(rendered(values=SETS["secrets of one's own"]), "Secret", "emco-bus")
    ]


def test_keys_outlive_the_release() -> None:
    for name in ("emco-data-key", "emco-mongo"):
        kept = named(rendered(), "Secret", name)["metadata"]["annotations"]
        assert kept == {"helm.sh/resource-policy": "keep"}


def test_another_data_key_replaces_the_pods_that_have_it() -> None:
    marked = [
        {name: pod["metadata"].get("annotations") for name, pod in pods(rendered(values={"global": {"db": values}}))}
        for values in ({"dataSecret": "one"}, {"dataSecret": "two"}, {})
    ]
    changed = {name for name in marked[0] if marked[0][name] != marked[1][name]}
    assert changed == {"orchestrator", "clm", "dcm", "ncm", "rsync"}
    assert marked[2] == dict.fromkeys(marked[0]) | {"emco-test": marked[2]["emco-test"]}


def test_secrets_are_long_and_stand_in_secrets_only() -> None:
    documents = rendered()
    data = {
        k: base64.b64decode(v).decode()
        for n in ("emco-data-key", "emco-mongo")
        for k, v in named(documents, "Secret", n)["data"].items()
    }
    for key in ("key", "rootPassword", "userPassword"):
        assert re.fullmatch(r"[A-Za-z0-9]{32,}", data[key])
        assert not [one for one in documents if one["kind"] != "Secret" and data[key] in str(one)]


def test_the_ingress_with_a_gate_is_watched_with_a_token() -> None:
    documents = rendered(values=SETS["watched"])
    everybody, ingress = (named(documents, "ServiceMonitor", name)["spec"] for name in ("emco", "emco-ingress"))
    assert "ingress" not in everybody["selector"]["matchExpressions"][0]["values"]
    assert ingress["endpoints"][0]["authorization"]["credentials"] == {"name": "viewer", "key": "token"}
    open_one = rendered(values={"monitoring": {"serviceMonitor": {"enabled": True}}})
    values = named(open_one, "ServiceMonitor", "emco")["spec"]["selector"]["matchExpressions"][0]["values"]
    assert "ingress" in values


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"global": {"httpProxy": "http://p"}}, "httpProxy"),
    ({"global": {"repository": "registry.example.com/emco"}}, "/global/repository"),
    ({"global": {"loglevel": "loud"}}, "/global/loglevel"),
    ({"services": {"gac": {}}}, "gac"),
    ({"services": {"clm": {"replicas": "two"}}}, "/services/clm/replicas"),
    ({"services": {"clm": {"env": {"EMCO_MAX_BODY": 1000000}}}}, "/services/clm/env/EMCO_MAX_BODY"),
    ({"etcd": {"replicas": 2}}, "/etcd/replicas"),
    ({"etcd": {"enabled": False}}, "say where the bus is"),
    ({"mongo": {"enabled": False}}, "say where the store is"),
    ({"mongo": {"enabled": False, "external": {"url": "postgres://x"}}}, "/mongo/external/url"),
    ({"mongo": {"persistence": {"size": "much"}}}, "/mongo/persistence/size"),
    ({"agents": {"enabled": True}}, "agents.enabled needs agents.tlsSecret"),
    ({"expose": {"ingress": {"enabled": True}}}, "needs expose.ingress.host"),
    ({"oidc": {"issuers": [ISSUER], "algorithms": ["HS256"]}}, "/oidc/algorithms/0"),
    ({"oidc": {"issuers": [ISSUER], "algorithms": ["none"]}}, "/oidc/algorithms/0"),
    ({"expose": {"gateway": {"parents": [{"namespace": "gateways"}]}}}, "/expose/gateway/parents/0"),
    ({"backup": {"enabled": True, "schedule": "nightly"}}, "/backup/schedule"),
    ({"logicalClouds": {"level0": "admins"}}, "/logicalClouds/level0"),
    ({"replicas": 3}, "replicas"),
    ({"grpc": {"tls": {"enabled": "yes"}}}, "/grpc/tls/enabled"),
    (SETS["in a mesh"] | {"grpc": {"tls": {"enabled": True}}}, "in the mesh gRPC is mutual TLS already"),
    ({"grpc": {"tls": {"certManager": {"issuer": "ours"}}}}, "issuer"),
]


@pytest.mark.parametrize(("values", "sentence"), REFUSED)
def test_values_that_are_none_are_refused(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)


def test_the_agents_chart_refuses_what_the_agent_would() -> None:
    assert "/cluster" in refusal({"server": "a:1", "cluster": "lisbon-1"}, chart="emco-agent")
    assert "/server" in refusal({"server": "a", "cluster": "p+c"}, chart="emco-agent")
    rules = named(
        rendered("emco-agent", {"server": "a:1", "cluster": "p+c", "users": ["ada"]}), "ClusterRole", "emco-agent"
    )
    assert rules["rules"][0] == {
        "apiGroups": [""],
        "resources": ["users"],
        "verbs": ["impersonate"],
        "resourceNames": ["ada"],
    }
