"""What the resource synchronizer can be told beyond what every service can. Times in seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emco_common.kube.settings import KubeconfigSettings
from emco_common.settings import Port
from emco_rsync.apply.site import ApplySettings
from emco_rsync.delivery.azure import AzureSettings
from emco_rsync.delivery.git.repository import GitSettings
from emco_rsync.delivery.hosting import AgentSettings
from emco_rsync.reach.links import LinkSettings
from emco_rsync.reach.ways import DirectSettings
from emco_rsync.watch.cluster import RESYNC_SECONDS
from emco_rsync.watch.drift import MANAGERS_LEFT_ALONE, LeaveAlone


class RsyncSettings(KubeconfigSettings):
    http_port: Port = Field(9023, description="Port of health and metrics, the published default.")
    grpc_port: Port = Field(9031, description="gRPC port, the published default.")
    nice: int = Field(
        10,
        ge=0,
        le=19,
        description="How far the process gives way to others on the same machine: somebody waits for an answer of the "
        "API, nobody for a delivery. With 10 it has a tenth of a processor that others want whole, enough for its "
        "leases. Not of `emco up`.",
    )
    cluster_connections: int = Field(
        8,
        gt=0,
        le=64,
        description="Calls at a time to one cluster. More gains little.",
    )
    cluster_reads: int = Field(
        4, gt=0, le=64, description="Calls at a time to one cluster that only look, beside those that change something."
    )
    calls_at_once: int = Field(
        128,
        gt=0,
        description="Calls at a time over all clusters, apart from those that last longer than a tenth of a second.",
    )
    cluster_timeout: float = Field(
        15.0,
        gt=0,
        description="Deadline of one call to a cluster. Longer than the default of admission webhooks, 10 s.",
    )
    probe_timeout: float = Field(5.0, gt=0, description="Deadline of the call that tests whether a cluster is there.")
    max_backoff: float = Field(
        30.0, gt=0, description="Longest pause between two attempts, at a cluster that is away or at one object."
    )
    max_retries: int | None = Field(
        None, ge=0, description="Give up on a cluster after so many tests in a row; unset waits until it is back."
    )
    give_up_after: float = Field(
        600.0, gt=0, description="How long an object that the cluster cannot take right now is tried again."
    )
    hook_timeout: float = Field(300.0, gt=0, description="How long a hook may take. Helm's own default.")
    ready_timeout: float = Field(
        3600.0,
        gt=0,
        description="How long an app waits for another one to be ready, apart from time in which a cluster is away. "
        "A deployment may say otherwise.",
    )
    hook_log_lines: int = Field(
        20, ge=0, le=200, description="Lines at the end of a failed hook's log that its reason tells; 0 tells none."
    )
    removal_timeout: float = Field(
        600.0, gt=0, description="How long an object may take to go, finalizers included, before that counts as failed."
    )
    crd_timeout: float = Field(
        60.0, gt=0, description="How long a definition may take until the cluster serves it, before that has failed."
    )
    watch_resync: float = Field(
        RESYNC_SECONDS,
        gt=0,
        description="What is watched is listed anew within so many seconds, so that no missed change stays missed.",
    )
    monitor: Literal["auto", "off"] = Field(
        "auto", description="Ask the monitor of clusters that serve ResourceBundleStates for its reports, or never."
    )
    lease: float = Field(
        3.0,
        ge=1,
        description="How long a deployment waits for its replica that died before another goes on with it, and how "
        "long a replica that has lost the bus still writes to clusters. etcd knows none below 2.",
    )
    advertise: str = Field(
        "", description="`host:port` at which other replicas reach the gRPC of this one; by default its name and port."
    )
    git_poll: float = Field(
        60.0, gt=0, description="How often a repository is asked for reports of its clusters. Monitors are no quicker."
    )
    git_timeout: float = Field(60.0, gt=0, description="Deadline of one run of git: a fetch, a push.")
    git_gather: float = Field(
        0.05, ge=0, description="Changes that come within so long go into one commit: enough for all apps of an event."
    )
    git_report_grace: float = Field(
        120.0, ge=0, description="How long a monitor has to remove its report of an app that is gone; then rsync does."
    )
    git_directory: str = Field("", description="Where clones are kept; by default where temporary files are.")
    git_allow_http: bool = Field(
        False, description="Take repositories without TLS, whose credentials are readable on the way."
    )
    azure_login: str = Field("https://login.microsoftonline.com", description="Where Azure gives tokens.")
    azure_management: str = Field("https://management.azure.com", description="Where Azure Arc is configured.")
    agents_port: Port | None = Field(
        None, description="Port for agents of clusters that cannot be reached, 9034 by custom; unset receives none."
    )
    agents_cert_file: str = Field("", description="Certificate of that port, PEM. Needed but on loopback.")
    agents_key_file: str = Field("", description="Private key of that certificate, PEM.")
    agents_client_ca_file: str = Field("", description="CA of the agents, PEM, where they need certificates as well.")
    agents_plaintext: bool = Field(
        False,
        description="No TLS on that port: a proxy in front ends it, and says for whom it speaks (x-forwarded-for).",
    )
    force_conflicts: bool = Field(
        True, description="Take fields over that another manager owns. EMCO has always done so; false reports them."
    )

    leave_alone: str = Field(
        ",".join(MANAGERS_LEFT_ALONE),
        description="Field managers whose fields are never taken over, nor their changes held to be drift: names or "
        "patterns (`*`), separated by commas. What is set by way of `scale` is left in any case.",
    )

    @property
    def left_alone(self) -> LeaveAlone:
        return LeaveAlone(tuple(name.strip() for name in self.leave_alone.split(",") if name.strip()))

    @property
    def link(self) -> LinkSettings:
        return LinkSettings(
            connections=self.cluster_connections,
            reads=self.cluster_reads,
            calls=self.calls_at_once,
            probe_timeout=self.probe_timeout,
            max_failures=self.max_retries,
        )

    @property
    def direct(self) -> DirectSettings:
        return DirectSettings(
            connections=self.cluster_connections + self.cluster_reads,
            timeout=self.cluster_timeout,
            policy=self.kubeconfigs,
        )

    @property
    def agents(self) -> AgentSettings:
        return AgentSettings(
            self.host,
            self.agents_port,
            cert_file=self.agents_cert_file,
            key_file=self.agents_key_file,
            client_ca_file=self.agents_client_ca_file,
            plaintext=self.agents_plaintext,
            timeout=self.cluster_timeout,
        )

    @property
    def git(self) -> GitSettings:
        return GitSettings(
            poll=self.git_poll,
            timeout=self.git_timeout,
            gather=self.git_gather,
            linger=self.git_report_grace,
            directory=self.git_directory,
            allow_http=self.git_allow_http,
        )

    @property
    def azure(self) -> AzureSettings:
        return AzureSettings(login=self.azure_login, management=self.azure_management)

    @property
    def apply(self) -> ApplySettings:
        return ApplySettings(
            give_up_after=self.give_up_after,
            hook_timeout=self.hook_timeout,
            ready_timeout=self.ready_timeout,
            hook_log_lines=self.hook_log_lines,
            removal_timeout=self.removal_timeout,
            crd_timeout=self.crd_timeout,
            force=self.force_conflicts,
            leave_alone=self.left_alone,
        )
