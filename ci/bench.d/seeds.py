"""`nodeimg seed new --inventory` of a thousand workers: their subnets counted up, each with
certificates and keys for its kubelet and its kube-proxy."""

import shutil
import subprocess
import sys

from measure import alternating

NODES = 1000


def inventory(path):
    lines = ["host_name,node_ip,mac"]
    for node in range(NODES):
        high, low = divmod(node, 250)
        lines.append(f"node-{node},10.16.{high}.{low + 1},52:54:00:00:{high:02x}:{low:02x}")
    path.write_text("\n".join(lines) + "\n")


def measure_seeds(nodeimg, work, runs):
    """{"new": with certificates, "again": nothing changed, "check": of the inventory}."""
    folder = work / "seeds"
    folder.mkdir()
    nodes, authority, out = folder / "nodes.csv", folder / "ca", folder / "out"
    inventory(nodes)
    subprocess.run([nodeimg, "--quiet", "seed", "ca", str(authority)], check=True)
    same = ["--ca", str(authority / "ca.crt"), "--ca-key", str(authority / "ca.key")]
    same += ["--api-server", "https://server.kubernetes.local:6443", "--hosts", "server.kubernetes.local=192.168.10.100"]
    # A part of the pod network of recipe hard-way.
    same += ["--pod-subnet", "10.200.0.0/16 by /26"]
    new = [nodeimg, "--quiet", "seed", "new", "--inventory", str(nodes), *same, str(out)]

    def nothing():
        shutil.rmtree(out, ignore_errors=True)
        # The record of what was counted up and signed.
        for record in folder.glob("nodes.*"):
            if record != nodes:
                record.unlink()

    def written():
        found = sum(1 for seed in out.glob("*/user-data") if "BEGIN CERTIFICATE" in seed.read_text())
        if found != NODES:
            sys.exit(f"bench: error: {found} of {NODES} seeds have certificates")

    return alternating(runs, {"new": (nothing, new), "again": (written, new)})
