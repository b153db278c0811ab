"""What the Kubernetes client promises, against the simulated cluster and a real control plane alike."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emco_common.kube import Kind, KubeClient, Kubeconfig, Ref, errors, parse_kubeconfig
from emco_common.kube.csr import CSR, approve
from emco_common.kube.network import Network
from tests.support.simcluster import MakeSimCluster
from tests.unit.kube.certs import certificate_pem, new_key

CONFIG_MAP = Kind("v1", "ConfigMap")
DEPLOYMENT = Kind("apps/v1", "Deployment")
NAMESPACE = Kind("v1", "Namespace")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
MANAGER = "contract"

Json = dict[str, Any]


@pytest_asyncio.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.xdist_group("cluster"))])
async def kubeconfig(request: pytest.FixtureRequest, make_sim_cluster: MakeSimCluster) -> Kubeconfig:
    if request.param == "simulated":
        return parse_kubeconfig((await make_sim_cluster("edge")).kubeconfig)
    return parse_kubeconfig(request.getfixturevalue("control_plane").kubeconfig)


@pytest.fixture(params=["HTTP/2", "HTTP/1.1"])
def network(request: pytest.FixtureRequest) -> Network:
    return Network(shared=request.param == "HTTP/2")


@pytest_asyncio.fixture
async def client(kubeconfig: Kubeconfig, network: Network) -> AsyncIterator[KubeClient]:
    async with KubeClient(kubeconfig, network=network) as made:
        yield made


@pytest_asyncio.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(Ref(NAMESPACE, name))


def config_map(name: str, *, labels: Json | None = None, **data: str) -> Json:
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str, replicas: int = 1) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def until(check: Callable[[], Any], *, seconds: float = 15.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await check()):  # noqa: ASYNC110 - the cluster changes on its own
            await asyncio.sleep(0.02)
    return found


async def test_the_server_tells_its_version(client: KubeClient) -> None:
    assert (await client.version())["gitVersion"].startswith("v1.")


async def test_apply_creates_changes_and_prunes(client: KubeClient, namespace: str) -> None:
    first = await client.apply(config_map("a", x="1", y="1"), manager=MANAGER, namespace=namespace)
    assert first["metadata"]["namespace"] == namespace
    await client.apply(config_map("a", x="2"), manager=MANAGER, namespace=namespace)
    read = await client.get(Ref(CONFIG_MAP, "a", namespace))
    assert read["data"] == {"x": "2"}
    assert read["metadata"]["uid"] == first["metadata"]["uid"]


async def test_the_same_apply_twice_writes_once(client: KubeClient, namespace: str) -> None:
    first = await client.apply(deployment("d", 0), manager=MANAGER, namespace=namespace)
    second = await client.apply(deployment("d", 0), manager=MANAGER, namespace=namespace)
    assert second["metadata"]["generation"] == first["metadata"]["generation"]


async def test_a_dry_run_changes_nothing(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map("a", x="1"), manager=MANAGER, namespace=namespace, dry_run=True)
    with pytest.raises(errors.NotFound):
        await client.get(Ref(CONFIG_MAP, "a", namespace))


async def test_a_field_of_another_manager_is_a_conflict_until_forced(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map("a", x="1"), manager="other", namespace=namespace)
    with pytest.raises(errors.FieldConflict) as caught:
        await client.apply(config_map("a", x="2"), manager=MANAGER, namespace=namespace)
    assert caught.value.managers == ("other",)
    assert caught.value.fields == (".data.x",)
    await client.apply(config_map("a", x="2"), manager=MANAGER, namespace=namespace, force=True)


async def test_create_says_when_the_name_is_taken(client: KubeClient, namespace: str) -> None:
    await client.create(config_map("a"), namespace=namespace)
    with pytest.raises(errors.AlreadyExists):
        await client.create(config_map("a"), namespace=namespace)


async def test_an_object_of_a_missing_namespace_names_it(client: KubeClient) -> None:
    with pytest.raises(errors.NotFound) as caught:
        await client.apply(config_map("a"), manager=MANAGER, namespace="no-such-namespace")
    assert caught.value.subject_kind == "namespaces"


async def test_an_invalid_object_tells_the_field(client: KubeClient, namespace: str) -> None:
    broken = deployment("d")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(errors.Invalid) as caught:
        await client.apply(broken, manager=MANAGER, namespace=namespace)
    assert "selector" in str(caught.value) or any("labels" in cause.field for cause in caught.value.causes)


async def test_a_field_that_no_kind_has_is_the_manifests_fault(client: KubeClient, namespace: str) -> None:
    broken = deployment("d")
    broken["spec"]["template"]["spec"]["containers"] = "none"
    with pytest.raises(errors.KubeError) as caught:
        await client.apply(broken, manager=MANAGER, namespace=namespace)
    assert not caught.value.retriable


async def test_a_merge_patch_changes_what_it_names(client: KubeClient, namespace: str) -> None:
    await client.create(config_map("a", x="1", y="1"), namespace=namespace)
    patched = await client.patch(Ref(CONFIG_MAP, "a", namespace), {"data": {"x": None, "z": "3"}})
    assert patched["data"] == {"y": "1", "z": "3"}


async def test_a_stale_replace_is_a_conflict(client: KubeClient, namespace: str) -> None:
    read = await client.create(config_map("a", x="1"), namespace=namespace)
    await client.patch(Ref(CONFIG_MAP, "a", namespace), {"data": {"x": "2"}})
    with pytest.raises(errors.Conflict) as caught:
        await client.replace({**read, "data": {"x": "3"}})
    assert caught.value.retriable


async def test_a_delete_that_is_done_says_so_and_one_of_nothing_too(client: KubeClient, namespace: str) -> None:
    await client.create(config_map("a"), namespace=namespace)
    answer = await client.delete(Ref(CONFIG_MAP, "a", namespace))
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    for call in (client.get, client.delete):
        with pytest.raises(errors.NotFound):
            await call(Ref(CONFIG_MAP, "a", namespace))


async def test_an_object_with_finalizers_is_only_on_its_way_out(client: KubeClient, namespace: str) -> None:
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await client.create(held, namespace=namespace)
    answer = await client.delete(Ref(CONFIG_MAP, "a", namespace))
    assert answer["kind"] == "ConfigMap"
    assert (await client.get(Ref(CONFIG_MAP, "a", namespace)))["metadata"]["deletionTimestamp"]
    await client.patch(Ref(CONFIG_MAP, "a", namespace), {"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFound):
        await client.get(Ref(CONFIG_MAP, "a", namespace))


async def test_a_delete_of_another_incarnation_is_refused(client: KubeClient, namespace: str) -> None:
    await client.create(config_map("a"), namespace=namespace)
    with pytest.raises(errors.Conflict):
        await client.delete(Ref(CONFIG_MAP, "a", namespace), uid=str(uuid.uuid4()))
    await client.get(Ref(CONFIG_MAP, "a", namespace))


async def test_a_list_is_filtered_and_complete(client: KubeClient, namespace: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("emco_common.kube.client.PAGE", 3)
    names = [f"c{n}" for n in range(8)]
    for name in names:
        await client.create(config_map(name, labels={"set": "mine"}), namespace=namespace)
    await client.create(config_map("other"), namespace=namespace)
    listed = await client.list(CONFIG_MAP, namespace=namespace, selector="set=mine")
    assert [item["metadata"]["name"] for item in listed.items] == names
    assert {item["kind"] for item in listed.items} == {"ConfigMap"}
    assert int(listed.resource_version) > 0


async def test_a_watch_tells_what_follows_the_list(client: KubeClient, namespace: str) -> None:
    await client.create(config_map("before"), namespace=namespace)
    listed = await client.list(CONFIG_MAP, namespace=namespace)
    await client.create(config_map("a", labels={"set": "mine"}, x="1"), namespace=namespace)
    await client.patch(Ref(CONFIG_MAP, "a", namespace), {"data": {"x": "2"}})
    await client.delete(Ref(CONFIG_MAP, "a", namespace))
    seen = []
    async with asyncio.timeout(10):
        watch = client.watch(
            CONFIG_MAP, resource_version=listed.resource_version, namespace=namespace, selector="set=mine"
        )
        async with aclosing(watch):
            async for event in watch:
                if event.type != "BOOKMARK":
                    seen.append((event.type, event.object["metadata"]["name"]))
                if event.type == "DELETED":
                    break
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_ends_when_its_client_is_closed(kubeconfig: Kubeconfig, network: Network) -> None:
    client = KubeClient(kubeconfig, network=network)
    listed = await client.list(CONFIG_MAP, namespace="kube-system")
    watch = client.watch(CONFIG_MAP, resource_version=listed.resource_version, namespace="kube-system")
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.2)  # until the server has begun to answer; there is nothing to be told
    await client.close()
    async with asyncio.timeout(10):
        with pytest.raises(errors.Unreachable):
            await waiting


async def test_a_watch_from_a_version_of_long_ago_is_gone(client: KubeClient, namespace: str) -> None:
    watch = client.watch(CONFIG_MAP, resource_version="1", namespace=namespace)
    async with asyncio.timeout(10), aclosing(watch):
        try:
            await anext(watch)
        except errors.Gone:
            return
        # A server that still holds all its history may answer from it.
        assert int((await client.list(CONFIG_MAP)).resource_version) < 10_000


async def test_a_new_kind_is_found_as_soon_as_it_is_served(client: KubeClient, namespace: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.org"
    widget = Kind(f"{group}/v1", "Widget")
    with pytest.raises(errors.UnknownKind):
        await client.get(Ref(widget, "w", namespace))
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    definition = {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    await client.apply(definition, manager=MANAGER)
    widget_object = {"apiVersion": widget.api_version, "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": 1}}

    async def applied() -> Any:
        try:
            return await client.apply(widget_object, manager=MANAGER, namespace=namespace)
        except errors.UnknownKind:
            return None

    assert (await until(applied))["spec"] == {"a": 1}
    await client.delete(Ref(CRD, f"widgets.{group}"))

    async def unserved() -> bool:
        try:
            await client.get(Ref(widget, "w", namespace))
        except (errors.UnknownKind, errors.NotFound):
            return True
        return False

    await until(unserved)


async def test_a_signing_request_is_approved_once(client: KubeClient) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    name = f"csr-{uuid.uuid4().hex[:8]}"
    obj = {
        "apiVersion": CSR.api_version,
        "kind": CSR.kind,
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }
    await client.apply(obj, manager=MANAGER)
    condition = {"type": "Approved", "status": "True", "reason": "Test", "message": "ok"}
    await approve(client, name, condition=condition)
    await approve(client, name, condition=condition)

    async def certificate() -> Any:
        return ((await client.get(Ref(CSR, name))).get("status") or {}).get("certificate")

    assert base64.b64decode(await until(certificate)).startswith(b"-----BEGIN CERTIFICATE")
    await client.delete(Ref(CSR, name))


async def test_a_namespace_on_its_way_out_takes_nothing_in(client: KubeClient) -> None:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await client.create(held, namespace=name)
    await client.delete(Ref(NAMESPACE, name))

    async def refused() -> bool:
        try:
            await client.apply(config_map("b"), manager=MANAGER, namespace=name)
        except errors.NamespaceTerminating as error:
            return error.retriable
        return False

    await until(refused)
    await client.patch(Ref(CONFIG_MAP, "a", name), {"metadata": {"finalizers": None}})


async def test_a_wrong_credential_is_unauthorized(kubeconfig: Kubeconfig, network: Network) -> None:
    stranger = dataclasses.replace(kubeconfig, client_certificate=None, client_key=None, token="wrong")
    async with KubeClient(stranger, network=network) as other:
        with pytest.raises(errors.Unauthorized):
            await other.list(CONFIG_MAP)


async def test_a_server_whose_certificate_another_authority_signed_is_not_trusted(kubeconfig: Kubeconfig) -> None:
    deceived = dataclasses.replace(kubeconfig, ca_data=certificate_pem(new_key()))
    async with KubeClient(deceived) as other:
        with pytest.raises(errors.Unreachable) as caught:
            await other.version()
    assert caught.value.reason == "CertificateRejected"
