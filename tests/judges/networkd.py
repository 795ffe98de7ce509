"""A real systemd-networkd, of each of Debian's versions, reads the network that first boot has
written, in namespaces of its own: no line of its log may complain of a file, and the addresses
and routes have to be there afterwards.

usage: networkd.py NODEIMG_FIRSTBOOT FOLDER_OF_A_DEBIAN...

The kernel may lack a type of device (bond, vlan, vrf): then networkd's reading alone is judged,
and the report says so. Needs root.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firstboot import Image
from networks import CASES, MACS

# Lines of the log that may be, each with its reason.
EXPECTED = {
    r"-red\.network.*Gateway= without static address configured": "routes of a VRF are its own, as netplan writes them",
}

# Shell: $1 the Debian, $2 the folder of network files, $3 links "NAME MAC,...", $4 seconds.
SCRIPT = r"""
set -eu
debian=$1
mount -t tmpfs none "$debian/etc"
mount -t tmpfs none "$debian/run"
mount -t proc proc "$debian/proc"
mount --rbind /dev "$debian/dev"
# Read-only tells networkd that no udev will name the links.
mount -t sysfs -o ro sysfs "$debian/sys"
printf 'root:x:0:0::/:/bin/sh\nsystemd-network:x:998:998::/:/bin/sh\n' >"$debian/etc/passwd"
printf 'root:x:0:\nsystemd-network:x:998:\n' >"$debian/etc/group"
echo 0123456789abcdef0123456789abcdef >"$debian/etc/machine-id"
mkdir -p "$debian/etc/systemd/network" "$debian/run/systemd/netif"
chown 998:998 "$debian/run/systemd/netif"
# The links of this machine have a kind (veth), those of a real one have not.
for file in "$2"/*; do sed '/^Kind=!\*$/d' "$file" >"$debian/etc/systemd/network/${file##*/}"; done
ip link set lo up
for link in $3; do
    ip link add "${link%@*}" address "${link#*@}" type veth peer name "p-${link%@*}"
    ip link set "p-${link%@*}" up
done
export SYSTEMD_LOG_LEVEL=info SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0
chroot "$debian" /usr/lib/systemd/systemd-networkd >"$debian/run/log" 2>&1 &
networkd=$!
# It is done as soon as nothing changes any more.
before=
for _ in $(seq "$4"); do
    sleep 0.4
    now=$(ip address; ip route show table all; ip rule) || true
    [ "$now" != "$before" ] || break
    before=$now
done
{
    ip -j address
    ip -j route show table all
    ip -j -6 route show table all
    ip -j rule
} >"$debian/run/effect"
kill "$networkd"
wait "$networkd" || true
cat "$debian/run/log"
echo '== effect'
cat "$debian/run/effect"
"""
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child"]


def types_here():
    """The types of links that this kernel has."""
    script = "ip link add v0 type veth; for t in bond bridge dummy; do ip link add t-$t type $t && echo $t; done;"
    script += "ip link add t-vrf type vrf table 9 && echo vrf; ip link add link v0 name t-vlan type vlan id 5 && echo vlan"
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False)
    return set(done.stdout.split())


def rendered(program, case):
    """A folder with the files that first boot writes, or its refusal."""
    with Image(program) as image:
        image.seed("#cloud-config\nhostname: n\n", **{"network-config": case.text})
        if case.is_network_data:
            drive = "var/lib/nodeimg/seed/openstack/latest/"
            image.seed("", "")
            for name in ("user-data", "meta-data"):
                image.path("var/lib/nodeimg/seed/" + name).unlink()
            image.write(drive + "meta_data.json", json.dumps({"uuid": "i", "hostname": "n"}))
            image.write(drive + "network_data.json", case.text)
        if image.run() != 0:
            sys.exit(f"networkd: {case.name}: first boot refuses it: {image.printed}")
        return {path.name: path.read_text() for path in image.path("etc/systemd/network").iterdir()}


def run(debian, files, seconds):
    """The log, and the JSON of addresses, routes, IPv6 routes and rules."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        links = " ".join(f"{name}@{mac}" for name, mac in MACS.items())
        words = [*NAMESPACES, "sh", "-c", SCRIPT, "sh", debian, folder, links, str(2 * seconds)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    log, _, effect = done.stdout.partition("== effect\n")
    lines = effect.splitlines()
    if done.returncode or len(lines) < 4:
        sys.exit(f"networkd: {debian}: {done.stdout}{done.stderr}")
    return log, [json.loads(line) for line in lines[:4]]


def complaints(log):
    """Lines about a file, and what networkd did not do; a missing type of link is the kernel's."""
    mine = re.compile(r"/etc/systemd/network/[^ ]*:|ignoring|[Cc]ould not|[Ff]ailed to")
    kernels = re.compile(r"Operation not supported|root is network filesystem|Invalid argument.*netdev")
    found = [line for line in log.splitlines() if mine.search(line) and not kernels.search(line)]
    return [line for line in found if not any(re.search(expected, line) for expected in EXPECTED)]


def found(effect):
    addresses, routes, routes6, rules = effect
    seen = {f"{link['ifname']} {one['local']}/{one['prefixlen']}" for link in addresses for one in link["addr_info"]}
    for one in routes + routes6:
        words = [one["dst"]]
        for key, word in (("gateway", "via"), ("dev", "dev"), ("table", "table"), ("metric", "metric")):
            usual = {"table": ("main",), "metric": (0, 1024)}.get(key, ())
            if key in one and one[key] not in usual:
                words += [word, str(one[key])]
        seen.add(" ".join(words))
    return seen | {f"{one['priority']} {one['src']} {one['table']}" for one in rules}


def judge(program, debian, here):
    """The problems with this Debian's networkd."""
    problems, partly = [], []
    for case in CASES:
        log, effect = run(debian, rendered(program, case), 5)
        problems += [f"{case.name}: {line}" for line in complaints(log)]
        if case.types - here:
            partly.append(f"{case.name} (no {', '.join(sorted(case.types - here))})")
        wanted = () if case.types - here and not case.is_network_data else case.addresses + case.routes + case.rules
        missing = set(wanted) - found(effect)
        if missing:
            problems.append(f"{case.name}: is not there: {sorted(missing)}; there is {sorted(found(effect))}\n{log}")
    left = f"; read only, as this kernel lacks a type: {', '.join(partly)}" if partly else ""
    print(f"network: {Path(debian).name}: {len(CASES)} networks, {len(problems)} problems{left}")
    return problems


def main():
    program, *debians = sys.argv[1:]
    if os.geteuid() != 0:
        sys.exit("networkd: this needs root, for namespaces")
    here = types_here()
    # They wait more than they compute.
    with ThreadPoolExecutor(len(debians)) as pool:
        problems = sum(pool.map(lambda debian: judge(program, debian, here), debians), [])
    print(*problems, sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
