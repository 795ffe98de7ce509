"""`nodeimg flash` beside `dd` and `bmaptool`, onto the same loop device; needs root."""

import os
import subprocess
import sys
from pathlib import Path

from measure import alternating

# The device's, in bytes.
SIZE = 4 << 30


class Device:
    """A loop device over a sparse file on the disk that holds the builds."""

    def __init__(self, file):
        self.file = file
        with open(file, "wb") as made:
            made.truncate(SIZE)
        words = ["losetup", "--find", "--show", str(file)]
        self.path = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def blank(self):
        """Nobody finds what the one before has written, nor room that it has taken."""
        subprocess.run(["blkdiscard", "--force", self.path], check=True)

    def close(self):
        subprocess.run(["losetup", "--detach", self.path], check=True)
        self.file.unlink()


def measure_flash(images, runs):
    """Wall time of each by its name; nothing without root."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        print("bench: flash is left out: loop devices need root", file=sys.stderr)
        return None
    subprocess.run(images.build("amd64", "disk"), check=True)
    disk = images.of("amd64", "disk", "disk.raw")
    device = Device(images.work / "device")
    try:
        flash = [images.nodeimg, "--quiet", "flash", str(disk), device.path]
        # bmaptool reads a map of the holes, and its checksums, as nodeimg reads its manifest.
        bmap = images.work / "disk.bmap"
        subprocess.run(["bmaptool", "create", "-o", str(bmap), str(disk)], check=True)
        dd = f"dd if={disk} of={device.path} bs=4M conv=fsync status=none"
        size = disk.stat().st_size
        compared = f"{dd} && blockdev --flushbufs {device.path} && cmp -n {size} {disk} {device.path}"
        jobs = {
            "flash": (device.blank, [*flash, "--no-read-back"]),
            "flash, read back": (device.blank, flash),
            "dd": (device.blank, ["sh", "-c", dd]),
            "bmaptool": (device.blank, ["bmaptool", "-q", "copy", "--bmap", str(bmap), str(disk), device.path]),
            "dd and cmp": (device.blank, ["sh", "-c", compared]),
        }
        return alternating(runs, jobs)
    finally:
        device.close()
