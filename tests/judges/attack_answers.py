"""What a server of seeds answers to a node that is set up, and a foreign medium that is there for
one boot: first boot as on a real machine, in namespaces of its own.

Any answer but a whole, valid seed of a new instance is a warning, and the node starts, at most
ten seconds later.
"""

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from firstboot import SETTINGS, folder
from lying_server import LIES

HERE = Path(__file__).parent
# A set-up node waits this long for a service, and a busy machine needs time of its own.
SECONDS = 10 + 5

# Shell: $1 the root, $2 the server's script, $3 the lie, $4 Python.
SERVED = r"""
set -eu
root=$1
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
# An interface that is up: without one, no service is asked.
ip link add d0 type veth peer name d1
ip addr add 10.9.9.9/24 dev d0
ip link set d0 up
ip link set d1 up
"$4" -B "$2" "$3" >"$root/ready" &
server=$!
while [ ! -s "$root/ready" ]; do sleep 0.05; done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --bind "$root/cmdline" "$root/proc/cmdline"
begun=$(date +%s%N)
status=0
timeout 120 chroot "$root" /usr/bin/firstboot run >"$root/said" 2>&1 || status=$?
echo "$status $((($(date +%s%N) - begun) / 1000000))"
kill "$server"
"""

# Shell: $1 the root, then a name of a seed for each boot, or `none`.
BOOTED = r"""
set -eu
root=$1
shift
ip link set lo up
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --bind "$root/cmdline" "$root/proc/cmdline"
for seed in "$@"; do
    rm -rf "$root/var/lib/nodeimg/seed"
    find "$root/run" -mindepth 1 -delete
    [ "$seed" = none ] || cp -r "$root/seeds/$seed" "$root/var/lib/nodeimg/seed"
    status=0
    chroot "$root" /usr/bin/firstboot network >"$root/said" 2>&1 || status=$?
    chroot "$root" /usr/bin/firstboot run >>"$root/said" 2>&1 || status=$?
    echo "$status $(ls "$root/etc/systemd/network" | tr '\n' ' ')"
done
"""
NAMESPACES = ["unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


class Machine:
    """A root that a program can be run in, as `/`."""

    def __init__(self, program, command_line="quiet", **settings):
        self.root = Path(tempfile.mkdtemp(prefix="nodeimg-machine-", dir=folder()))
        for name in ("proc", "sys", "dev", "run", "tmp", "etc/systemd/network", "var/lib/nodeimg", "usr/bin", "seeds"):
            (self.root / name).mkdir(parents=True)
        self.write("usr/lib/nodeimg/firstboot.json", json.dumps(SETTINGS | settings))
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        self.write("cmdline", command_line + "\n")
        shutil.copy(program, self.root / "usr/bin/firstboot")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, script, *words):
        """What the script prints, line by line."""
        done = subprocess.run(
            [*NAMESPACES, "sh", "-c", script, "sh", self.root, *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout.splitlines()

    def said(self):
        return (self.root / "said").read_text(errors="replace")[:500]


SOURCES = {
    "nocloud": ("quiet ds=nocloud;s=http://169.254.169.254/x/", []),
    "openstack": ("quiet", ["openstack"]),
    "ec2": ("quiet", ["ec2"]),
}


def served(program, source, lie):
    """A node that was set up from this source, and its server now."""
    line, metadata = SOURCES[source]
    with Machine(program, line, metadata=metadata, seed_wait=4) as machine:
        machine.write("etc/hostname", "web\n")
        machine.write("etc/hosts", "127.0.0.1 localhost web\n")
        files = ["/etc/hostname", "/etc/hosts"]
        stamp = {"version": 1, "instance_id": "i-1", "host_name": "web", "plan_digest": "", "files": files}
        machine.write("var/lib/nodeimg/instance.json", json.dumps(stamp))
        status, milliseconds = machine.run(SERVED, HERE / "lying_server.py", lie, sys.executable)[-1].split()
        if status != "0":
            return f"the node is lost: {machine.said()}"
        if (machine.root / "etc/hostname").read_text() != "web\n":
            return "the node has another name"
        seconds = int(milliseconds) / 1000
        return f"it starts {seconds:.1f} s later" if seconds > SECONDS else None


def fresh(program, source, lie):
    """A node that is not set up takes what is whole, however it is sent."""
    line, metadata = SOURCES[source]
    with Machine(program, line, metadata=metadata, seed_wait=4) as machine:
        status, _ = machine.run(SERVED, HERE / "lying_server.py", lie, sys.executable)[-1].split()
        return None if status == "0" else f"it is not set up: {machine.said()}"


NETWORK = "version: 2\nethernets:\n  e: {match: {macaddress: '52:54:00:00:00:01'}, addresses: [10.0.0.2/24], optional: true}\n"
FOREIGN = {
    "a host name that is none": ("instance-id: b\n", "#cloud-config\nhostname: B_WRONG\n", None),
    "no YAML": ("instance-id: b\n", "#cloud-config\n[\n", None),
    "a network that is none": ("instance-id: b\n", "#cloud-config\nhostname: b\n", "version: 9\n"),
    "a path that cannot be": ("instance-id: b\n", "#cloud-config\nwrite_files: [{path: /etc/passwd/x}]\n", None),
}


def foreign_medium(program, name):
    """The node's own network stays, and so does the node."""
    with Machine(program) as machine:
        seeds = {"own": ("instance-id: a\n", "#cloud-config\nhostname: a\nruncmd: [['true']]\n", NETWORK)}
        for seed, parts in (seeds | {"foreign": FOREIGN[name]}).items():
            for file, text in zip(("meta-data", "user-data", "network-config"), parts, strict=True):
                if text is not None:
                    machine.write(f"seeds/{seed}/{file}", text)
        boots = machine.run(BOOTED, "own", "foreign", "none", "own")
        wrong = [f"boot {number}: {boot}" for number, boot in enumerate(boots) if boot != boots[0]]
        if not boots[0].startswith("0 ") or "nodeimg" not in boots[0]:
            return f"its own seed is not taken: {boots[0]}"
        return f"it began with {boots[0]!r}, then {wrong}" if wrong else None


# In a short run, the ones that have cost nodes.
SHORT = ["good", "status 404", "status 401", "status 204", "redirect", "html", "garbage", "silent"]


def attacks(program, rng, count):
    del rng
    for name in FOREIGN:
        yield f"a foreign medium: {name}", functools.partial(foreign_medium, program, name)
    for source in SOURCES:
        chosen = LIES if count >= 1000 else SHORT
        for lie in chosen:
            if lie != "another instance":
                yield f"{source}: {lie}", functools.partial(served, program, source, lie)
        for lie in ("good", "chunked, kept open", "kept open"):
            yield f"{source}, fresh: {lie}", functools.partial(fresh, program, source, lie)
