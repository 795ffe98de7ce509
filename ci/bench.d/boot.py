"""How long a disk takes from the start of QEMU to multi-user.target, its first
boot with a seed, one machine at a time."""

import base64
import os
import signal
import subprocess
import sys
import time

# Printed on the console by a unit that systemd gets as a credential.
UP = b"bench: multi-user.target"
UNIT = f"""[Unit]
DefaultDependencies=no
After=multi-user.target
ConditionPathExists=!/etc/initrd-release
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "{UP.decode()}" >/dev/console'
"""
# An emulated machine on a busy host.
PATIENCE = 900


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


def smbios():
    unit = base64.b64encode(UNIT.encode()).decode()
    words = [
        f"io.systemd.credential.binary:systemd.extra-unit.bench.service={unit}",
        "io.systemd.stub.kernel-cmdline-extra=systemd.wants=bench.service",
    ]
    return [part for word in words for part in ("-smbios", f"type=11,value={word}")]


def seconds_to_up(nodeimg, image, seed_directory):
    """Of one boot, and by what the guest's instructions were run."""
    begun = time.perf_counter()
    command = [nodeimg, "run", str(image), "--seed", str(seed_directory), "--timeout", str(PATIENCE), "--", *smbios()]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        seen = b""
        while UP not in seen:
            part = os.read(child.stdout.fileno(), 65536)
            if not part:
                sys.exit(f"bench: error: {image.name} did not come up:\n{child.stderr.read().decode(errors='replace')}")
            seen = seen[-len(UP) :] + part
        took = time.perf_counter() - begun
        child.send_signal(signal.SIGTERM)
        child.stdout.read()
        said = child.stderr.read()
    return took, "emulated" if b"emulated" in said else "on the processor"


def measure_boot(nodeimg, base, work):
    """Rows [image, seconds, how] for both architectures."""
    seed_directory = seed(work)
    rows = []
    for image in build(base, work / "disks"):
        took, how = seconds_to_up(nodeimg, image, seed_directory)
        rows.append([f"`{image.name}`", f"{took:.0f} s", how])
    return rows
