"""Compiling programs of the lab, and keeping each by what it is made from."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import catalog
import seccomp
import store
from toolchain import CPU, host_arch
from trouble import Trouble, say

STATIC = "-linkmode external -extldflags -static "


def program(lab, tools, one, arch):
    """The folder DIR/programs/ARCH/NAME/VERSION, made if need be."""
    key = _key(one, arch)
    kept = store.keep(lab, key, lambda folder: _build(lab, tools, one, arch, folder))
    path = lab / "programs" / arch / one.name / one.version
    store.link(path, kept)
    return path


def programs(lab, tools, wanted):
    """Makes those of the pairs (program, architecture) that are missing, two folders of
    modules at a time: one links or downloads while the other compiles. Programs of one
    folder share most packages, which are compiled once if they follow each other."""
    folders = {}
    for one, arch in wanted:
        if not store.is_kept(lab, _key(one, arch)):
            folders.setdefault(one.folder, []).append((one, arch))

    def make(pairs):
        for one, arch in pairs:
            program(lab, tools, one, arch)

    if folders:
        # The threads work under this lock, as what is made first for another result does.
        with store.lock(lab), concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(make, folders.values()))


def _flags(one):
    ldflags = "-s -w -buildid= " + (STATIC if one.cgo else "") + one.ldflags
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-tags={','.join(one.tags)}", f"-ldflags={ldflags}"]


def _key(one, arch):
    made_by = {
        "toolchain": catalog.toolchain() if one.cgo else catalog.toolchain()["go"],
        "triple": f"{CPU[arch]}-linux-musl" if one.cgo else "",
    }
    modules = [one.folder / name for name in ("go.mod", "go.sum", "tools.go")]
    extra = [seccomp.recipe()] if one.cgo == "seccomp" else []
    return store.key_of(one.name, one.files, one.test, _flags(one), arch, made_by, *extra, *modules)


def _build(lab, tools, one, arch, folder):
    say(f"compiling {one.label} for {arch}")
    started = time.monotonic()
    environment = {"GOARCH": arch} | (_cgo(lab, tools, one, arch) if one.cgo else {})
    for name, package in one.files.items():
        verb = ["test", "-c"] if one.test else ["build"]
        tools.go(one.folder, *verb, "-modcacherw", *_flags(one), "-o", str(folder / name), package, **environment)
    _check(tools, one, arch, folder)
    say(f"{one.label} for {arch}: {time.monotonic() - started:.0f} s")


def _cgo(lab, tools, one, arch):
    """The environment of a build with C in it."""
    environment = {"CGO_ENABLED": "1", "CC": " ".join(map(str, tools.c_compiler(arch)))}
    if one.cgo == "seccomp":
        root = seccomp.library(lab, tools, arch)
        environment |= {"PKG_CONFIG": str(root / "pkg-config"), "LIBSECCOMP": str(root)}
    return environment


def _check(tools, one, arch, folder):
    """Every file is of the pinned version, and says so where it can run here."""
    for name, package in one.files.items():
        information = tools.go(one.folder, "version", "-m", str(folder / name))
        if f"GOARCH={arch}" not in information or f"go{catalog.toolchain()['go']}\n" not in information:
            raise Trouble(f"{one.label}: {name} is not of the pinned Go, or not for {arch}: {information.splitlines()[0]}")
        if f"\tv{one.version}\t" not in information:
            raise Trouble(f"{one.label}: {name} was compiled from another version: look at `go version -m` of {package}")
    if arch != host_arch():
        return
    name = next(iter(one.files))
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [folder / name, *one.ask], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            cwd=empty, env={"PATH": os.defpath, "HOME": empty}, timeout=60, stdin=subprocess.DEVNULL,
        )
    if one.says not in done.stdout:
        raise Trouble(f"{name} {' '.join(one.ask)} says {done.stdout.strip()[:300]!r}; {one.says!r} is pinned")


def trim(lab):
    """Drops Go's caches, which reach 14 GB; a file DIR/.go/keep keeps them. So many files
    take minutes to delete on a busy disk, and nobody need wait for that."""
    home = lab / ".go"
    if (home / "keep").exists():
        return
    with store.lock(lab):
        dropped = pathlib.Path(tempfile.mkdtemp(prefix=".dropped-", dir=home))
        for name in ("build", "zig-cache"):
            if (home / name).is_dir():
                (home / name).rename(dropped / name)
        if (home / "mod").is_dir():
            _drop_modules(home / "mod", dropped)
    # What an earlier run could not finish goes too.
    gone = [str(one) for one in home.glob(".dropped-*")]
    subprocess.Popen(
        ["nice", "sh", "-c", 'chmod -R u+w -- "$@"; rm -rf -- "$@"', "sh", *gone], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    store.sweep(lab)


def _drop_modules(modules, dropped):
    """All but the toolchain, mod/golang.org/toolchain@VERSION."""
    site, prefix = "golang.org", "toolchain@"
    for path in list(modules.iterdir()):
        if path.name == site:
            others = [one for one in path.iterdir() if not one.name.startswith(prefix)]
            for other in others:
                other.rename(dropped / f"{site}-{other.name}")
        else:
            path.rename(dropped / path.name)
