"""First boot of a hard-way node: a seed with real certificates, an image root
on a tmpfs, and runs of the static binary on it; beside it, cloud-init writing
the same files."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cloud_init
from cloud_init import CloudInit
from measure import Runs, once

USER_DATA = """#cloud-config
hostname: node-0
nodeimg:
  node_ip: 192.168.10.101
  pod_subnet: 10.200.0.0/24
  api_server: https://server.kubernetes.local:6443
  hosts: {{server.kubernetes.local: 192.168.10.100}}
  labels: {{zone: a}}
  ca: {ca}
  kubelet:
    cert: {kubelet_crt}
    key: {kubelet_key}
  kube_proxy:
    cert: {proxy_crt}
    key: {proxy_key}
"""


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def new_key(directory, name, subject):
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(directory, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)


def certificates(directory):
    new_key(directory, "ca", "/CN=kubernetes")
    openssl(directory, "x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "30", "-out", "ca.crt")
    for name, subject in (("kubelet", "/O=system:nodes/CN=system:node:node-0"), ("proxy", "/CN=system:kube-proxy")):
        new_key(directory, name, subject)
        extensions = directory / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:node-0,IP:192.168.10.101\nextendedKeyUsage=clientAuth,serverAuth\n")
        signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
        openssl(
            directory, "x509", "-req", "-in", f"{name}.csr", *signer,
            "-days", "30", "-extfile", extensions.name, "-out", f"{name}.crt",
        )


def make_seed(directory):
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        certificates(made)
        # A JSON string is a YAML string.
        text = {
            name.replace(".", "_"): json.dumps((made / name).read_text())
            for name in ("kubelet.crt", "kubelet.key", "proxy.crt", "proxy.key")
        }
        text["ca"] = json.dumps((made / "ca.crt").read_text())
    directory.mkdir()
    (directory / "meta-data").write_text("instance-id: bench-0\n")
    (directory / "user-data").write_text(USER_DATA.format(**text))


def programs(directory, names):
    """What first boot never reads."""
    return [name for name in names if (path := Path(directory) / name).is_file() and path.stat().st_size > 2**20]


def tmpfs():
    with open("/proc/mounts", encoding="ascii", errors="replace") as mounts:
        found = {fields[1] for fields in map(str.split, mounts) if fields[2] == "tmpfs"}
    if "/dev/shm" not in found:
        sys.exit("bench: error: /dev/shm is not a tmpfs here")
    return "/dev/shm"


def measure_firstboot(binary, tree, count):
    """(fresh runs, second runs, cloud-init's runs or nothing), each on its own root."""
    fresh, again, other = Runs(), Runs(), None
    with tempfile.TemporaryDirectory(prefix="nodeimg-bench.", dir=tmpfs()) as work:
        seed = Path(work) / "seed"
        make_seed(seed)
        for turn in range(count + 1):
            root = Path(work) / f"root-{turn}"
            shutil.copytree(tree, root, symlinks=True, ignore=programs)
            command = [binary, "--root", str(root), "--seed", str(seed), "--assume-address", "192.168.10.101/24"]
            for runs, outcome in ((fresh, "applied"), (again, "unchanged")):
                once(command, runs if turn else None)
                verdict = json.loads((root / "run/nodeimg/result.json").read_text())
                if verdict["outcome"] != outcome:
                    sys.exit(f"bench: error: first boot said {verdict['outcome']}, expected {outcome}")
                if other is None and cloud_init.version():
                    other = CloudInit(Path(work), root, verdict["files"])
            if other:
                other.run(counts=turn > 0)
    return fresh, again, other.runs if other else None
