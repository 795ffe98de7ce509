"""The measurements of ci/bench (usage: see there): builds, fetches and first boots
compared with tar and curl, images compared with other image builders. Prints
Markdown."""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cloud_init
import measured
import update
import sizes
from boot import HEADER, measure_boot
from budget import IN_TURN, measure_budget
from firstboot import measure_firstboot
from flash import measure_flash
from image import (
    ARCHS,
    SEVERAL,
    Images,
    measure_base,
    measure_costs,
    measure_disk,
    measure_sign,
    measure_static,
    measure_verify,
    measure_writers,
    roots_of_point_releases,
    roots_of_update,
)
from measure import alternating
from measured import Goal
from nginx import Nginx
from trust import measure_bills, measure_proofs
from publish import measure_publish
from seeds import NODES, measure_seeds


def table(head, rows):
    print(f"\n| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def first_line(*command):
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).splitlines()[0]


def describe_machine(work):
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    file_system = first_line("stat", "-f", "-c", "%T", work)
    print(
        f"{len(os.sched_getaffinity(0))} cores ({model[1] if model else platform.machine()}), "
        f"Linux {platform.release()}, {file_system}; load before: {os.getloadavg()[0]:.1f}\n\n"
        f"{first_line('tar', '--version')}; {first_line('zstd', '--version').strip('* ')}; "
        f"{' '.join(first_line('curl', '--version').split()[:2])}; {first_line('nginx', '-v')}"
    )


def nothing():
    pass


