"""The bootable image: base tree beside mmdebstrap, the writers of SquashFS and
dm-verity beside squashfs-tools and veritysetup, and the whole disk."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from measure import Runs, alternating, once

ARCHS = ("amd64", "arm64")
TOP = Path(__file__).parents[2]
# As large as kubelet.
CHANGED = 72 << 20
# Recipes that differ in one line.
SEVERAL = 20


class Images:
    """Builds of recipes/container-host.toml in a store of their own."""

    def __init__(self, args, work):
        self.nodeimg = args.nodeimg
        self.firstboot = [f"amd64={args.firstboot}", f"arm64={args.firstboot_arm64}"]
        self.recipe = Path(args.base_recipe).absolute()
        self.work = work / "image"
        self.work.mkdir()
        self.store = self.work / "store"
        # Packages are fetched once, into the store that CI keeps.
        kept = self.kept = Path(args.base_store)
        subprocess.run([self.nodeimg, "--quiet", "--store", str(kept), "fetch", *self._which(ARCHS)], check=True)
        self.store.mkdir()
        copied = subprocess.run(["cp", "-al", kept / "blobs", self.store], stderr=subprocess.DEVNULL, check=False)
        if copied.returncode != 0:
            subprocess.run(["cp", "-a", kept / "blobs", self.store], check=True)

    def _which(self, archs, recipe=None):
        return ["--recipe", str(recipe or self.recipe), *(word for arch in archs for word in ("--arch", arch))]

    def build(self, arch, output, *more, recipe=None, program=None):
        out = ["--out", str(self.work / f"out-{output}"), "--output", output]
        firstboot = [word for binary in self.firstboot for word in ("--firstboot", binary)]
        words = [program or self.nodeimg, "--quiet", "--store", str(self.store), "build", "--offline"]
        return [*words, *self._which([arch], recipe), *out, *firstboot, *more]

    def of(self, arch, output, name):
        (found,) = (self.work / f"out-{output}").glob(f"*-{arch}/{name}")
        return found

    def forget(self, prefix=""):
        """Drops what was made once and kept, so that it is made again."""
        for kept in (self.store / "derived").glob(f"{prefix}*"):
            shutil.rmtree(kept)


def host_arch():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def wanted(images, arch):
    """The packages that the recipe asks for."""
    shown = [images.nodeimg, "recipe", "show", "--recipe", str(images.recipe)]
    text = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    base = text[text.index("[base]") :]
    lists = re.findall(rf"^(?:packages|{arch}) = \[(.*?)\]", base, re.M | re.S)
    return sorted(set(re.findall(r'"([^"]+)"', " ".join(lists))))


def measure_base(images, runs, mirror):
    """Cold: packages are in the store, nothing of them has been unpacked."""
    jobs = {
        f"`nodeimg build`, {arch}": (images.forget, images.build(arch, "rootfs-tar", "--force")) for arch in ARCHS
    }
    host = host_arch()
    tar = images.work / "mmdebstrap.tar"
    include = ",".join(wanted(images, host))
    jobs[f"`mmdebstrap`, {host}"] = (
        lambda: tar.unlink(missing_ok=True),
        ["mmdebstrap", "--quiet", "--variant=apt", f"--include={include}", "trixie", str(tar), mirror],
    )
    measured = alternating(min(runs, 2), jobs)
    tar.unlink()
    return measured


def test_binary():
    """The unit tests of nodeimg, optimised: three of them measure."""
    command = ["cargo", "test", "--locked", "--release", "--package", "nodeimg", "--bin", "nodeimg", "--no-run"]
    env = {**os.environ, "NODEIMG_PROGRAMS": "none"}
    said = subprocess.run([*command, "--message-format=json"], cwd=TOP, env=env, capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        found = json.loads(line)
        if found.get("executable") and found.get("profile", {}).get("test"):
            return found["executable"]
    sys.exit("bench: error: cargo made no test of nodeimg")


class Writers:
    """Jobs that say themselves what they took, beside those that are measured
    from outside: a writer's tree is made ready before the clock runs."""

    def __init__(self, binary, count):
        self.binary = binary
        self.count = count

    def ours(self, name, env):
        test = [self.binary, "--ignored", "--exact", f"bench_tests::{name}", "--nocapture"]
        said = subprocess.run(test, env={**os.environ, **env}, capture_output=True, text=True, check=False)
        found = re.search(r"MEASURED wall=([0-9.]+) cpu=([0-9.]+)", said.stdout)
        if said.returncode != 0 or not found:
            sys.exit(f"bench: error: measuring {name} failed:\n{said.stdout}{said.stderr}")
        return float(found[1]), float(found[2])

    def side_by_side(self, name, env, others):
        runs = {"ours": Runs(), **{other: Runs() for other in others}}
        for turn in range(self.count + 1):
            os.sync()
            wall, cpu = self.ours(name, env)
            if turn:
                runs["ours"].wall.append(wall)
                runs["ours"].cpu.append(cpu)
            for other, (prepare, command) in others.items():
                prepare()
                os.sync()
                once(command, runs[other] if turn else None)
        return runs


