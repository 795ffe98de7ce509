"""How long a disk takes from the start of QEMU to multi-user.target, its first
boot with a seed, what the node counts until then, and what it needs once idle; one
machine at a time. Beside them the Debian made by hand of `ci/bench cluster`, if it
is there."""

import re
import subprocess
import sys
import time

# Told by the node itself, a line each, as soon as multi-user.target is reached: /proc
# alone until the last ones, so that little of it is the script's own.
SCRIPT = """\
echo up
grep -e '^processes ' /proc/stat
sed -n 's/^.* vda \\([0-9]*\\) [0-9]* \\([0-9]*\\) .*/read \\2/p' /proc/diskstats
echo "modules $(grep -c . /proc/modules)"
systemctl is-system-running --wait >/dev/null
sleep 20
grep -E '^Mem(Total|Available):' /proc/meminfo
systemd-analyze time
echo "units $(systemctl list-units --state=active --no-legend --plain | wc -l)"
"""
SECTOR = 512
# An emulated machine on a busy host.
PATIENCE = 900
HEADER = ["", "wall", "kernel", "user space", "processes", "modules", "active units", "read", "memory, idle", "processor"]


def build(base, out):
    """The disks of both architectures; `base` is the start of the command."""
    command = [*base, "--arch", "amd64", "--arch", "arm64", "--offline", "--output", "disk", "--out", str(out)]
    subprocess.run(command, check=True)
    return sorted(out.iterdir())


def seed(work):
    directory = work / "seed"
    directory.mkdir()
    (directory / "meta-data").write_text("instance-id: bench\n")
    (directory / "user-data").write_text("#cloud-config\nhostname: bench\n")
    return directory


def boot(nodeimg, image, arch, seed_directory, script):
    """(seconds until the node is up, what the script said, by what its instructions were run)."""
    begun = time.perf_counter()
    command = [nodeimg, "run", str(image), "--arch", arch, "--seed", str(seed_directory)]
    command += ["--timeout", str(PATIENCE), "--exec", str(script), "--console", "/dev/null"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        first = child.stdout.readline()
        took = time.perf_counter() - begun
        said = child.stdout.read()
        complaints = child.stderr.read()
    if first != "up\n" or child.returncode != 0:
        sys.exit(f"bench: error: {image.name} did not come up:\n{first}{said}{complaints}")
    return took, said, "emulated" if "emulated" in complaints else "on the processor"


def number(pattern, said):
    """The first group; the script always says it."""
    found = re.search(pattern, said, re.MULTILINE)
    if not found:
        sys.exit(f"bench: error: the node did not say `{pattern}`:\n{said}")
    return int(found[1])


def seconds(part, said):
    """`5.3 s` of `Startup finished in 5.300s (kernel) + ...`."""
    found = re.search(rf"(?:(\d+)min )?([\d.]+)(ms|s) \({part}\)", said)
    if not found:
        return "-"
    own = float(found[2]) / (1000 if found[3] == "ms" else 1)
    return f"{int(found[1] or 0) * 60 + own:.1f} s"


def row(name, took, said, how):
    total, free = number(r"^MemTotal: *(\d+)", said), number(r"^MemAvailable: *(\d+)", said)
    read = number(r"^read (\d+)", said) * SECTOR
    return [
        f"`{name}`",
        f"{took:.0f} s",
        seconds("kernel", said),
        seconds("userspace", said),
        number(r"^processes (\d+)", said),
        number(r"^modules (\d+)", said),
        number(r"^units (\d+)", said),
        f"{read / 1e6:.0f} MB",
        f"{(total - free) / 1024:.0f} MiB",
        how,
    ]


def measure_boot(nodeimg, base, work, by_hand=None):
    """A row of HEADER for each architecture, and one for the disk made by hand."""
    seed_directory = seed(work)
    script = work / "counts.sh"
    script.write_text(SCRIPT)
    machines = [(image.name, image, image.name.rsplit("-", 1)[1]) for image in build(base, work / "disks")]
    if by_hand:
        machines.append(("Debian made by hand", by_hand / "disk.img", "amd64"))
    return [row(name, *boot(nodeimg, image, arch, seed_directory, script)) for name, image, arch in machines]
