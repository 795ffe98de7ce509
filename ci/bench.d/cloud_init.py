"""cloud-init doing what first boot did: the same host name and the same files,
as `write_files` of a NoCloud seed.

Debian's cloud-init of this machine runs its four stages as a boot does, in user
and mount namespaces with their own root on a tmpfs: this machine's /usr, and
of its /etc what cloud-init reads. Its configuration is cut down to the NoCloud
source and the modules that the seed needs, and its network is left alone, so it
does less than in a real boot. It checks no certificate, address or subnet and
creates no kubeconfig: it gets the finished files.
"""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from measure import Runs

SCRIPT = r"""
set -eu
root=$1 seed=$2
mount -t tmpfs none "$root"
cd "$root"
mkdir -p usr proc dev sys run tmp var/tmp var/log var/lib/cloud/seed/nocloud etc/cloud/cloud.cfg.d
mount --bind /usr usr
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
for name in passwd group debian_version os-release nsswitch.conf cloud/templates; do
    [ ! -e "/etc/$name" ] || cp -rL "/etc/$name" "etc/$name"
done
cp "$seed"/meta-data "$seed"/user-data var/lib/cloud/seed/nocloud/
cp "$seed"/paths tmp/paths
cat >etc/cloud/cloud.cfg <<X
datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [set_hostname, write-files]
cloud_config_modules: []
cloud_final_modules: []
system_info: {distro: debian, paths: {cloud_dir: /var/lib/cloud/, templates_dir: /etc/cloud/templates/}}
X
exec chroot . /bin/sh -euc '
begun=$(date +%s%N)
{
    cloud-init init --local
    cloud-init init
    cloud-init modules --mode=config
    cloud-init modules --mode=final
} >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
echo $(($(date +%s%N) - begun))
xargs sha256sum </tmp/paths
'
"""

NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--pid", "--fork", "--kill-child"]


def version():
    """`22.4.2`, or nothing if cloud-init is not installed."""
    try:
        ran = subprocess.run(["cloud-init", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (ran.stdout + ran.stderr).split()[-1]


def make_seed(directory, root, files):
    """A seed that asks for what first boot wrote below `root`."""
    written, sums = [], {}
    for path in files:
        made = root / path.lstrip("/")
        mode = f"{made.stat().st_mode & 0o7777:04o}"
        written.append({"path": path, "permissions": mode, "content": made.read_text()})
        sums[path] = sha256(made.read_bytes()).hexdigest()
    directory.mkdir()
    (directory / "meta-data").write_text("instance-id: bench-0\n")
    seed = {"hostname": "node-0", "write_files": written}
    (directory / "user-data").write_text("#cloud-config\n" + json.dumps(seed) + "\n")
    (directory / "paths").write_text("\n".join(sums) + "\n")
    return sums


class CloudInit:
    """Runs on one seed."""

    def __init__(self, work, root, files):
        self.root = work / "cloud-init-root"
        self.root.mkdir()
        self.seed = work / "cloud-init-seed"
        self.sums = make_seed(self.seed, root, files)
        self.runs = Runs()

    def run(self, counts):
        ran = subprocess.run(
            [*NAMESPACES, "sh", "-c", SCRIPT, "sh", self.root, self.seed],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )
        if ran.returncode != 0:
            sys.exit(f"bench: error: cloud-init failed:\n{ran.stdout}{ran.stderr}")
        nanoseconds, *lines = ran.stdout.splitlines()
        found = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
        if found != self.sums:
            sys.exit(f"bench: error: cloud-init wrote other files than first boot:\n{ran.stdout}")
        if counts:
            self.runs.wall.append(int(nanoseconds) / 1e9)