def measure_writers(images, runs):
    work = images.work
    tar, ours, theirs, hashes = (work / name for name in ("root.tar", "ours.squashfs", "theirs.squashfs", "hashes"))
    packed = images.of("amd64", "rootfs-tar", "rootfs.tar.zst")
    subprocess.run(["zstd", "-q", "-d", "-f", packed, "-o", tar], check=True)
    tree = work / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xf", tar, "-C", tree, "--no-same-owner"], check=True)
    writers = Writers(test_binary(), runs)
    zstd = "-comp zstd -Xcompression-level 3 -b 131072 -no-progress -quiet"

    def gone():
        theirs.unlink(missing_ok=True)

    squashfs = writers.side_by_side(
        "squashfs",
        {"NODEIMG_BENCH_TAR": str(tar), "NODEIMG_BENCH_OUT": str(ours)},
        {
            # sqfstar 4.5.1 does not understand its options of zstd.
            "mksquashfs -tar": (gone, ["sh", "-c", f"mksquashfs - '{theirs}' -tar {zstd} -noappend <'{tar}'"]),
            "mksquashfs": (gone, ["sh", "-c", f"mksquashfs '{tree}' '{theirs}' {zstd} -noappend"]),
        },
    )
    sizes = (ours.stat().st_size, theirs.stat().st_size)
    verity = writers.side_by_side(
        "verity",
        {"NODEIMG_BENCH_IMAGE": str(ours), "NODEIMG_BENCH_OUT": str(work / "ours.hashes")},
        {
            "veritysetup": (
                lambda: hashes.unlink(missing_ok=True),
                ["veritysetup", "format", str(ours), str(hashes)],
            )
        },
    )
    checks = writers.side_by_side(
        "checks", {"NODEIMG_BENCH_TAR": str(tar), "NODEIMG_BENCH_OUT": str(work / "checks")}, {}
    )
    shutil.rmtree(tree)
    for path in (tar, ours, theirs, hashes):
        path.unlink()
    return squashfs, sizes, verity, checks["ours"]


