"""How long a new node takes from the start of QEMU until it is Ready in a real
cluster and until its first pod runs: the disk that nodeimg builds, and a Debian
made by hand with the same programs (ci/bench.d/by-hand), one machine at a time and in
turn, with the same QEMU settings. Runs inside the cluster's namespace, started
by `ci/bench cluster`. Prints Markdown."""

import argparse
import json
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

API = "https://10.240.0.1:6443"
GOAL = 0.6
# An emulated machine on a busy host.
PATIENCE = 1500
# As in ci/bench.d/by-hand, which has the reasons.
WORDS = (
    "systemd.default_timeout_start_sec=300 systemd.default_device_timeout_sec=300 "
    "lsm=landlock,lockdown,yama,integrity,apparmor"
)
# A DaemonSet's pod, so that every node has one as soon as it exists. Its only image
# is the one that every node must have anyway.
PAUSE = "registry.k8s.io/pause:3.10.2"
DAEMON_SET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "bench"},
    "spec": {
        "selector": {"matchLabels": {"app": "bench"}},
        "template": {
            "metadata": {"labels": {"app": "bench"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}],
            },
        },
    },
}
# Printed on the console when first boot is done, in microseconds of the machine.
TIMES = ["ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic"]
UNIT = f"""[Unit]
DefaultDependencies=no
After=nodeimg-firstboot.service
ConditionPathExists=!/etc/initrd-release
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl show nodeimg-firstboot.service {" ".join("-p " + name for name in TIMES)} >/dev/console'
"""


class Api:
    """The API server, as the administrator."""

    def __init__(self, state):
        self.tls = ssl.create_default_context(cafile=state / "pki/ca.crt")
        self.tls.load_cert_chain(state / "pki/admin.crt", state / "pki/admin.key")
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.tls)]
        self.opener = urllib.request.build_opener(*handlers)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(API + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with self.opener.open(request, timeout=60) as answer:
            return json.load(answer)

    def node_is_ready(self, name):
        try:
            conditions = self.ask("GET", f"/api/v1/nodes/{name}")["status"].get("conditions", [])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def pod_runs(self, name):
        pods = self.ask("GET", f"/api/v1/namespaces/default/pods?fieldSelector=spec.nodeName={name}")["items"]
        return any(
            one["type"] == "Ready" and one["status"] == "True"
            for pod in pods
            for one in pod["status"].get("conditions", [])
        )

    def forget(self, name):
        self.ask("DELETE", f"/api/v1/nodes/{name}")


class Node:
    """What a seed is made of: name, address, certificates."""

    def __init__(self, cluster, number):
        self.name = f"bench-{number}"
        self.address = f"10.240.0.{20 + number}"
        self.subnet = f"10.200.{number}.0/24"
        self.mac = f"52:54:00:f0:01:{number:02x}"
        self.tap = f"bench{number}"
        said = subprocess.run([cluster, "node-certs", self.name, self.address], check=True, capture_output=True, text=True)
        self.files = {path.name: path.read_text() for path in Path(said.stdout.strip()).iterdir()}
        subprocess.run([cluster, "tap", self.tap], check=True)

    def seed(self, directory, user_data):
        """JSON is YAML."""
        link = {
            "match": {"macaddress": self.mac},
            "addresses": [f"{self.address}/24"],
            "routes": [{"to": "0.0.0.0/0", "via": "10.240.0.1"}],
        }
        directory.mkdir()
        (directory / "meta-data").write_text(f"instance-id: i-{self.name}\n")
        (directory / "network-config").write_text(json.dumps({"version": 2, "ethernets": {"lan": link}}))
        (directory / "user-data").write_text("#cloud-config\n" + json.dumps(user_data, indent=1))
        return directory

    def ours(self, directory):
        def pair(program):
            return {"cert": self.files[program + ".crt"], "key": self.files[program + ".key"]}

        values = {"node_ip": self.address, "pod_subnet": self.subnet, "api_server": API, "ca": self.files["ca.crt"]}
        values |= {"kubelet": pair("kubelet"), "kube_proxy": pair("kube-proxy")}
        return self.seed(directory, {"hostname": self.name, "nodeimg": values})

    def by_hand(self, directory):
        bridge = {
            "cniVersion": "1.0.0", "name": "bridge", "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": self.subnet}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }
        contents = {
            "/etc/cni/net.d/10-bridge.conf": json.dumps(bridge),
            "/var/lib/kubelet/ca.crt": self.files["ca.crt"],
            "/var/lib/kubelet/kubelet.crt": self.files["kubelet.crt"],
            "/var/lib/kubelet/kubelet.key": self.files["kubelet.key"],
            "/var/lib/kubelet/kubeconfig": self.kubeconfig("kubelet"),
            "/var/lib/kube-proxy/kubeconfig": self.kubeconfig("kube-proxy"),
        }
        files = [{"path": path, "content": text, "permissions": "0600"} for path, text in contents.items()]
        commands = ["ctr -n k8s.io images import /root/pause.tar", "systemctl enable --now kubelet kube-proxy"]
        return self.seed(directory, {"hostname": self.name, "write_files": files, "runcmd": commands})

    def kubeconfig(self, program):
        def data(name):
            return b64encode(self.files[name].encode()).decode()

        user = {"client-certificate-data": data(program + ".crt"), "client-key-data": data(program + ".key")}
        cluster = {"server": API, "certificate-authority-data": data("ca.crt")}
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "own",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": "own", "user": user}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        })  # fmt: skip


