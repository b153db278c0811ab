"""Level-1 clouds: their context, certificates and kubeconfigs (spec dcm 5 to 8, defects 4 to 9, 11, 12, 20 to 22)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from emco_common.appcontext import AppDependencyForm, ContextState, Meta
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.lifecycle import State
from emco_common.operations import Phase
from tests.api.dcm.conftest import CLOUDS, LC, Dcm, TravellingClock, eventually, kubeconfig, permission, reference


async def resources(dcm: Dcm, cluster: str) -> dict[str, Any]:
    """The manifests of a cluster in the present context, by resource name, in order."""
    context = await dcm.contexts.read((await dcm.info()).instance)
    (found,) = (one for one in context.apps[0].clusters if one.name == cluster)
    return {resource.name: yaml.safe_load(resource.manifest) for resource in found.resources}


async def instantiated(dcm: Dcm, *clusters: str, **spec: Any) -> str:
    await dcm.custom(*clusters, **spec)
    await dcm.post(f"{LC}/instantiate", expect=202)
    return (await dcm.info()).instance


# What is made


async def test_a_level_1_cloud_is_instantiated_with_its_objects_in_order(dcm: Dcm) -> None:
    await dcm.custom("hq", labels={"istio-injection": "enabled"})
    await dcm.post(f"{LC}/cluster-quotas", {"metadata": {"name": "small"}, "spec": {"pods": "12"}})
    await dcm.post(f"{LC}/user-permissions", permission("elsewhere", "kube-system", verbs=["get"]))
    await dcm.post(f"{LC}/user-permissions", permission("everywhere", "", verbs=["list"]))
    await dcm.post(f"{LC}/instantiate", expect=202)

    instance = (await dcm.info()).instance
    context = await dcm.contexts.read(instance)
    made = await resources(dcm, "acme+hq")

    assert dcm.rsync.calls == [("install", instance)]
    assert context.dependency_form is AppDependencyForm.WRAPPED
    assert context.meta == Meta(
        project="shop",
        logical_cloud="lc",
        namespace="default",
        level="0",
        logical_cloud_namespace="lc-ns",
        logical_cloud_level="1",
    )
    assert list(made) == [
        "lc-ns+Namespace",
        "lc-lc-ns-user-csr+CertificateSigningRequest",
        "small+ResourceQuota",
        "lc-role0+Role",
        "lc-role1+Role",
        "lc-clusterRole2+ClusterRole",
        "lc-roleBinding0+RoleBinding",
        "lc-roleBinding1+RoleBinding",
        "lc-clusterRoleBinding2+ClusterRoleBinding",
    ]
    assert made["lc-ns+Namespace"]["metadata"]["labels"] == {"istio-injection": "enabled"}
    assert made["lc-role1+Role"]["metadata"] == {"name": "lc-role1", "namespace": "kube-system"}


async def test_the_request_names_the_user_alone_and_brings_its_approval(dcm: Dcm) -> None:
    instance = await instantiated(dcm, "hq")

    spec = (await dcm.requests())["acme+hq"]["spec"]
    request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    (cluster,) = (await dcm.contexts.read(instance)).apps[0].clusters
    approval = cluster.resources[1].approval

    assert request.subject.rfc4514_string() == "CN=bob"
    assert spec["signerName"] == "kubernetes.io/kube-apiserver-client"
    assert spec["usages"] == ["digital signature", "key encipherment", "client auth"]
    assert approval is not None
    assert (approval.type, approval.status, approval.reason) == ("Approved", "True", "LogicalCloud")


async def test_the_private_key_is_sealed_and_shown_nowhere(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")

    document = await dcm.deps.store.get({"project": "shop", "logicalCloud": "lc"})

    assert document is not None
    assert document.tags["privatekey"]["keyvalue"].startswith("emco1:")
    assert "PRIVATE" not in str(document)
    assert "privatekey" not in (await dcm.client.get(LC)).text


async def test_without_a_permission_in_its_namespace_a_cloud_is_refused_and_stays_as_it_was(dcm: Dcm) -> None:
    await dcm.custom("hq")
    await dcm.delete(f"{LC}/user-permissions/main")
    text = "Level-1 Logical Clouds require a User Permission assigned to its primary namespace"

    assert await dcm.refused(f"{LC}/instantiate", 409) == text
    await dcm.post(f"{LC}/user-permissions", permission("other", "elsewhere"))
    assert await dcm.refused(f"{LC}/instantiate", 409) == text
    assert await dcm.contexts_on_the_bus() == set()
    assert (await dcm.info()).state is State.CREATED


async def test_gitops_clusters_get_an_account_instead_of_a_certificate(dcm: Dcm) -> None:
    types = ("fluxcd", "azureArcV2", "anthos")
    await dcm.custom(*types)
    records = CloudConfigs(dcm.deps.store, dcm.deps.sealer)
    for name in types:
        await records.put(Access("acme", name, gitops={"gitOpsType": name, "gitOpsReferenceObject": "git"}))
    await dcm.post(f"{LC}/instantiate", expect=202)

    made = {name: await resources(dcm, f"acme+{name}") for name in types}
    granted = [await dcm.granted(name) for name in types]

    for name in ("fluxcd", "azureArcV2"):
        assert list(made[name])[:2] == ["lc-ns+Namespace", "lc-ns+ServiceAccount"]
        assert made[name]["lc-ns+ServiceAccount"]["metadata"]["name"] == "lc-ns-sa"
        account = {"kind": "ServiceAccount", "name": "lc-ns-sa", "namespace": "lc-ns"}
        assert made[name]["lc-roleBinding0+RoleBinding"]["subjects"][1] == account
    assert list(made["anthos"]) == ["lc-ns+Namespace", "lc-role0+Role", "lc-roleBinding0+RoleBinding"]
    assert made["anthos"]["lc-roleBinding0+RoleBinding"]["subjects"][1] == {
        "kind": "ServiceAccount",
        "name": "ns-reconciler-lc-ns-repo-sync-lc-12",
        "namespace": "config-management-system",
    }
    assert [access.kubeconfig for access in granted] == [b"", b"", b""]
    assert [access.gitops["gitOpsType"] for access in granted] == list(types)
    assert (await dcm.client.get(f"{LC}/cluster-references/fluxcd-ref/kubeconfig")).content == b""


@pytest.mark.robustness(31)
async def test_the_agent_of_a_cluster_is_told_whose_rights_the_calls_of_a_cloud_have(dcm: Dcm) -> None:
    await dcm.custom("far")
    registered = {"gitOpsType": "agent", "gitOpsReferenceObject": "far-token"}
    await CloudConfigs(dcm.deps.store, dcm.deps.sealer).put(Access("acme", "far", gitops=registered))
    await dcm.post(f"{LC}/instantiate", expect=202)
    granted = await dcm.granted("far")
    user = (await dcm.get(LC))["spec"]["user"]["userName"]
    assert granted.gitops == {**registered, "impersonatedUser": user}
    assert granted.kubeconfig == b""


async def test_of_two_clouds_that_come_to_a_cluster_at_once_at_most_one_gets_the_namespace(dcm: Dcm) -> None:
    await dcm.custom("hq")
    await dcm.custom("hq", name="twin")
    twin = await dcm.deps.store.get({"project": "shop", "logicalCloud": "twin"})
    assert twin is not None
    same = {**twin.body, "spec": {**twin.body["spec"], "namespace": "lc-ns"}}
    await dcm.deps.store.replace(replace(twin, body=same))  # as two requests at a time could leave it
    await dcm.post(f"{CLOUDS}/twin/user-permissions", permission("primary", "lc-ns"))

    paths = (f"{LC}/instantiate", f"{CLOUDS}/twin/instantiate")
    answers = await asyncio.gather(*(dcm.client.post(path) for path in paths))

    codes = sorted(answer.status_code for answer in answers)
    assert codes in ([202, 409], [409, 409])
    assert len(dcm.rsync.calls) == codes.count(202)


# From the certificate to the kubeconfig


async def test_the_issued_certificate_becomes_a_kubeconfig_of_the_current_context_of_registration(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    pem = await dcm.sign("acme+hq")

    made = yaml.safe_load((await dcm.granted("hq")).kubeconfig)
    key = serialization.load_pem_private_key(base64.b64decode(made["users"][0]["user"].pop("client-key-data")), None)

    assert key.public_key() == x509.load_pem_x509_certificate(pem).public_key()
    assert made == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "cluster": {
                    "certificate-authority-data": base64.b64encode(b"ca").decode(),
                    "server": "https://hq:6443",
                },
                "name": "hq-ref",
            }
        ],
        "contexts": [
            {"context": {"cluster": "hq-ref", "namespace": "lc-ns", "user": "bob"}, "name": "bob@hq-ref"},
        ],
        "current-context": "bob@hq-ref",
        "preferences": {},
        "users": [{"name": "bob", "user": {"client-certificate-data": base64.b64encode(pem).decode()}}],
    }
    kept = (await dcm.get(f"{LC}/cluster-references/hq-ref"))["spec"]["certificate"]
    assert base64.b64decode(kept) == pem


async def test_each_cluster_is_on_its_own(dcm: Dcm) -> None:
    await instantiated(dcm, "hq", "paris")
    await dcm.sign("acme+paris")

    await dcm.granted("paris")
    status = await dcm.get(f"{LC}/status")

    assert await dcm.access("hq") is None
    assert status["readyStatus"] == "NotReady"
    reasons = {
        cluster["cluster"]: next(row.get("reason") for row in cluster["resources"] if "csr" in row["name"])
        for cluster in status["clusters"]
    }
    assert reasons == {"hq": "waiting for the certificate: the cluster has not reported yet", "paris": None}
    await dcm.sign("acme+hq")
    await dcm.granted("hq")
    assert (await dcm.get(f"{LC}/status"))["readyStatus"] == "Ready"


async def test_news_is_found_without_alerts_too(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.sign("acme+hq", tell=False)
    await dcm.restart()

    await dcm.granted("hq")


async def test_alerts_are_heard_of_as_long_as_something_is_waited_for(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")

    async def silent() -> bool:
        return not dcm.rsync.listeners

    await listened_to(dcm)
    await dcm.sign("acme+hq")
    await dcm.granted("hq")
    await eventually(silent)


async def listened_to(dcm: Dcm) -> None:
    """Returns when dcm waits for news of the cloud."""
    status_context = (await dcm.info()).status_context

    async def listening() -> bool:
        return [context for _, context, _ in dcm.rsync.listeners] == [status_context]

    await eventually(listening)


async def test_a_request_of_another_name_or_key_is_none_of_ours(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    request = (await dcm.requests())["acme+hq"]
    foreign = dcm.authority.certificate
    issued = {"conditions": [{"type": "Approved"}], "certificate": base64.b64encode(foreign).decode()}
    path = f"{LC}/cluster-references/hq-ref/kubeconfig"

    await dcm.report("acme+hq", {**request, "metadata": {"name": "other"}, "status": issued})
    assert await dcm.get(path, expect=409) == "A status for the CSR hasn't been returned\n"
    await dcm.report("acme+hq", {**request, "status": issued})
    assert (await dcm.get(path, expect=409)).startswith("There is no kubeconfig yet")
    assert await dcm.access("hq") is None


async def test_a_changed_registration_is_taken_over(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.sign("acme+hq")
    await dcm.granted("hq")

    records = CloudConfigs(dcm.deps.store, dcm.deps.sealer)
    await records.put(Access("acme", "hq", kubeconfig=kubeconfig("moved")))
    made = yaml.safe_load((await dcm.client.get(f"{LC}/cluster-references/hq-ref/kubeconfig")).content)

    assert made["clusters"][0]["cluster"]["server"] == "https://moved:6443"
    assert b"https://moved:6443" in (await dcm.granted("hq")).kubeconfig


# Whatever is cut off is taken up again


async def _nothing(_dcm: Dcm) -> None:
    return None


async def _signed(dcm: Dcm) -> None:
    await dcm.sign("acme+hq", tell=False)


async def _record_lost(dcm: Dcm) -> None:
    await dcm.sign("acme+hq")
    await dcm.deps.store.delete((await dcm.granted("hq")).key)


async def _certificate_lost(dcm: Dcm) -> None:
    await dcm.sign("acme+hq")
    await dcm.granted("hq")
    for one in await dcm.deps.store.list(("project", "logicalCloud", "clusterReference"), {}):
        body = {**one.body, "spec": {**one.body["spec"], "certificate": ""}}
        await dcm.deps.store.replace(replace(one, body=body, tags={}))


async def _tidied_up(dcm: Dcm) -> None:
    """The cluster removes answered requests after an hour."""
    await _record_lost(dcm)
    await dcm.report("acme+hq")


@pytest.mark.parametrize("step", [_nothing, _signed, _record_lost, _certificate_lost, _tidied_up])
async def test_a_restart_at_any_step_loses_nothing(dcm: Dcm, step: Callable[[Dcm], Awaitable[None]]) -> None:
    await instantiated(dcm, "hq")
    await step(dcm)

    await dcm.restart()
    if step is _nothing:
        await dcm.sign("acme+hq")

    await dcm.granted("hq")

    async def kept() -> bool:
        return bool((await dcm.get(f"{LC}/cluster-references/hq-ref"))["spec"]["certificate"])

    await eventually(kept)


async def test_an_update_that_was_cut_off_is_handed_over_again(dcm: Dcm) -> None:
    first = await instantiated(dcm, "hq")
    second = replace(await dcm.contexts.read(first), id="88", status_context=first)
    await dcm.contexts.write_new(second)
    await dcm.leave("update", Phase.HANDOVER, "88", source=first)

    await dcm.restart()

    async def updated() -> bool:
        return (await dcm.info()).state is State.UPDATED

    await eventually(updated)
    assert dcm.rsync.calls[-1] == ("update", f"{first}>88")


# On a live cloud


async def test_clusters_come_and_go_and_those_that_stay_keep_their_certificate(dcm: Dcm) -> None:
    first = await instantiated(dcm, "hq", "paris")
    for cluster in ("acme+hq", "acme+paris"):
        await dcm.sign(cluster)
    before = await dcm.granted("hq")
    await dcm.granted("paris")
    request = (await dcm.requests())["acme+hq"]
    await dcm.cluster("rome")
    await dcm.post(f"{LC}/cluster-references", reference("rome-ref", "rome"))
    await dcm.delete(f"{LC}/cluster-references/paris-ref")

    await dcm.post(f"{LC}/update", expect=202)

    async def dropped() -> bool:
        return await dcm.access("paris") is None

    await eventually(dropped)
    context = await dcm.contexts.read((await dcm.info()).instance)
    assert context.status_context == first
    assert [cluster.name for cluster in context.apps[0].clusters] == ["acme+hq", "acme+rome"]
    assert (await dcm.requests())["acme+hq"] == request
    await dcm.sign("acme+rome")
    await dcm.granted("rome")
    assert await dcm.access("hq") == before


async def test_a_cluster_with_a_deployment_on_it_does_not_leave(dcm: Dcm) -> None:
    instance = await instantiated(dcm, "hq", "paris")
    await dcm.group("east", State.INSTANTIATED, instance)
    await dcm.delete(f"{LC}/cluster-references/paris-ref")

    refused = await dcm.refused(f"{LC}/update", 409)

    assert refused.startswith("Deployment intent group east is still on cluster acme+paris")
    assert (await dcm.info()).instance == instance


async def test_permissions_and_quotas_change_and_the_others_keep_their_names(dcm: Dcm) -> None:
    await dcm.custom("hq")
    await dcm.post(f"{LC}/user-permissions", permission("second", "lc-ns", verbs=["get"]))
    await dcm.post(f"{LC}/instantiate", expect=202)
    await dcm.delete(f"{LC}/user-permissions/main")
    await dcm.post(f"{LC}/user-permissions", permission("third", "lc-ns", verbs=["list"]))
    await dcm.post(f"{LC}/cluster-quotas", {"metadata": {"name": "small"}, "spec": {"pods": "12"}})
    moved = permission("second", "kube-system", verbs=["get"])

    await dcm.post(f"{LC}/update", expect=202)
    verbs = {
        name: one["rules"][0]["verbs"] for name, one in (await resources(dcm, "acme+hq")).items() if "rules" in one
    }
    assert verbs == {"lc-role1+Role": ["get"], "lc-role2+Role": ["list"]}
    assert "small+ResourceQuota" in await resources(dcm, "acme+hq")

    assert (await dcm.client.put(f"{LC}/user-permissions/second", json=moved)).status_code == 200
    await dcm.post(f"{LC}/update", expect=202)
    roles = [name for name in await resources(dcm, "acme+hq") if name.endswith("+Role")]
    assert roles == ["lc-role3+Role", "lc-role2+Role"]


async def test_after_the_end_nothing_is_left_of_the_user(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.sign("acme+hq")
    await dcm.granted("hq")

    await dcm.post(f"{LC}/terminate", expect=202)

    async def forgotten() -> bool:
        certificate = (await dcm.get(f"{LC}/cluster-references/hq-ref"))["spec"]["certificate"]
        return await dcm.access("hq") is None and certificate == ""

    await eventually(forgotten)
    path = f"{LC}/cluster-references/hq-ref/kubeconfig"
    assert await dcm.get(path, expect=409) == "Logical Cloud hasn't been instantiated\n"
    await dcm.post(f"{LC}/instantiate", expect=202)
    assert await dcm.access("hq") is None
    await dcm.sign("acme+hq")
    await dcm.granted("hq")


async def test_access_of_a_cloud_that_is_gone_is_forgotten(dcm: Dcm) -> None:
    owner = {"project": "shop", "logicalCloud": "gone"}
    await dcm.cluster("hq")
    records = CloudConfigs(dcm.deps.store, dcm.deps.sealer)
    await records.put(Access("acme", "hq", "1", "gone-ns", b"secret", owner=owner))

    await dcm.restart()

    async def forgotten() -> bool:
        return await dcm.access("hq", "gone-ns") is None

    await eventually(forgotten)


async def test_an_update_that_failed_is_put_right_by_another(dcm: Dcm) -> None:
    first = await instantiated(dcm, "hq")
    await dcm.post(f"{LC}/user-permissions", permission("bad", "no-such-namespace"))
    dcm.statuses["update"] = ContextState.INSTANTIATE_FAILED
    await dcm.post(f"{LC}/update", expect=202)
    failed = (await dcm.info()).instance
    await dcm.delete(f"{LC}/user-permissions/bad")
    dcm.statuses["update"] = ContextState.INSTANTIATED

    await dcm.post(f"{LC}/update", expect=202)

    last = (await dcm.info()).instance
    assert dcm.rsync.calls[1:] == [("update", f"{first}>{failed}"), ("update", f"{failed}>{last}")]


async def test_a_deleted_cloud_leaves_no_access_behind(dcm: Dcm) -> None:
    instance = await instantiated(dcm, "hq")
    await dcm.sign("acme+hq")
    await dcm.granted("hq")
    await dcm.contexts.delete(instance)  # which counts as terminated
    for child in ("cluster-references/hq-ref", "user-permissions/main"):
        await dcm.delete(f"{LC}/{child}")

    await dcm.delete(LC)

    async def forgotten() -> bool:
        return await dcm.access("hq") is None

    await eventually(forgotten)


# Renewal


async def test_a_certificate_is_renewed_in_the_last_third_of_its_life(dcm: Dcm, clock: TravellingClock) -> None:
    first = await instantiated(dcm, "hq", "paris")
    old = await dcm.sign("acme+hq", valid=timedelta(days=90))
    await dcm.sign("acme+paris", valid=timedelta(days=365))
    await dcm.granted("hq")
    await dcm.granted("paris")
    before = await dcm.requests()
    clock.ahead = timedelta(days=61)

    await dcm.restart()

    async def renewed() -> bool:
        return (await dcm.info()).state is State.UPDATED

    await eventually(renewed)
    action = (await dcm.info()).actions[-1]
    now = await dcm.requests()
    assert action.reason == "new certificates for acme+hq"
    assert dcm.rsync.calls[-1] == ("update", f"{first}>{action.instance}")
    assert now["acme+hq"]["metadata"]["name"] == "lc-lc-ns-user-csr-2"
    assert now["acme+paris"] == before["acme+paris"]
    await listened_to(dcm)
    assert base64.b64encode(old) in (await dcm.granted("hq")).kubeconfig  # good until the next one comes
    new = await dcm.sign("acme+hq", valid=timedelta(days=180))

    async def replaced() -> bool:
        return base64.b64encode(new) in (await dcm.granted("hq")).kubeconfig

    await eventually(replaced)
    assert (await dcm.info()).instance == action.instance


async def test_a_request_that_can_get_no_answer_any_more_is_made_again(dcm: Dcm, clock: TravellingClock) -> None:
    await instantiated(dcm, "hq")
    await dcm.report("acme+hq", tell=False)
    clock.ahead = timedelta(hours=2)

    await dcm.restart()

    async def asked_again() -> bool:
        return (await dcm.requests())["acme+hq"]["metadata"]["name"] == "lc-lc-ns-user-csr-2"

    await eventually(asked_again)


async def test_an_update_replaces_a_request_that_was_denied(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    request = (await dcm.requests())["acme+hq"]
    denied = {"conditions": [{"type": "Denied", "status": "True", "message": "not here"}]}
    await dcm.report("acme+hq", {**request, "status": denied})

    refused = await dcm.get(f"{LC}/cluster-references/hq-ref/kubeconfig", expect=409)
    assert refused == (
        "There is no kubeconfig yet: waiting for the certificate: the signing request was denied: not here\n"
    )
    await dcm.post(f"{LC}/update", expect=202)
    assert (await dcm.requests())["acme+hq"]["metadata"]["name"] == "lc-lc-ns-user-csr-2"


# The download (8.3)


async def test_a_kubeconfig_is_asked_for_too_early(dcm: Dcm) -> None:
    path = f"{LC}/cluster-references/hq-ref/kubeconfig"
    assert await dcm.get(path, expect=404) == "Logical Cloud not found\n"
    await dcm.custom("hq")
    assert await dcm.get(f"{LC}/cluster-references/r/kubeconfig", expect=404) == "Cluster reference not found\n"
    assert await dcm.get(path, expect=409) == "Logical Cloud hasn't been instantiated\n"
    await dcm.post(f"{LC}/instantiate", expect=202)
    known = "The cluster doesn't contain status, please check if all services are up and running\n"
    assert await dcm.get(path, expect=409) == known
    assert await dcm.get(f"{LC}/kubeconfig", expect=409) == known
    await dcm.cluster("late")
    await dcm.post(f"{LC}/cluster-references", reference("late-ref", "late"))
    late = await dcm.get(f"{LC}/cluster-references/late-ref/kubeconfig", expect=409)
    assert late == "Cluster reference late-ref is not in force yet; update the Logical Cloud\n"


async def test_a_cloud_without_a_user_has_no_kubeconfig(dcm: Dcm) -> None:
    await dcm.instantiated("hq")

    answer = await dcm.get(f"{LC}/cluster-references/hq-ref/kubeconfig", expect=409)

    assert answer.startswith("A Logical Cloud of level 0 has no user")


async def test_the_kubeconfig_of_the_whole_cloud_has_a_context_for_each_cluster(dcm: Dcm) -> None:
    await instantiated(dcm, "hq", "paris", "rome")
    certificates = {name: await dcm.sign(f"acme+{name}") for name in ("hq", "paris")}

    answer = await dcm.client.get(f"{LC}/kubeconfig")
    made = yaml.safe_load(answer.content)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/yaml")
    assert made["current-context"] == "bob@hq-ref"
    assert [one["context"] for one in made["contexts"]] == [
        {"cluster": f"{name}-ref", "namespace": "lc-ns", "user": f"bob@{name}-ref"} for name in certificates
    ]
    assert {user["name"]: user["user"]["client-certificate-data"] for user in made["users"]} == {
        f"bob@{name}-ref": base64.b64encode(pem).decode() for name, pem in certificates.items()
    }


# Seen from outside


async def test_certificates_are_renewed_when_asked_for(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.sign("acme+hq")
    await dcm.granted("hq")

    await dcm.post(f"{LC}/renew", expect=202)

    assert (await dcm.requests())["acme+hq"]["metadata"]["name"] == "lc-lc-ns-user-csr-2"
    assert (await dcm.info()).actions[-1].reason == "new certificates for all clusters"
    await listened_to(dcm)
    new = await dcm.sign("acme+hq", valid=timedelta(days=400))

    async def replaced() -> bool:
        kept = (await dcm.get(f"{LC}/cluster-references/hq-ref"))["spec"]["certificate"]
        return base64.b64decode(kept) == new and base64.b64encode(new) in (await dcm.granted("hq")).kubeconfig

    await eventually(replaced)


async def test_a_cloud_of_level_0_has_nothing_to_renew(dcm: Dcm) -> None:
    await dcm.instantiated("hq")

    assert await dcm.refused(f"{LC}/renew", 409) == "A Logical Cloud of level 0 has no user, and so no certificates"


async def test_every_cloud_is_counted_with_where_it_stands(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.custom(name="idle")

    lines = (await dcm.client.get("/metrics")).text.splitlines()

    assert [line for line in lines if line.startswith("emco_logical_cloud{")] == [
        'emco_logical_cloud{deployed_status="Instantiated",name="lc",project="shop",ready_status="NotReady"} 1.0',
        'emco_logical_cloud{deployed_status="Created",name="idle",project="shop",ready_status="NotReady"} 1.0',
    ]
    assert any(line.startswith('emco_build{component="dcm"') for line in lines)


async def test_the_detail_of_the_status_says_until_when_the_certificate_is_valid(dcm: Dcm) -> None:
    await instantiated(dcm, "hq")
    await dcm.sign("acme+hq")
    await dcm.granted("hq")

    status = await dcm.get(f"{LC}/status?output=detail")

    (row,) = (row for row in status["clusters"][0]["resources"] if row["GVK"]["Kind"] == "CertificateSigningRequest")
    assert row["readyStatus"] == "Ready"
    assert row["reason"].startswith("the certificate is valid until 20")