class Changed:
    """The image with one more file of kubelet's size, another one at each run."""

    def __init__(self, images):
        self.images = images
        self.recipe = images.work / "changed.toml"
        self.file = images.work / "kubelet"
        self.recipe.write_text(
            f'extends = "{images.recipe}"\nname = "changed"\n\n'
            '[[file]]\npath = "/usr/local/bin/kubelet"\nsource = "kubelet"\nmode = "0755"\n'
        )
        shutil.copy(images.recipe.with_suffix(".lock"), self.recipe.with_suffix(".lock"))
        lock = [images.nodeimg, "--quiet", "--store", str(images.store), "lock", "--recipe", str(self.recipe)]
        # The base system stays as it is pinned: nothing is fetched.
        subprocess.run(lock, check=True)
        # Programs: what compresses as kubelet does.
        self.plain = Path(images.nodeimg).read_bytes()
        self.plain = (self.plain * (CHANGED // len(self.plain) + 1))[:CHANGED]
        self.turn = 0

    def again(self):
        """Every block is new, and as hard to compress as the one before."""
        self.turn += 1
        table = bytes((byte + self.turn) % 256 for byte in range(256))
        self.file.write_bytes(self.plain.translate(table))


def extended(images, name, text):
    """A recipe that extends the image's, with its lock."""
    recipe = images.work / f"{name}.toml"
    recipe.write_text(f'extends = "{images.recipe}"\nname = "{name}"\n\n{text}')
    shutil.copy(images.recipe.with_suffix(".lock"), recipe.with_suffix(".lock"))
    return recipe


def packages(images):
    """The packages of the image for amd64, in the store."""
    lock = images.recipe.with_suffix(".lock").read_text()
    digests = re.findall(r'^sha256 = "([0-9a-f]{64})"$', lock, re.M)
    blobs = [images.store / "blobs" / digest[:2] / digest for digest in digests]
    return [blob for blob in blobs if blob.is_file() and blob.read_bytes()[:8] == b"!<arch>\n"]


def measure_costs(images, runs):
    """What a build costs beside what nobody can do without: unpacking the packages, copying and
    hashing the disk."""

    def nothing():
        pass

    once(images.build("amd64", "disk", "--force"))
    disk = images.of("amd64", "disk", "disk.raw")
    listed = images.work / "packages.txt"
    listed.write_text("".join(f"{package}\n" for package in packages(images)))
    unpack = f"xargs -a {listed} -P $(nproc) -n 1 sh -c 'dpkg-deb --fsys-tarfile \"$0\" | cat >/dev/null'"
    large = extended(images, "large", '[disk]\nsize = "4 TiB"\n')
    several = [extended(images, f"several-{n}", f'[[file]]\npath = "/usr/n"\ncontent = "{n}"\n') for n in range(SEVERAL)]
    words = [word for recipe in several[1:] for word in ("--recipe", str(recipe))]
    both = images.build("amd64", "disk", "--force", "--arch", "arm64", *words, recipe=several[0])
    # Each writes beside the others: nobody but the store is shared.
    alone = [images.build("amd64", "disk", "--force", "--arch", "arm64", recipe=recipe) for recipe in several]
    at_once = "; ".join(f"{shlex.join(command)} & all=\"$all $!\"" for command in alone)
    wait = "for one in $all; do wait $one || exit 1; done"
    return alternating(
        runs,
        {
            "nothing derived": (images.forget, images.build("amd64", "disk", "--force")),
            "`dpkg-deb --fsys-tarfile` of its packages": (nothing, ["sh", "-c", unpack]),
            "warm": (nothing, images.build("amd64", "disk", "--force")),
            "`cp --sparse=always` and `sha256sum` of the disk": (
                nothing,
                ["sh", "-c", f"cp --sparse=always {disk} {images.work}/copy && sha256sum {images.work}/copy"],
            ),
            "warm, `disk.size` of 4 TiB": (nothing, images.build("amd64", "disk", "--force", recipe=large)),
            "warm, arm64": (nothing, images.build("arm64", "disk", "--force")),
            "20 recipes, both architectures, by one command": (nothing, both),
            "the same by twenty processes at once": (nothing, ["bash", "-c", f"{at_once}\n{wait}"]),
            "nothing derived, 16 threads": (images.forget, images.build("amd64", "disk", "--force", "--threads", "16")),
            "nothing derived, 64 threads": (images.forget, images.build("amd64", "disk", "--force", "--threads", "64")),
        },
    )


def measure_disk(images, runs):
    def nothing():
        pass

    changed = Changed(images)
    jobs = {
        f"warm store, {arch}": (nothing, images.build(arch, "disk", "--force")) for arch in ARCHS
    }
    jobs["one program changed"] = (
        changed.again,
        images.build("amd64", "disk", recipe=changed.recipe),
    )
    jobs["nothing changed"] = (nothing, images.build("amd64", "disk"))
    return alternating(runs, jobs)


def measure_static(images, static, runs):
    """The static program in turn with the one that uses this machine's C library: how it
    starts, packs a disk of a warm store, and unpacks packages that nothing was made of."""
    programs = {"dynamic": images.nodeimg, "static": static}
    warm, cold = {}, {}
    for name, program in programs.items():
        warm[f"{name}, start"] = (lambda: None, [program, "--help"])
        warm[f"{name}, warm disk"] = (lambda: None, images.build("amd64", "disk", "--force", program=program))
        cold[f"{name}, cold tree"] = (images.forget, images.build("amd64", "rootfs-tar", "--force", program=program))
    return {**alternating(runs, warm), **alternating(min(runs, 3), cold)}


def roots_of_update(images):
    """The root of the image, and of one that has a small file more, as an update would."""
    recipe = images.work / "updated.toml"
    (images.work / "motd").write_text("one more\n")
    recipe.write_text(
        f'extends = "{images.recipe}"\n\n[[file]]\npath = "/usr/bin/an-update"\nsource = "motd"\nmode = "0644"\n'
    )
    shutil.copy(images.recipe.with_suffix(".lock"), recipe.with_suffix(".lock"))
    roots = []
    for name, which in (("old", None), ("new", recipe)):
        once(images.build("amd64", "root", "--force", recipe=which))
        kept = images.work / f"{name}.squashfs"
        shutil.copy(images.of("amd64", "root", "root.squashfs"), kept)
        roots.append(kept)
    return roots


def roots_of_point_releases(images, debian_mirror):
    """The root of Debian 13.7, and of 13.8 with its security updates; `debian_mirror` ends with /debian."""
    recipe = images.work / "debian-13.7.toml"
    differences = (Path(__file__).parent / "debian-13.7.toml").read_text()
    recipe.write_text(f'extends = "{images.recipe}"\n\n{differences}')
    shutil.copy(images.recipe.with_suffix(".lock"), recipe.with_suffix(".lock"))
    # Security updates lie beside the archive.
    server = debian_mirror.rstrip("/").removesuffix("debian")
    mirror = ["--mirror", f"https://mirror.invalid/={server}"]
    lock = ["lock", "--recipe", str(recipe), *mirror]
    subprocess.run([images.nodeimg, "--quiet", "--store", str(images.kept), *lock], check=True)
    subprocess.run(["cp", "-aln", images.kept / "blobs", images.store], stderr=subprocess.DEVNULL, check=False)
    roots = []
    for name, which in (("13.7", recipe), ("13.8", None)):
        once(images.build("amd64", "root", "--force", recipe=which))
        kept = images.work / f"debian-{name}.squashfs"
        shutil.copy(images.of("amd64", "root", "root.squashfs"), kept)
        roots.append(kept)
    return roots


def measure_sign(images, runs):
    """Signing a disk and its UKI, beside writing and hashing the same files with coreutils."""
    folder = images.work / "sign"
    folder.mkdir()
    subprocess.run(
        "umask 077; openssl req -new -x509 -newkey rsa:2048 -nodes -keyout db.key -out db.pem -subj /CN=db -days 99",
        shell=True, cwd=folder, check=True, stderr=subprocess.DEVNULL,
    )
    (folder / "keys.toml").write_text('[[secure_boot]]\nkey = "db.key"\ncertificate = "db.pem"\n')
    once(images.build("amd64", "disk", "--output", "uki", "--force"))
    built = images.of("amd64", "disk", "uki.efi").parent
    signed, copied = folder / "image", folder / "copied"

    def unsigned():
        for place in (signed, copied):
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(built, signed, copy_function=os.link)
        copied.mkdir()

    files = " ".join(str(built / name) for name in ("disk.raw", "uki.efi"))
    copy = f"cp --sparse=always {files} {copied} && sha256sum {copied}/* && sync {copied}/*"
    return alternating(
        runs,
        {
            "ours": (unsigned, [images.nodeimg, "--quiet", "sign", str(signed), "--keys", str(folder / "keys.toml")]),
            "`cp`, `sha256sum` and `sync`": (unsigned, ["sh", "-c", copy]),
        },
    )


def measure_verify(images, runs):
    """All steps over a signed disk and its root, beside those who check parts of it: the sums,
    and the blocks of the root against their hash tree."""
    folder = images.work / "verify"
    folder.mkdir()
    subprocess.run(
        "umask 077; openssl genpkey -algorithm ED25519 -out release.key; openssl pkey -in release.key -pubout -out release.pub",
        shell=True, cwd=folder, check=True, stderr=subprocess.DEVNULL,
    )
    (folder / "keys.toml").write_text('[checksums]\nkey = "release.key"\n')
    once(images.build("amd64", "disk", "--output", "root", "--output", "uki", "--force"))
    built = images.of("amd64", "disk", "uki.efi").parent
    signed = folder / "image"
    shutil.copytree(built, signed, copy_function=os.link)
    subprocess.run([images.nodeimg, "--quiet", "sign", str(signed), "--keys", str(folder / "keys.toml")], check=True)
    judges = "sha256sum --quiet -c SHA256SUMS && veritysetup verify root.squashfs root.verity $(cat root.roothash)"

    def nothing():
        pass

    return alternating(
        runs,
        {
            "ours": (nothing, [images.nodeimg, "--quiet", "verify", str(signed), "--key", str(folder / "release.pub")]),
            "`sha256sum -c` and `veritysetup verify`": (nothing, ["sh", "-c", f"cd {signed} && {judges}"]),
        },
    )