def smbios():
    # A comma that stands alone begins QEMU's next option.
    kernel = WORDS.replace(",", ",,")
    words = [
        f"io.systemd.credential.binary:systemd.extra-unit.bench.service={b64encode(UNIT.encode()).decode()}",
        f"io.systemd.stub.kernel-cmdline-extra=systemd.wants=bench.service {kernel}",
    ]
    return [part for word in words for part in ("-smbios", f"type=11,value={word}")]


class Bench:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.api = Api(Path(args.state))
        self.nodes = 0

    def disk(self):
        """Ours, of the recipe whose artifacts the mirror has."""
        out = self.work / "disk"
        command = [self.args.nodeimg, "--quiet", "--store", self.args.base_store, "--mirror", f"https://=file://{self.args.mirror}/"]
        command += ["build", "--recipe", self.args.recipe, "--arch", "amd64", "--output", "disk"]
        command += ["--firstboot", f"amd64={self.args.firstboot}", "--out", str(out)]
        subprocess.run(command, check=True)
        (image,) = out.iterdir()
        return image

    def boot(self, image, seed, node, more):
        """(seconds to Ready, seconds to the pod, what the console said)."""
        console = self.work / f"{node.name}.console"
        command = [self.args.nodeimg, "run", str(image), "--arch", "amd64", "--seed", str(seed), "--console", str(console)]
        command += ["--timeout", str(PATIENCE), "--", *more]
        command += ["-netdev", f"tap,id=lan,ifname={node.tap},script=no,downscript=no"]
        command += ["-device", f"virtio-net-pci,netdev=lan,romfile=,mac={node.mac}"]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            times = []
            for reached in (self.api.node_is_ready, self.api.pod_runs):
                while not reached(node.name):
                    if child.poll() is not None:
                        said = child.stderr.read().decode(errors="replace")
                        tail = console.read_text(errors="replace")[-2000:] if console.exists() else ""
                        sys.exit(f"bench: error: {node.name} ({image}) did not become Ready:\n{tail}\n{said}")
                    time.sleep(0.25)
                times.append(time.perf_counter() - begun)
            child.terminate()
            child.stderr.read()
        self.api.forget(node.name)
        return *times, console.read_text(errors="replace")

    def one(self, name, image):
        self.nodes += 1
        node = Node(self.args.cluster, self.nodes)
        directory = self.work / f"seed-{node.name}"
        if name == "nodeimg":
            ready, pod, said = self.boot(image, node.ours(directory), node, smbios())
            found = [re.search(rf"{stamp}=(\d+)", said) for stamp in TIMES]
            if not all(found):
                sys.exit("bench: error: the console does not tell how long first boot took")
            start, end = (int(one[1]) / 1e6 for one in found)
            return ready, pod, end - start
        ready, pod, _ = self.boot(image / "disk.img", node.by_hand(directory), node, [])
        return ready, pod, None

    def measure(self):
        self.api.ask("POST", "/apis/apps/v1/namespaces/default/daemonsets", DAEMON_SET)
        images = {"nodeimg": self.disk(), "by hand": Path(self.args.by_hand)}
        times = {name: [] for name in images}
        for _ in range(self.args.runs):
            for name, image in images.items():
                times[name].append(self.one(name, image))
        return times


def middle(runs, column):
    return statistics.median(run[column] for run in runs)


def report(times):
    ours, theirs = times["nodeimg"], times["by hand"]
    print("## From the start of QEMU, a new node in a real cluster\n")
    print("| | Ready | first pod Ready | of it first boot |\n|---|---|---|---|")
    for name, runs in times.items():
        own = f"{middle(runs, 2):.1f} s" if runs[0][2] is not None else "-"
        print(f"| {name} | {middle(runs, 0):.0f} s | {middle(runs, 1):.0f} s | {own} |")
    met = True
    print("\n| what | goal | measured | |\n|---|---|---|---|")
    for column, what in enumerate(["node Ready", "first pod Ready"]):
        share = middle(ours, column) / middle(theirs, column)
        met = met and share <= GOAL * 1.5
        verdict = "ok" if share <= GOAL else "MISSED"
        print(f"| {what}, beside by hand | at most {GOAL} | {share:.2f} | {verdict} |")
    return met


def main():
    parser = argparse.ArgumentParser(prog="ci/bench cluster")
    for name in ("nodeimg", "firstboot", "mirror", "recipe", "base-store", "work", "state", "cluster", "by-hand"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    if args.runs < 1:
        sys.exit("bench: error: --runs must be at least 1")
    with tempfile.TemporaryDirectory(prefix="bench.", dir=args.work) as work:
        met = report(Bench(args, Path(work)).measure())
    if args.check and not met:
        sys.exit(1)


main()
