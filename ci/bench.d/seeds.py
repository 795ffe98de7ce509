"""`nodeimg seed new --inventory`: a thousand nodes of the hard way, each with its keys and certificates."""

import shutil
import subprocess

from measure import alternating

NODES = 1000


def inventory(folder):
    """A CA and a list of machines that share everything but name, address and pods."""
    (folder / "nodes.csv").write_text(
        "host_name,node_ip,pod_subnet\n"
        + "".join(f"node-{number},10.64.0.1-10.64.15.254,10.200.0.0/16 by /26\n" for number in range(NODES))
    )
    shared = ["--api-server", "https://server.kubernetes.local:6443", "--hosts", "server.kubernetes.local=10.240.0.1"]
    return [*shared, "--ca", str(folder / "ca/ca.crt"), "--ca-key", str(folder / "ca/ca.key")]


def measure_seeds(nodeimg, work, runs):
    """Runs of writing all seeds, and of finding them all in place; each seed's two certificates
    are signed in either."""
    folder = work / "inventory"
    folder.mkdir()
    subprocess.run([nodeimg, "--quiet", "seed", "ca", str(folder / "ca")], check=True)
    shared = inventory(folder)
    out = folder / "seeds"
    command = [nodeimg, "--quiet", "seed", "new", "--inventory", str(folder / "nodes.csv"), str(out), *shared]
    new = alternating(runs, {"new": (lambda: shutil.rmtree(out, ignore_errors=True), command)})["new"]
    again = alternating(runs, {"again": (lambda: None, command)})["again"]
    made = len(list(out.glob("*/user-data")))
    if made != NODES:
        raise SystemExit(f"bench: error: {made} seeds instead of {NODES}")
    return new, again
