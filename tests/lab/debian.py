"""What the lab takes from Debian: pinned files of its archive, and small root file
systems for container images, whose packages apt has verified.
"""

import io
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request

import store
from trouble import Trouble, say

SNAPSHOT = "https://snapshot.debian.org/archive/debian/20261115T000000Z"
# What no program in a container reads; device nodes are the runtime's.
LEFT_OUT = re.compile(r"(usr/share/(doc|man|info|locale|lintian|bug|zoneinfo|perl.*)/|dev/|var/lib/(apt|dpkg)/|var/cache/|etc/(apt|resolv|hostname))")


def archives():
    """Roots of Debian's archive, the nearest first: the address above dists/ and pool/."""
    found = [os.environ["NODEIMG_DEBIAN_MIRROR"]] if os.environ.get("NODEIMG_DEBIAN_MIRROR") else []
    if shutil.which("apt-get"):
        said = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True).stdout
        found += [one for one in said.split() if re.match(r"https?://.*/debian/?$", one)]
    return list(dict.fromkeys(one.rstrip("/") for one in [*found, SNAPSHOT]))


def source(lab, path, sha256):
    """A file of the archive, by its digest."""
    kept = store.keep(lab, store.key_of("debian", path, sha256), lambda folder: _fetch(path, sha256, folder / "file"))
    return kept / "file"


def program(lab, path, sha256, member):
    """A file of a package of the archive."""

    def unpack(folder):
        command = ["dpkg-deb", "--fsys-tarfile", source(lab, path, sha256)]
        tar = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            (folder / "file").write_bytes(archive.extractfile(member).read())
        (folder / "file").chmod(0o755)

    return store.keep(lab, store.key_of("program", path, sha256, member), unpack) / "file"


def _fetch(path, sha256, to):
    tried = []
    for root in archives():
        try:
            with urllib.request.urlopen(f"{root}/{path}", timeout=60) as answer, open(to, "wb") as file:
                shutil.copyfileobj(answer, file)
        except OSError as error:
            tried.append(f"{root}: {error}")
            continue
        got = store.sha256_of(to)
        if got == sha256:
            return
        tried.append(f"{root}: sha256 {got} instead of {sha256}")
    raise Trouble(f"cannot get {path}: {'; '.join(tried)}. Name an archive that has it by NODEIMG_DEBIAN_MIRROR")


def root(lab, suite, packages, arch):
    """A tar of what the packages and all that they depend on hold, nothing run."""
    key = store.key_of("root", suite, packages, arch, LEFT_OUT.pattern)
    kept = store.keep(lab, key, lambda folder: _unpack(suite, packages, arch, folder))
    return kept / "root.tar"


def _unpack(suite, packages, arch, folder):
    if not shutil.which("mmdebstrap"):
        raise Trouble("the command 'mmdebstrap' is missing; install it with: apt-get install mmdebstrap (or run ci/setup)")
    say(f"unpacking {len(packages)} packages of Debian {suite} for {arch}")
    whole = folder / "whole.tar"
    said = []
    for archive in archives():
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=extract", "--format=tar", f"--architectures={arch}",
             f"--include={','.join(packages)}", suite, whole, f"deb {archive} {suite} main"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        if not done.returncode:
            break
        said += done.stderr.strip().splitlines()[-1:]
    else:
        raise Trouble(f"mmdebstrap cannot unpack Debian {suite} for {arch}: {'; '.join(said)}")
    _slim(whole, folder / "root.tar")
    whole.unlink()


def _slim(whole, to):
    with tarfile.open(whole) as source, tarfile.open(to, "w", format=tarfile.GNU_FORMAT) as target:
        for member in sorted(source, key=lambda one: one.name):
            member.name = member.name.removeprefix("./")
            if not member.name or member.name == "." or LEFT_OUT.match(member.name):
                continue
            member.mtime = 0
            target.addfile(member, source.extractfile(member) if member.isreg() else None)


def member(tar, path):
    """The content of one file of a root."""
    with tarfile.open(tar) as archive:
        return archive.extractfile(path).read()


def says(tar, path, *words):
    """What a static program of a root prints, run by its own name."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / pathlib.Path(path).name
        file.write_bytes(member(tar, path))
        file.chmod(0o755)
        return subprocess.run([file, *words], capture_output=True, text=True, check=True).stdout
