"""Runs commands and measures them: wall time, CPU time of the command and its
children, and the peak memory of its largest process."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field


@dataclass
class Runs:
    """All runs of one command."""

    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    rss: list = field(default_factory=list)

    def median(self):
        return statistics.median(self.wall)

    def median_cpu(self):
        return statistics.median(self.cpu)

    def seconds(self):
        return f"{self.median():.3f} s ({min(self.wall):.3f} to {max(self.wall):.3f})"

    def cpu_seconds(self):
        return f"{self.median_cpu():.2f} s"

    def peak_mib(self):
        return max(self.rss) / 1024


def once(command, runs=None, env=None):
    """One run. Memory is taken from GNU time, since a child of this process
    would count what Python itself has."""
    with tempfile.NamedTemporaryFile("r") as peak:
        wrapped = ["/usr/bin/time", "-q", "-f", "%M", "-o", peak.name, *command]
        begun = time.perf_counter()
        child = subprocess.Popen(
            wrapped, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"bench: error: {' '.join(command)} failed:\n{said.decode(errors='replace')}")
        if runs is not None:
            runs.wall.append(wall)
            runs.cpu.append(usage.ru_utime + usage.ru_stime)
            runs.rss.append(int(peak.read()))


def alternating(count, jobs):
    """`jobs` is {name: (prepare, command)}. Each once to warm the caches, then
    `count` rounds of all in turn, so that what disturbs the machine disturbs all."""
    runs = {name: Runs() for name in jobs}
    for turn in range(count + 1):
        for name, (prepare, command) in jobs.items():
            prepare()
            # Nobody pays for the dirty pages of the one before.
            os.sync()
            once(command, runs[name] if turn else None)
    return runs
