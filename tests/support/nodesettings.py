"""What containerd and kubelet of a test's node are told: addresses, settings, how their name spaces are laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.testbed import engine

HOST, NODE, PODS = "10.213.255.1", "10.213.255.2", "10.213.0.0/24"
"""This machine as the node sees it, the node, its pods."""
NAME = "emco-test-node"
PAUSE = "registry.invalid/pause:1"
RUN = """
set -e
mkdir "$1" && mount --rbind /sys/fs/cgroup "$1" && mount -t sysfs sysfs /sys && mount --rbind "$1" /sys/fs/cgroup
mount -t tmpfs tmpfs /run && mkdir /run/netns /run/lock
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /var/lib
for value in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
        kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    seen=$(mktemp /run/value.XXXX) && echo "${value#*=}" > "$seen" && mount --bind "$seen" "/proc/sys/${value%=*}"
done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
exec containerd --config "$2"
"""
"""kubelet wants these values of the kernel, which are those of the whole machine: so it sees them, and sets none."""
Json = dict[str, Any]


def containerd_settings(folder: Path) -> str:
    return f"""
version = 2
root = "{folder}/containerd"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{engine.NETWORK_PLUGINS}"
    conf_dir = "{folder}/net"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def network(folder: Path) -> Json:
    addresses = {
        "type": "host-local",
        "dataDir": f"{folder}/addresses",
        "subnet": PODS,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def kubelet_settings(folder: Path) -> Json:
    nothing = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "clusterDNS": [HOST],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "evictionHard": nothing,
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "podLogsDir": f"{folder}/pods",
        "protectKernelDefaults": True,
        "resolvConf": f"{folder}/resolv.conf",
        "volumePluginDir": f"{folder}/plugins",
    }