class Bench:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.store = work / "store"
        self.out = work / "out"
        self.goals = []

    def nodeimg(self, verb, *more, store=None):
        recipe = ["--recipe", self.args.recipe]
        return [self.args.nodeimg, "--quiet", "--store", str(store or self.store), verb, *recipe, *more]

    def build(self, *more):
        firstboot = f"amd64={self.args.firstboot}"
        return self.nodeimg(
            "build", "--offline", "--arch", "amd64", "--output", "overlay",
            "--firstboot", firstboot, "--out", str(self.out), *more
        )

    def locked(self):
        """(path in the mirror, sha256) of every artifact, both architectures."""
        text = Path(self.args.recipe).with_suffix(".lock").read_text()
        found = re.findall(r'^url = "https://(.*)"\n(?:.*\n)*?sha256 = "([0-9a-f]{64})"$', text, re.M)
        if not found:
            sys.exit("bench: error: the lock has no artifact with a sha256")
        return found

    def fill_store(self):
        mirror = f"https://=file://{self.args.mirror}/"
        command = self.nodeimg("fetch", "--arch", "amd64", "--output", "overlay", "--mirror", mirror)
        subprocess.run(command, check=True)
        subprocess.run(self.build(), check=True)
        (image,) = self.out.iterdir()
        self.tree = self.work / "tree"
        self.tree.mkdir()
        overlay = image / "overlay.tar.zst"
        subprocess.run(["tar", "--zstd", "-xf", overlay, "-C", self.tree], check=True)

    def measure_build(self):
        tar = str(self.work / "tar.zst")
        jobs = {
            "`nodeimg build --force`": (nothing, self.build("--force")),
            "`tar --zstd`": (nothing, ["tar", "--zstd", "-cf", tar, "-C", str(self.tree), "."]),
            "`tar -I 'zstd -T0'`": (nothing, ["tar", "-I", "zstd -T0", "-cf", tar, "-C", str(self.tree), "."]),
            "`nodeimg build`, nothing changed": (nothing, self.build()),
        }
        runs = alternating(self.args.runs, jobs)
        ours, theirs, _, again = runs.values()
        rows = [
            [name, run.seconds(), run.cpu_seconds(), f"{run.peak_mib():.0f} MiB", f"{run.median() / theirs.median():.2f}"]
            for name, run in runs.items()
        ]
        print("\n## Warm build of the amd64 overlay")
        table(["", "wall: median (range)", "CPU", "peak memory", "beside `tar --zstd`"], rows)
        self.goals += [
            Goal("warm build beside `tar --zstd`", ours.median() / theirs.median(), 1.0, ""),
            Goal("peak memory of a build", ours.peak_mib(), 256, " MiB", noise=0),
            Goal("build with nothing changed", again.median(), 0.2, " s", noise=1),
        ]

    def measure_fetch(self):
        locked = self.locked()
        size = sum((Path(self.args.mirror) / path).stat().st_size for path, _ in locked)
        cold, curled = self.work / "cold", self.work / "curl"
        with Nginx(self.args.mirror, self.work) as url:
            config, sums = self.work / "curl.conf", self.work / "curl.sums"
            names = [f"{curled}/{digest}" for _, digest in locked]
            config.write_text(
                "".join(f'url = "{url}{path}"\noutput = "{name}"\n' for name, (path, _) in zip(names, locked))
            )
            sums.write_text("".join(sorted(f"{digest} *{name}\n" for name, (_, digest) in zip(names, locked))))
            curl = f"curl --silent --show-error --fail --noproxy '*' --parallel --parallel-immediate --config '{config}'"
            # openssl has the processor's SHA instructions, which sha256sum may lack.
            digests = f"ls -d '{curled}'/* | xargs -n 1 -P $(nproc) openssl dgst -sha256 -r | sort | cmp - '{sums}'"
            checked = f"{curl} && {digests} && sync {' '.join(names)}"
            fetch = self.nodeimg("fetch", "--arch", "amd64", "--arch", "arm64", "--output", "overlay", "--mirror", f"https://={url}", store=cold)

            def fresh():
                for directory in (cold, curled):
                    shutil.rmtree(directory, ignore_errors=True)
                curled.mkdir()

            jobs = {
                "`nodeimg fetch`: fetch, hash, fsync": (fresh, fetch),
                "`curl --parallel`: fetch": (fresh, ["sh", "-c", curl]),
                "`curl --parallel`, `openssl dgst`, `sync`": (fresh, ["sh", "-c", checked]),
            }
            os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
            runs = alternating(self.args.runs, jobs)
        ours, theirs, same_job = runs.values()
        rows = [
            [name, run.seconds(), run.cpu_seconds(), f"{size / run.median() / 1e6:.0f} MB/s", f"{theirs.median() / run.median():.2f}"]
            for name, run in runs.items()
        ]
        print(f"\n## Cold fetch of {len(locked)} artifacts, {size / 1e6:.0f} MB, from nginx on loopback")
        table(["", "wall: median (range)", "CPU", "throughput", "beside `curl`"], rows)
        print("\n`curl` alone neither verifies the files nor syncs them to disk, so the goal compares with the same job.")
        self.goals.append(
            Goal("cold fetch beside the same job by `curl`", same_job.median() / ours.median(), 0.95, "", at_least=True)
        )

    def measure_trust(self):
        """Who vouches for a lock's inputs, and what an image is made of."""
        checked, proofs = measure_proofs(self.args.nodeimg, self.work, self.args.runs)
        bills = measure_bills([word for word in self.build("--force") if word != "--quiet"], self.args.runs)
        print("\n## Proofs and bills of materials")
        rows = [
            [f"`nodeimg lock --check`, {proofs['verified']} proofs", checked.seconds(), checked.cpu_seconds()],
            ["both SBOMs of a build of hard-way", bills.seconds(), ""],
        ]
        table(["", "wall: median (range)", "CPU"], rows)
        self.goals += [
            Goal("proofs of a whole lock, offline", checked.median(), 0.3, " s"),
            Goal("SBOMs of hard-way", bills.median(), 0.3, " s"),
        ]

    def measure_firstboot(self):
        size = os.stat(self.args.firstboot).st_size / 2**20
        fresh, again, other = measure_firstboot(self.args.firstboot, self.tree, self.args.runs)
        rows = [
            [name, f"{run.median() * 1000:.1f} ms ({min(run.wall) * 1000:.1f} to {max(run.wall) * 1000:.1f})", f"{run.peak_mib():.1f} MiB"]
            for name, run in (("fresh", fresh), ("same instance again", again))
        ]
        print(f"\n## First boot on a tmpfs, static binary of {size:.2f} MiB")
        table(["", "wall: median (range)", "peak memory"], rows)
        if other:
            print(
                f"\ncloud-init {cloud_init.version()} writing the very files that the fresh run wrote, as `write_files` of a NoCloud "
                f"seed, its four stages with those modules only: {other.seconds()}, {other.median() / fresh.median():.0f} times as "
                "long. It checks none of them, and looks for neither a volume nor an address."
            )
        self.goals += [
            Goal("first-boot binary", size, 2, " MiB", noise=0),
            Goal("first boot, fresh", fresh.median() * 1000, 50, " ms", noise=1),
            Goal("first boot, same instance again", again.median() * 1000, 10, " ms", noise=1),
            Goal("peak memory of first boot", max(fresh.peak_mib(), again.peak_mib()), 8, " MiB", noise=0),
        ]

    def measure_seeds(self):
        new, again = measure_seeds(self.args.nodeimg, self.work, min(self.args.runs, 3))
        print(f"\n## Seeds of {NODES} nodes, each with two certificates")
        rows = [
            [name, run.seconds(), run.cpu_seconds(), f"{run.peak_mib():.0f} MiB"]
            for name, run in (("new", new), ("unchanged", again))
        ]
        table(["", "wall: median (range)", "CPU", "peak memory"], rows)
        self.goals.append(Goal(f"seeds of {NODES} nodes", new.median(), 10, " s"))

    def measure_boot(self):
        command = self.base_build()
        by_hand = Path(self.args.by_hand) if self.args.by_hand else None
        rows = measure_boot(self.args.nodeimg, command, self.work, by_hand)
        print("\n## From the start of QEMU to multi-user.target, first boot, once, for the record")
        table(HEADER, rows)
        print("\n## What makes a disk large")
        table(sizes.HEADER, [sizes.row(self.args.nodeimg, image) for image in sorted((self.work / "disks").iterdir())])

    def base_build(self):
        """`nodeimg build` of the recipe with a base system."""
        command = [self.args.nodeimg, "--quiet", "--store", self.args.base_store, "build", "--recipe", self.args.base_recipe]
        for arch, binary in (("amd64", self.args.firstboot), ("arm64", self.args.firstboot_arm64)):
            command += ["--firstboot", f"{arch}={binary}"]
        return command

    def measure_image(self):
        """The bootable image; its packages come from a mirror of Debian."""
        images = Images(self.args, self.work)
        for part in self.parts_of_image():
            if self.is_asked(part.__name__):
                part(images)

    def parts_of_image(self):
        return (
            self.base_tree, self.writers, self.disk, self.costs, self.budget, self.static, self.sign, self.verify,
            self.publish, self.update, self.flash,
        )

    def is_asked(self, part):
        return not self.args.only or part in self.args.only

    def run(self):
        """All parts, or those asked for by --only."""
        of_tree = (self.measure_build, self.measure_trust, self.measure_firstboot, self.measure_seeds)
        parts = (*of_tree, self.measure_fetch, self.measure_boot)
        whole = {part.__name__.removeprefix("measure_"): part for part in parts}
        known = [*whole, *(part.__name__ for part in self.parts_of_image())]
        for part in self.args.only or ():
            if part not in known:
                sys.exit(f"bench: error: --only knows no part {part}: {', '.join(known)}")
        asked = [part for name, part in whole.items() if self.is_asked(name)]
        if any(part in of_tree for part in asked):
            self.fill_store()
        for part in asked:
            part()
        if any(self.is_asked(part.__name__) for part in self.parts_of_image()):
            self.measure_image()

    def base_tree(self, images):
        runs = measure_base(images, self.args.runs, self.args.debian_mirror)
        print("\n## Base tree of container-host, packages at hand, nothing unpacked before")
        rows = [[name, run.seconds(), run.cpu_seconds(), f"{run.peak_mib():.0f} MiB"] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU", "peak memory"], rows)
        print("\n`mmdebstrap` also downloads, and writes its tar uncompressed; it runs the maintainer scripts of the packages.")
        *ours, theirs = runs.values()
        cpu = [run.median_cpu() for run in ours]
        self.goals += [
            Goal("base tree, amd64: CPU beside `mmdebstrap`", cpu[0] / theirs.median_cpu(), 0.1, ""),
            Goal("base tree, arm64: CPU beside amd64", cpu[1] / cpu[0], 1.0, "", noise=0.1),
            Goal("peak memory of a base tree", max(run.peak_mib() for run in ours), 256, " MiB", noise=0),
        ]

    def flash(self, images):
        runs = measure_flash(images, self.args.runs)
        if runs is None:
            return
        print("\n## A disk of container-host onto a loop device")
        table(["", "wall: median (range)", "CPU"], [[name, run.seconds(), run.cpu_seconds()] for name, run in runs.items()])
        faster = min(runs["dd"].median(), runs["bmaptool"].median())
        self.goals += [
            Goal("flash without reading back, wall beside the faster of `dd` and `bmaptool`", runs["flash"].median() / faster, 1.1, ""),
            Goal("flash, wall beside `dd` and `cmp`", runs["flash, read back"].median() / runs["dd and cmp"].median(), 1.1, ""),
        ]

    def writers(self, images):
        squashfs, sizes, verity, checks = measure_writers(images, self.args.runs)
        for title, runs in (("SquashFS, zstd 3", squashfs), ("dm-verity", verity)):
            print(f"\n## {title}")
            rows = [[f"`{name}`" if name != "ours" else "nodeimg", run.seconds(), run.cpu_seconds()] for name, run in runs.items()]
            table(["", "wall: median (range)", "CPU"], rows)
        print(f"\nThe image has {sizes[0] / 1e6:.1f} MB, that of `mksquashfs` {sizes[1] / 1e6:.1f} MB.")
        print(f"\nThe checks of recipe and tree, if all files came from artifacts: {checks.cpu_seconds()} of processor time.")
        ours, star = squashfs["ours"], squashfs["mksquashfs -tar"]
        self.goals += [
            Goal("SquashFS: CPU beside `mksquashfs -tar`", ours.median_cpu() / star.median_cpu(), 1.0, "", noise=0.2),
            Goal("SquashFS: wall beside `mksquashfs -tar`", ours.median() / star.median(), 0.6, ""),
            Goal("checks of recipe and tree: CPU", checks.median_cpu(), 0.1, " s", noise=0.5),
            Goal("dm-verity: CPU beside `veritysetup`", verity["ours"].median_cpu() / verity["veritysetup"].median_cpu(), 0.75, ""),
        ]

    def disk(self, images):
        runs = measure_disk(images, self.args.runs)
        print("\n## `nodeimg build --output disk` of container-host")
        rows = [[name, run.seconds(), run.cpu_seconds(), f"{run.peak_mib():.0f} MiB"] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU", "peak memory"], rows)
        *warm, changed, nothing_changed = runs.values()
        for arch, run in zip(ARCHS, warm):
            self.goals.append(Goal(f"disk, warm store, {arch}", run.median(), 8, " s"))
        self.goals += [
            Goal("disk, one program changed", changed.median(), 2, " s"),
            Goal("disk, nothing changed", nothing_changed.median(), 0.2, " s", noise=1),
            Goal("peak memory of a disk", max(run.peak_mib() for run in runs.values()), 256, " MiB", noise=0),
        ]

    def costs(self, images):
        runs = measure_costs(images, min(self.args.runs, 3))
        print("\n## What a disk of container-host costs, amd64")
        rows = [[name, run.seconds(), run.cpu_seconds(), f"{run.peak_mib():.0f} MiB"] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU", "peak memory"], rows)
        cold, unpacked, warm, copied, large, other, several, at_once, *threads = runs.values()
        twenty = SEVERAL * (warm.median_cpu() + other.median_cpu())
        self.goals += [
            Goal("disk, nothing derived: wall beside `dpkg-deb` of its packages", cold.median() / unpacked.median(), 2, ""),
            Goal("disk, warm: wall beside copying and hashing it", warm.median() / copied.median(), 1.2, ""),
            Goal("disk of 4 TiB: CPU beside the default", large.median_cpu() / warm.median_cpu(), 1.05, "", noise=0.2),
            Goal("20 recipes, both architectures, by one command: CPU beside as many warm builds", several.median_cpu() / twenty, 1, "", noise=0.2),
            Goal("the same by twenty processes on one store: CPU", at_once.median_cpu() / twenty, 1, "", noise=0.3),
        ]
        for count, run, limit in zip((16, 64), threads, (2, 4)):
            self.goals.append(Goal(f"memory with {count} threads beside as many as processors", run.peak_mib() / cold.peak_mib(), limit, "", noise=0))

    def budget(self, images):
        largest, budget, built, collected = measure_budget(images)
        print(f"\n## {IN_TURN} images built in turn, a budget of {budget / 1e6:.0f} MB after each\n")
        print(
            f"The store had at most {largest / 1e6:.0f} MB after `store gc --keep`. A build took {built.cpu_seconds()} of processor "
            f"time, `store gc` {collected.cpu_seconds()}. The last image was built offline from what was left."
        )
        self.goals += [
            Goal(f"{IN_TURN} images built in turn: the store beside its budget", largest / budget, 1, "", noise=0),
            Goal("`store gc --keep` after each: CPU", collected.median_cpu(), 0.5, " s"),
        ]

    def static(self, images):
        size = os.stat(self.args.static).st_size / 1e6
        runs = measure_static(images, self.args.static, self.args.runs)
        print(f"\n## The static program (musl), {size:.1f} MB, beside the dynamic one")
        rows = [[name, run.seconds(), run.cpu_seconds()] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU"], rows)
        for job in ("warm disk", "cold tree"):
            ours, theirs = runs[f"static, {job}"], runs[f"dynamic, {job}"]
            self.goals.append(Goal(f"static program, {job}: CPU beside the dynamic one", ours.median_cpu() / theirs.median_cpu(), 1.0, "", noise=0.1))
        self.goals += [
            Goal("static program, start", runs["static, start"].median() * 1000, 10, " ms", noise=1),
            Goal("static program", size, 30, " MB", noise=0),
        ]

    def update(self, images):
        old, new = roots_of_update(images)
        fetched, ranges = update.to_fetch(old, new)
        print("\n## What an update with one small file more brings of the root\n")
        print(update.HEAD)
        print(update.row("container-host, amd64", old, new))
        print(f"\n`ci/bench.d/update.py OLD NEW` says it of any other pair. {ranges} ranges are to be asked for.")
        self.goals.append(Goal("an update with one small file more: of the root", 100 * fetched / new.stat().st_size, 1, " %", noise=0))
        old, new = roots_of_point_releases(images, self.args.debian_mirror)
        print("\n## What an update from Debian 13.7 to 13.8 brings of the root\n")
        fetched = update.compared("container-host, amd64", old, new)
        size = new.stat().st_size
        best = min((others for name, others in fetched.items() if name != update.OURS), default=None)
        self.goals.append(Goal("an update from Debian 13.7 to 13.8: of the root", 100 * fetched[update.OURS] / size, 33, " %", noise=0))
        if best:
            self.goals.append(Goal("the same, beside the best of casync and bita", fetched[update.OURS] / best, 1.1, "", noise=0))

    def sign(self, images):
        runs = measure_sign(images, self.args.runs)
        print("\n## `nodeimg sign` of a disk and its UKI")
        rows = [["nodeimg" if name == "ours" else name, run.seconds(), run.cpu_seconds()] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU"], rows)
        ours, theirs = runs.values()
        self.goals.append(Goal("signing a disk: wall beside writing and hashing it again", ours.median() / theirs.median(), 1.0, "", noise=0.2))

    def verify(self, images):
        runs = measure_verify(images, self.args.runs)
        print("\n## `nodeimg verify` of a disk, its root and its UKI")
        rows = [["nodeimg" if name == "ours" else name, run.seconds(), run.cpu_seconds()] for name, run in runs.items()]
        table(["", "wall: median (range)", "CPU"], rows)
        ours, theirs = runs.values()
        self.goals.append(Goal("verifying a disk: wall beside checking its sums and its hash tree", ours.median() / theirs.median(), 2.0, "", noise=0.2))

    def publish(self, images):
        runs, size = measure_publish(images, self.args.runs)
        print(f"\n## `nodeimg publish` and `nodeimg pull` of a disk ({size / 1e6:.0f} MB)")
        rows = []
        for way, both in runs.items():
            for name, run in both.items():
                rows.append([way, "nodeimg" if name == "ours" else name, run.seconds(), run.cpu_seconds()])
            ours, theirs = both["ours"], both["skopeo"]
            self.goals.append(Goal(f"{way}: wall beside skopeo", ours.median() / theirs.median(), 1.0, "", noise=0.3))
        table(["", "", "wall: median (range)", "CPU"], rows)


def arguments():
    parser = argparse.ArgumentParser(prog="ci/bench")
    names = ["nodeimg", "static", "firstboot", "firstboot-arm64", "mirror", "recipe", "base-recipe", "base-store", "debian-mirror"]
    for name in (*names, "work"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--by-hand", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", metavar="PART", action="append")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    if args.runs < 1:
        sys.exit("bench: error: --runs must be at least 1")
    with tempfile.TemporaryDirectory(prefix="bench.", dir=args.work) as work:
        bench = Bench(args, Path(work))
        describe_machine(work)
        bench.run()
    print("\n## Goals\n\n| what | goal | measured | |\n|---|---|---|---|")
    for goal in bench.goals:
        print(goal.row())
    if args.write:
        measured.write(bench.goals)
    if args.check and not all(goal.met(goal.noise) for goal in bench.goals):
        sys.exit(1)


main()
